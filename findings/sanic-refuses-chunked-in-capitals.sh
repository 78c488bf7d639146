#!/usr/bin/env bash
# Sanic refuses a chunked body if the transfer coding has a capital letter, although its name is case-insensitive.
#
# Software:  Sanic 25.12.1
# Expected:  "Transfer-Encoding: Chunked" is read like "chunked": names of transfer codings are case-insensitive (RFC
#            9112, section 7).
# Happens:   400 Bad Request. The same body after "chunked" is read.
# Matters:   a client or a proxy that spells the header in this way cannot send a body. The text of the 400 does not
#            name the cause.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check sanic==25.12.1
cd "$folder"
cat >server.py <<'PYTHON'
import sys

from sanic import Sanic, text

app = Sanic("finding")


@app.post("/")
async def read(request):
    return text(request.body.decode())


app.run(host="127.0.0.1", port=int(sys.argv[1]), single_process=True, motd=False, access_log=False)
PYTHON
cat >client.py <<'PYTHON'
import socket
import subprocess
import sys
import time


def ask(coding):
    head = f"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: {coding}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head.encode() + b"2\r\nhi\r\n0\r\n\r\n")
        return connection.recv(4096).split(b"\r\n", 1)[0].decode()


with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
server = subprocess.Popen([sys.executable, "server.py", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.2)
    answers = {coding: ask(coding) for coding in ("chunked", "Chunked")}
finally:
    server.kill()
    server.wait()
print(answers)
if not (" 200 " in answers["chunked"] and " 400 " in answers["Chunked"]):
    raise SystemExit("CHANGED: both spellings are answered alike")
PYTHON
timeout 60 venv/bin/python client.py

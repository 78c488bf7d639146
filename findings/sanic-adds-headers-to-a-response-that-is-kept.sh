#!/usr/bin/env bash
# A response object that is returned again also carries the headers of every earlier time.
#
# Software:  Sanic 25.12.1
# Expected:  a constant response, which is made once and returned by its handler each time, is the same each time.
# Happens:   on_response middleware that adds a header adds it to the object itself, so the third response has the
#            header three times. The list grows with every request, until clients or proxies refuse the response head.
# Matters:   in a service where one more object per request is measurable, it is obvious to keep ready-made responses.
#            Keep their bytes; do not keep the HTTPResponse.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check sanic==25.12.1
cd "$folder"
cat >finding.py <<'PYTHON'
import http.client, socket, subprocess, sys, time

SERVER = """
import sys
from sanic import Sanic, text
app = Sanic("finding")
kept = text("constant")

@app.get("/")
async def constant(request):
    return kept

@app.on_response
async def add_header(request, response):
    response.headers.add("x-served-by", "one")

if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]), single_process=True, motd=False, access_log=False)
"""
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
with open("server.py", "w") as file:
    file.write(SERVER)
server = subprocess.Popen([sys.executable, "server.py", str(port)], stderr=subprocess.DEVNULL)
try:
    counts = []
    for _ in range(3):
        for _ in range(200):
            try:
                client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                client.request("GET", "/")
                break
            except OSError:
                time.sleep(0.05)
        counts.append(len(client.getresponse().headers.get_all("x-served-by")))
        client.close()
finally:
    server.terminate()
    server.wait(10)
print(f"times that each of three answers has the header: {counts}")
if counts != [1, 2, 3]:
    raise SystemExit("CHANGED: a response that is kept stays as it was")
PYTHON
timeout 60 venv/bin/python finding.py

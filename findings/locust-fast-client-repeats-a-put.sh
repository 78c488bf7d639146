#!/usr/bin/env bash
# FastHttpUser sends a PUT again and again if the server closes its connection, and counts it once.
#
# Software:  Locust 2.47.0 (FastHttpUser on geventhttpclient 2.6.1; HttpUser beside it)
# Expected:  one request of the script is one request on the wire, and a lost connection is one failure.
# Happens:   FastHttpUser sends the PUT several times over new connections before it reports one failure. A POST is
#            sent once, and HttpUser sends either once.
# Matters:   if a service sheds load by closing connections, the load test multiplies its load exactly then, and its
#            report does not show it. The server's counters and Locust's disagree.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check locust==2.47.0 geventhttpclient==2.6.1 gevent==26.9.0
cd "$folder"
cat >finding.py <<'PYTHON'
import gevent.monkey

gevent.monkey.patch_all()
import http.server, threading
from locust import FastHttpUser, HttpUser
from locust.env import Environment

received = []

class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        received.append(f"{self.command} {self.path}")
        if self.path == "/closes":
            self.close_connection = True
            return
        moved = self.path == "/moved"
        self.send_response(301 if moved else 200)
        if moved:
            self.send_header("Location", "/here")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_PUT = do_POST = answer

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()

def sent(kind, method, path):
    user_class = type("User", (kind,), {"host": f"http://127.0.0.1:{server.server_address[1]}"})
    environment = Environment(user_classes=[user_class])
    environment.create_local_runner()
    received.clear()
    user_class(environment).client.request(method, path, data=b"{}")
    total = environment.stats.total
    return list(received), total.num_requests, total.num_failures

fast, requests, failures = sent(FastHttpUser, "PUT", "/closes")
post, *_ = sent(FastHttpUser, "POST", "/closes")
usual, *_ = sent(HttpUser, "PUT", "/closes")
print(f"FastHttpUser: PUT sent {len(fast)} times, counted as {requests} with {failures} failed; POST sent {len(post)} times")
print(f"HttpUser: PUT sent {len(usual)} times")
if len(fast) < 2 or requests != 1 or len(post) != 1 or len(usual) != 1:
    raise SystemExit("CHANGED: what is sent is what is counted, or otherwise")
PYTHON
timeout 60 venv/bin/python finding.py

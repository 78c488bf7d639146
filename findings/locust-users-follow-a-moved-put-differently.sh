#!/usr/bin/env bash
# After a 301, one kind of Locust user turns a PUT into a GET, and the other sends the PUT without its body.
#
# Software:  Locust 2.47.0 (FastHttpUser on geventhttpclient 2.6.1; HttpUser on requests)
# Expected:  both kinds of user follow a redirect in the same way, because FastHttpUser is offered as the faster
#            replacement.
# Happens:   FastHttpUser sends GET to the new URL. HttpUser sends PUT there with an empty body. Both count it as one
#            successful request with the name of the PUT.
# Matters:   with a trailing slash in the host, or http:// instead of https://, a test of writes measures reads, or
#            writes that are refused as empty. The two user classes fail in different ways.
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

fast, *_ = sent(FastHttpUser, "PUT", "/moved")
usual, *_ = sent(HttpUser, "PUT", "/moved")
print(f"FastHttpUser: {fast}   HttpUser: {usual}")
if fast != ["PUT /moved", "GET /here"] or usual != ["PUT /moved", "PUT /here"]:
    raise SystemExit("CHANGED: they follow it otherwise")
PYTHON
timeout 60 venv/bin/python finding.py

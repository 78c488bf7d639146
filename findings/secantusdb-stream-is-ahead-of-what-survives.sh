#!/usr/bin/env bash
# A change stream of SecantusDB passes writes that do not survive a crash, and then skips later writes.
#
# Software:  SecantusDB 0.7.0b3, PyMongo 4.20.0
# Expected:  a change stream reports only writes that survive. MongoDB's reports only those that a majority has. A stream
#            that resumes after one of its tokens misses nothing.
# Happens:   the stream reports writes with w:1 before they are on the disk, and its token counts them. After SIGKILL
#            these writes are gone, and the next writes get their numbers. A stream that resumes after the token skips
#            them, also if they were acknowledged with j:true, and no error says so.
# Matters:   a consumer that is out of sync for good after a crash of the server. A token is safe once a write with
#            j:true was acknowledged after it was read.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check SecantusDB==0.7.0b3 pymongo==4.20.0
cd "$folder"
cat >finding.py <<'PYTHON'
import socket, subprocess, sys, threading, time
from pymongo import MongoClient, WriteConcern, version
from pymongo.errors import PyMongoError

SECONDS, ATTEMPTS, LATER = 0.5, 5, 3
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]


def start():
    options = [f"--port={port}", "--storage-path=data", "--log-level=WARNING"]
    server = subprocess.Popen([sys.executable, "-m", "secantus", "--host=127.0.0.1", *options])
    with MongoClient(port=port, serverSelectionTimeoutMS=30000) as client:
        client.admin.command("ping")
    return server


def write_until_the_end(acknowledged):
    with MongoClient(port=port, retryWrites=False, serverSelectionTimeoutMS=500) as client:
        try:
            while True:
                client["findings"]["hurried"].insert_one({})
                acknowledged.append(1)
        except PyMongoError:
            pass


def safely(client):
    return client["findings"].get_collection("watched", write_concern=WriteConcern(w="majority", j=True))


server = start()
skipped = 0
try:
    for _ in range(ATTEMPTS):
        acknowledged = []
        with MongoClient(port=port) as client:
            before = client["findings"]["hurried"].count_documents({})
            safely(client).insert_one({})
            writer = threading.Thread(target=write_until_the_end, args=(acknowledged,))
            with safely(client).watch(max_await_time_ms=1) as stream:
                writer.start()
                end = time.monotonic() + SECONDS
                while time.monotonic() < end:
                    stream.try_next()
                token = stream.resume_token
        server.kill()
        server.wait()
        writer.join()
        server = start()
        with MongoClient(port=port) as client:
            lost = len(acknowledged) - (client["findings"]["hurried"].count_documents({}) - before)
            with safely(client).watch(start_after=token, max_await_time_ms=100) as stream:
                for _ in range(LATER):
                    safely(client).insert_one({})
                told = 0
                while stream.try_next():
                    told += 1
        print(f"{lost} of {len(acknowledged)} acknowledged writes are gone; of {LATER} later ones the stream reports {told}")
        skipped += told < LATER
finally:
    server.kill()
    server.wait()
print(f"PyMongo {version}, SecantusDB 0.7.0b3: {skipped} of {ATTEMPTS} resumed streams skipped acknowledged writes")
if not skipped:
    raise SystemExit("CHANGED: no resumed stream skipped a write")
PYTHON
timeout 180 venv/bin/python finding.py

#!/usr/bin/env bash
# SecantusDB executes a repeated write again if only its time limit differs.
#
# Software:  SecantusDB 0.7.0b3, PyMongo 4.20.0
# Expected:  a retryable write has a session and a number. If the driver repeats both because the answer was lost, the
#            server returns the first result and does not execute the write again.
# Happens:   an exact repetition is executed once. A repetition with another maxTimeMS is executed again.
# Matters:   with `timeoutMS` set, PyMongo writes the remaining time into each attempt, so no two attempts of a write
#            are the same. An $inc whose answer was lost counts twice. Use `retryWrites=false` there.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check SecantusDB==0.7.0b3 pymongo==4.20.0
cd "$folder"
cat >finding.py <<'PYTHON'
import socket, subprocess, sys, time, uuid
from bson import Binary, Int64
from pymongo import MongoClient, version

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
server = subprocess.Popen(
    [sys.executable, "-m", "secantus", "--host=127.0.0.1", f"--port={port}", "--storage-path=data", "--log-level=WARNING"]
)
try:
    with MongoClient(port=port, retryWrites=False) as client:
        client.admin.command("ping")
        database = client["findings"]
        counted = {}
        for number, (name, limits) in enumerate({"the same limit": (1000, 1000), "less time": (1000, 900)}.items(), 1):
            identity = {"lsid": {"id": Binary.from_uuid(uuid.uuid4())}, "txnNumber": Int64(number)}
            database["counters"].insert_one({"_id": name, "count": 0})
            update = {"q": {"_id": name}, "u": {"$inc": {"count": 1}}}
            for limit in limits:
                database.command({"update": "counters", "updates": [update], "maxTimeMS": limit, **identity})
            counted[name] = database["counters"].find_one({"_id": name})["count"]
finally:
    server.kill()
    server.wait()
print(f"PyMongo {version}, SecantusDB 0.7.0b3: one $inc, sent twice with one txnNumber, counts {counted}")
if counted != {"the same limit": 1, "less time": 2}:
    raise SystemExit("CHANGED: the time limit makes no difference, or repetitions are not recognized")
PYTHON
timeout 120 venv/bin/python finding.py

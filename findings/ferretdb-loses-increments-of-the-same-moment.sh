#!/usr/bin/env bash
# FerretDB loses acknowledged updates of one document if several clients update it at the same moment.
#
# Software:  FerretDB 1.24.2 with its SQLite backend, built by Go 1.24 or later; PyMongo 4.20.0
# Expected:  an update of one document is atomic. Of 400 acknowledged $inc by 1, each counts. findAndModify with
#            remove returns a document to one client only.
# Happens:   a third of the increments or more are lost, although each was acknowledged with nModified 1. Clients take
#            more than 50 documents out of a queue of 50. FerretDB reads a document and writes it back whole, without
#            a check whether another client has written it meanwhile.
# Matters:   counters, locks and queues are written as one update because MongoDB makes that safe. On FerretDB they
#            are not safe. A test suite with one client passes.
set -euo pipefail

folder=$(mktemp -d)
trap 'chmod -R u+w "$folder" && rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pymongo==4.20.0
cd "$folder"
module=$(go mod download -json github.com/FerretDB/FerretDB@v1.24.2 | sed -n 's/^.*"Dir": "\(.*\)",$/\1/p')
cp -R "$module" source
chmod -R u+w source
echo v1.24.2 >source/build/version/version.txt # FerretDB needs this file; `go install` cannot write it
(cd source && go build -o ../ferretdb ./cmd/ferretdb)
cat >finding.py <<'PYTHON'
import socket, subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from pymongo import MongoClient, version

CLIENTS, EACH, DOCUMENTS = 8, 50, 50
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
Path("data").mkdir()
server = subprocess.Popen(
    ["./ferretdb", "--handler=sqlite", "--sqlite-url=file:data/", f"--listen-addr=127.0.0.1:{port}", "--debug-addr=-"]
    + ["--telemetry=disable", "--log-level=ERROR"]
)
try:
    with MongoClient(port=port) as client, ThreadPoolExecutor(CLIENTS) as pool:
        database = client["findings"]

        def count(_):
            counters = database["counters"]
            return sum(counters.update_one({"_id": 1}, {"$inc": {"n": 1}}).modified_count for _ in range(EACH))

        def take(_):
            return sum(1 for _ in iter(lambda: database["queue"].find_one_and_delete({}), None))

        database["counters"].insert_one({"_id": 1, "n": 0})
        acknowledged = sum(pool.map(count, range(CLIENTS)))
        counted = database["counters"].find_one()["n"]
        database["queue"].insert_many([{"_id": number} for number in range(DOCUMENTS)])
        taken = sum(pool.map(take, range(CLIENTS)))
finally:
    server.kill()
    server.wait()
print(f"PyMongo {version}, FerretDB 1.24.2, {CLIENTS} clients: {acknowledged} acknowledged $inc count {counted}")
print(f"of {DOCUMENTS} documents, {taken} were taken")
if acknowledged != CLIENTS * EACH or counted == acknowledged:
    raise SystemExit("CHANGED: no acknowledged increment is lost")
PYTHON
timeout 120 venv/bin/python finding.py

#!/usr/bin/env bash
# A task that is started within pymongo.timeout keeps its deadline permanently.
#
# Software:  PyMongo 4.20.0 (SecantusDB 0.7.0b3 behind it)
# Expected:  `with pymongo.timeout(1):` limits the operations within the block. A background task that is started
#            there and continues after it has no such limit.
# Happens:   the task inherits the deadline with its context. One second later each of its operations fails at once
#            with NetworkTimeout or ExecutionTimeout, however often it retries, while the same operation works outside
#            of the task. A longer pymongo.timeout within the task does not help, because the earlier deadline wins.
# Matters:   a worker that retries until it succeeds never succeeds if a request with a deadline happened to start it.
#            `asyncio.create_task(work, context=contextvars.Context())` starts it without the deadline.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check SecantusDB==0.7.0b3 pymongo==4.20.0
cd "$folder"
cat >finding.py <<'PYTHON'
import asyncio, contextvars, socket, subprocess, sys
import pymongo
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
server = subprocess.Popen(
    [sys.executable, "-m", "secantus", "--host=127.0.0.1", f"--port={port}", "--storage-path=data", "--log-level=WARNING"]
)


async def outcome(database):
    try:
        await database.command("ping")
        return "works"
    except PyMongoError as error:
        return "fails, timeout" if error.timeout else f"fails, {error!r}"


async def later(database, until_over):
    await until_over.wait()
    seen = [await outcome(database) for _ in range(3)]
    with pymongo.timeout(30):
        return [*seen, await outcome(database)]


async def main():
    async with AsyncMongoClient(port=port) as client:
        database = client["findings"]
        await database.command("ping")
        over = asyncio.Event()
        with pymongo.timeout(1):
            inherited = asyncio.create_task(later(database, over))
            free = asyncio.create_task(later(database, over), context=contextvars.Context())
        await asyncio.sleep(1.5)
        over.set()
        return {"in the task": await inherited, "outside": await outcome(database), "in a task of its own": await free}


try:
    seen = asyncio.run(main())
finally:
    server.kill()
    server.wait()
print(f"PyMongo {pymongo.version}, 1.5 s after the start of a block of 1 s; three attempts, then one with 30 s:")
for where, what in seen.items():
    print(f"  {where}: {what}")
failed, worked = ["fails, timeout"] * 4, ["works"] * 4
if seen != {"in the task": failed, "outside": "works", "in a task of its own": worked}:
    raise SystemExit("CHANGED: the deadline does not stay with the task")
PYTHON
timeout 120 venv/bin/python finding.py

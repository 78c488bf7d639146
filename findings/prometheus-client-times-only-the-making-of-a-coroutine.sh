#!/usr/bin/env bash
# As decorators of an async function, time(), count_exceptions() and track_inprogress() measure nothing.
#
# Software:  prometheus_client 0.26.0
# Expected:  the decorators support an async function like any other, or refuse it.
# Happens:   they wrap the call that creates the coroutine, which takes a microsecond and never fails. A function that
#            sleeps for 0.3 s is observed as microseconds. Its exceptions are not counted. The in-progress gauge is 0
#            while it runs.
# Matters:   a dashboard of an asyncio service shows perfect latencies and no errors. Used as context managers (`with
#            histogram.time():`) inside the function, all three are correct.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check prometheus-client==0.26.0
cd "$folder"
cat >finding.py <<'PYTHON'
import asyncio
from prometheus_client import Counter, Gauge, Histogram

histogram, counter, gauge = Histogram("h", "h"), Counter("c", "c"), Gauge("g", "g")

@histogram.time()
async def slow():
    await asyncio.sleep(0.3)

@counter.count_exceptions()
async def failing():
    raise ValueError

@gauge.track_inprogress()
async def running():
    await asyncio.sleep(0)
    return value("g")

def value(name):
    from prometheus_client import REGISTRY
    return REGISTRY.get_sample_value(name)

asyncio.run(slow())
try:
    asyncio.run(failing())
except ValueError:
    pass
in_progress = asyncio.run(running())
print(f"0.3 s observed as {value('h_sum'):.6f} s   exceptions {value('c_total'):g} of 1   in progress {in_progress:g} of 1")
if value("h_sum") > 0.1 or value("c_total") or in_progress:
    raise SystemExit("CHANGED: coroutines are measured now")
PYTHON
timeout 60 venv/bin/python finding.py

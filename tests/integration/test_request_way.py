"""The number of files that a request passes: a reader who follows a request through the code opens only so many."""

import re
import subprocess
import sys

from devtools.request_way import VALUES_AND_MEASURES
from devtools.service_process import environment


def test_a_cached_read_passes_through_at_most_12_files_and_an_add_through_at_most_17(
    mongodb_uri: str, redis_url: str
) -> None:
    # It runs in a process of its own, because Sanic's settings apply to the whole process.
    command = [sys.executable, "-m", "devtools.request_way"]
    stores = {"TEST_MONGODB_URI": mongodb_uri, "TEST_REDIS_URL": redis_url}
    told = subprocess.run(command, env=environment(stores), capture_output=True, text=True, check=True).stdout

    read, add = (re.findall(r"^  (\S+)", way, re.MULTILINE) for way in told.split("POST /add"))
    assert len(read) <= 12, told
    assert {"http/dispatch.py", "lists/reader.py", "cache/read_connection.py"} <= set(read)
    assert len(add) <= 17, told
    assert sum(not file.startswith(VALUES_AND_MEASURES) for file in add) <= 11, told
    assert {"lists/writer.py", "cache/commands.py", "mongodb/lists.py"} <= set(add)

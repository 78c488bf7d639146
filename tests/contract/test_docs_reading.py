"""docs/reading.md works as written: each request, sent to a service with the sample, gets the documented answer."""

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from devtools.service_process import Service, environment
from mylist.config.settings import Settings
from mylist.seeding import sample
from mylist.seeding.open_database import open_database
from tests.conftest import PATIENT, Serve
from tests.markdown import Block, blocks

pytestmark = pytest.mark.extended  # it runs curl, which no package registry has

BLOCKS = blocks((Path(__file__).parents[2] / "docs/reading.md").read_text())
VARYING = ("timestamp", "requestId")


@pytest.fixture(scope="module")
def served(serve: Serve, mongodb_uri: str, redis_url: str) -> Service:
    settings = Settings.load({"MONGODB_URI": mongodb_uri, "REDIS_URL": redis_url, **PATIENT})

    async def reset() -> None:
        async with open_database(settings) as database:
            await sample.reset(database, settings)

    asyncio.run(reset())
    return serve()


@pytest.mark.parametrize(("request_block", "answer_block"), list(zip(BLOCKS[::2], BLOCKS[1::2], strict=True)))
def test_every_request_is_answered_as_shown(
    served: Service, request_block: Block, answer_block: Block, tmp_path: Path
) -> None:
    assert (request_block.is_shell, answer_block.language) == (True, "json")
    (tmp_path / ".curlrc").write_text('silent\nshow-error\nwrite-out = "%{stderr}%{http_code}\\n"\n')
    done = subprocess.run(
        ["bash", "-eu", "-c", request_block.text.replace("http://localhost:3000", served.url)],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        env=environment({"CURL_HOME": str(tmp_path)}),
    )

    assert request_block.accepts([int(status) for status in done.stderr.split()])
    shown, printed = json.loads(answer_block.text), json.loads(done.stdout)
    for name in VARYING:
        assert (name in shown) == (name in printed)
        shown.pop(name, None)
        printed.pop(name, None)
    assert printed == shown

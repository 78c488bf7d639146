"""The comparison with the original service. A substitute program answers from Redis, like the original."""

import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.beside_original import BY_ORIGINAL, BY_SERVICE, BesideOriginal
from bench.client import Client, UnexpectedAnswerError, request
from bench.environment import ORIGINAL, Environment, Stores
from bench.groups import UNTRACED
from bench.original import OriginalError, cached, command
from bench.samples import quantity
from mylist.seeding.synthetic_data import user_id

NODE = f"""#!{sys.executable}
import os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from redis import Redis

SAYS = open(sys.argv[1], "rb").read()
assert os.environ["MONGODB_URI"].split("/")[-1].startswith("original")
redis = Redis(os.environ["REDIS_HOST"], int(os.environ["REDIS_PORT"]))

class Original(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body in one packet, or each answer waits for an acknowledgement
    def do_GET(self):
        page = redis.get("mylist:v2:%s:1:20" % self.headers["user-id"]) if self.path == "/api/mylist/items" else b"{{}}"
        body = SAYS.replace(b"PAGE", page)
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Original).serve_forever()
"""
AS_THE_ORIGINAL = '{"success":true,"data":PAGE}'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a built program, for which `node` is the one above."""
    node = tmp_path / "bin" / "node"
    node.parent.mkdir()
    node.write_text(NODE)
    node.chmod(0o755)
    monkeypatch.setenv("PATH", str(node.parent), prepend=":")
    program = tmp_path / "original" / "dist" / "server.js"
    program.parent.mkdir(parents=True)
    program.write_text(AS_THE_ORIGINAL)
    return program.parents[1]


@pytest.mark.usefixtures("generator")
def test_the_service_and_the_original_return_the_same_page(opened: Stores, folder: Path) -> None:
    with ExitStack() as stack:
        environment = Environment(opened, stack, command(folder))
        samples = BesideOriginal(UNTRACED).measure(environment, 0)

        pages = []
        for server in (UNTRACED, ORIGINAL):
            with Client(environment.url(server)) as client:
                client.measure(request("GET", "/api/mylist/items", user=user_id(7)), status=200)
                pages.append(client.answer.json())
    ours, originals = pages
    for item in originals["data"]["items"]:
        item["content"]["id"] = item["content"].pop("_id")
    assert ours == originals
    assert len(ours["data"]["items"]) == 20
    assert samples[BY_SERVICE].cached == 1
    assert samples[BY_ORIGINAL].cached is None
    # Both bodies have the length of a page, and each is measured in its own process.
    assert min(quantity(sample, "size") for sample in samples.values()) > 10_000
    assert min(quantity(sample, "processor") for sample in samples.values()) > 1


def test_an_answer_that_differs_from_the_page_in_redis_stops_the_measurement(opened: Stores, folder: Path) -> None:
    (folder / "dist" / "server.js").write_text('{"success":true,"data":{"items":[]}}')
    with ExitStack() as stack:
        environment = Environment(opened, stack, command(folder))
        with pytest.raises(UnexpectedAnswerError, match="does not answer the page of user-00000001 that is in Redis"):
            BesideOriginal(UNTRACED).measure(environment, 0)


def test_a_page_for_the_original_uses_the_id_field_name_of_mongodb_in_titles() -> None:
    page = '{"success":true,"data":{"items":[{"contentId":"a","content":{"id":"a","title":"é"}}],"total":1}}'

    assert cached(page.encode()).decode() == '{"items":[{"contentId":"a","content":{"_id":"a","title":"é"}}],"total":1}'


def test_the_error_names_node_if_it_is_not_installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(OriginalError, match="node is not installed"):
        command(folder)

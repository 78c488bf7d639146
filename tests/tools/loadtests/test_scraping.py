"""The figures of the service to compare with, and the reasons for their absence."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from devtools.ports import free_port
from loadtests.scraping import Scrapes
from tests.fake_http_server import FakeHttpHandler, fake_http_server
from tests.tools.loadtests.test_histogram import ITEMS, exposition


class Replica:
    """A server that answers every request with the given metrics."""

    def __init__(self) -> None:
        self.says = exposition(5, items={"0.001": 10, "+Inf": 10})
        self.url = ""


@pytest.fixture
def replica() -> Iterator[Replica]:
    replica = Replica()

    class Handler(FakeHttpHandler):
        def do_GET(self) -> None:  # noqa: N802 - as http.server calls it
            self.answer(replica.says.encode(), "text/plain; version=0.0.4")

    with fake_http_server(Handler) as port:
        replica.url = f"http://127.0.0.1:{port}/metrics"
        yield replica


def test_the_requests_of_the_window_are_counted(replica: Replica) -> None:
    scrapes = Scrapes([replica.url])
    scrapes.begin()
    replica.says = exposition(5, items={"0.001": 110, "+Inf": 110})

    counted = scrapes.end(100)

    assert counted.by_route[ITEMS].count == 100
    assert not counted.remark


def test_requests_of_replicas_that_were_not_scraped_are_reported_in_a_remark(replica: Replica) -> None:
    scrapes = Scrapes([replica.url])
    scrapes.begin()
    replica.says = exposition(5, items={"0.001": 60, "+Inf": 60})

    counted = scrapes.end(100)

    assert counted.by_route[ITEMS].count == 50
    assert counted.remark == "the service counted 50 of 100 requests: name every replica by its own --metrics"


def test_an_address_that_leads_to_several_replicas_is_detected(replica: Replica) -> None:
    scrapes = Scrapes([replica.url])
    scrapes.begin()
    replica.says = exposition(6, items={"0.001": 110, "+Inf": 110})

    counted = scrapes.end(100)

    assert counted.by_route == {}
    assert "did not lead to the same process" in counted.remark


def test_without_metrics_a_remark_says_that_there_is_no_comparison() -> None:
    scrapes = Scrapes([])
    scrapes.begin()

    assert scrapes.end(100).remark == "not compared with the service's own histogram, because of --without-metrics"


def test_unreachable_metrics_do_not_end_the_run() -> None:
    url = f"http://127.0.0.1:{free_port()}/metrics"
    scrapes = Scrapes([url])
    scrapes.begin()

    assert scrapes.end(100).remark.startswith(f"not compared with the service's own histogram: {url}: ")


class Pods:
    """Three processes on one port, by their addresses; a name resolves to those that have metrics."""

    def __init__(self) -> None:
        self.says = dict.fromkeys(("127.0.0.1", "127.0.0.2", "127.0.0.3"), "")
        self.url = ""
        self.leaving = ""
        """An address to which the name still resolves, although its process no longer answers."""

    def resolve(self, host: str, port: int, *_: object, **__: object) -> list[Any]:
        """Replaces DNS: resolves a name like that of a headless Service."""
        if host in self.says:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]
        if host != "replicas.test":
            raise socket.gaierror(f"{host} is not known")
        there = [address for address, text in self.says.items() if text or address == self.leaving]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in there]


@pytest.fixture
def pods(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pods]:
    pods = Pods()

    class Handler(FakeHttpHandler):
        def do_GET(self) -> None:  # noqa: N802 - as http.server calls it
            said = pods.says[self.headers["host"].partition(":")[0]]
            self.answer(said.encode(), "text/plain; version=0.0.4", 200 if said else 503)

    with ExitStack() as started:
        port = free_port()
        for address in pods.says:
            started.enter_context(fake_http_server(Handler, host=address, port=port))
        pods.url = f"dns+http://replicas.test:{port}/metrics"
        monkeypatch.setattr("loadtests.scraping.socket.getaddrinfo", pods.resolve)
        yield pods


def test_every_address_of_a_name_is_scraped_and_added_up(pods: Pods) -> None:
    pods.says |= {"127.0.0.1": exposition(5, items={"0.001": 10, "+Inf": 10}), "127.0.0.2": exposition(6)}
    scrapes = Scrapes([pods.url])
    scrapes.begin()
    pods.says |= {
        "127.0.0.1": exposition(5, items={"0.001": 60, "+Inf": 70}),
        "127.0.0.2": exposition(6, items={"0.001": 30, "+Inf": 40}),
    }

    counted = scrapes.end(100)

    assert counted.by_route[ITEMS].buckets == {0.001: 80, float("inf"): 100}
    assert not counted.remark


def test_a_replica_that_starts_in_the_window_counts_completely(pods: Pods) -> None:
    pods.says["127.0.0.1"] = exposition(5, items={"0.001": 10, "+Inf": 10})
    scrapes = Scrapes([pods.url])
    scrapes.begin()
    pods.says["127.0.0.1"] = exposition(5, items={"0.001": 60, "+Inf": 60})
    pods.says["127.0.0.3"] = exposition(9, items={"0.001": 50, "+Inf": 50})

    counted = scrapes.end(100)

    assert counted.by_route[ITEMS].count == 100
    assert not counted.remark


@pytest.mark.parametrize("how", ["gone", "leaving", "restarted"])
def test_a_replica_that_ends_in_the_window_is_reported_in_a_remark(pods: Pods, how: str) -> None:
    for address, started in (("127.0.0.1", 5), ("127.0.0.2", 6)):
        pods.says[address] = exposition(started, items={"0.001": 10, "+Inf": 10})
    scrapes = Scrapes([pods.url])
    scrapes.begin()
    pods.says["127.0.0.1"] = exposition(5, items={"0.001": 105, "+Inf": 105})
    pods.says["127.0.0.2"] = exposition(7, items={"0.001": 2, "+Inf": 2}) if how == "restarted" else ""
    pods.leaving = "127.0.0.2" if how == "leaving" else ""

    counted = scrapes.end(100)

    assert counted.by_route[ITEMS].count == (97 if how == "restarted" else 95)
    what = f"the service counted {counted.by_route[ITEMS].count:.0f} of 100 requests"
    assert counted.remark == f"{what}: the counts of replicas that ended meanwhile (1) are lost"


def test_an_unknown_host_name_does_not_end_the_run(pods: Pods) -> None:
    url = pods.url.replace("replicas", "others")
    scrapes = Scrapes([url])
    scrapes.begin()

    assert scrapes.end(100).remark == f"not compared with the service's own histogram: {url}: others.test is not known"

"""What there is to compare with, and why there is not."""

from collections.abc import Iterator

import pytest

from loadtest.scraping import Scrapes
from tests.answering import Answering, answering
from tests.loadtest.test_histogram import ITEMS, exposition
from tests.serving import free_port


class Replica:
    """A server that says at `/metrics` what it is told to, whatever it is asked."""

    def __init__(self) -> None:
        self.says = exposition(5, items={"0.001": 10, "+Inf": 10})
        self.url = ""


@pytest.fixture
def replica() -> Iterator[Replica]:
    replica = Replica()

    class Handler(Answering):
        def do_GET(self) -> None:  # noqa: N802 - as http.server calls it
            self.answer(replica.says.encode(), "text/plain; version=0.0.4")

    with answering(Handler) as port:
        replica.url = f"http://127.0.0.1:{port}/metrics"
        yield replica


def test_what_was_counted_in_the_window_is_compared(replica: Replica) -> None:
    scrapes = Scrapes([replica.url])
    scrapes.begin()
    replica.says = exposition(5, items={"0.001": 110, "+Inf": 110})

    counted = scrapes.end(100)

    assert counted.by_route[ITEMS].count == 100
    assert not counted.remark


def test_replicas_that_were_not_asked_are_missed(replica: Replica) -> None:
    scrapes = Scrapes([replica.url])
    scrapes.begin()
    replica.says = exposition(5, items={"0.001": 60, "+Inf": 60})

    counted = scrapes.end(100)

    assert counted.by_route[ITEMS].count == 50
    assert counted.remark == "the service counted 50 of 100 requests: name every replica by its own --metrics"


def test_an_address_that_leads_to_several_replicas_is_noticed(replica: Replica) -> None:
    scrapes = Scrapes([replica.url])
    scrapes.begin()
    replica.says = exposition(6, items={"0.001": 110, "+Inf": 110})

    counted = scrapes.end(100)

    assert counted.by_route == {}
    assert "did not lead to the same process" in counted.remark


def test_without_metrics_it_says_that_there_is_no_comparison() -> None:
    scrapes = Scrapes([])
    scrapes.begin()

    assert scrapes.end(100).remark == "not compared with the service's own histogram, as was asked for"


def test_metrics_that_are_not_there_end_no_run() -> None:
    url = f"http://127.0.0.1:{free_port()}/metrics"
    scrapes = Scrapes([url])
    scrapes.begin()

    assert scrapes.end(100).remark.startswith(f"not compared with the service's own histogram: {url}: ")

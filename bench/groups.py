"""The groups of measurements."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

from bench.beside_original import BesideOriginal
from bench.catalogue_import import CatalogueImport, CatalogueValidation
from bench.driver_comparison import DriverComparison
from bench.environment import BASELINE, Environment, Redis, Server
from bench.first_read import FirstRead
from bench.import_latency import SHORT_IMPORT, ImportLatency
from bench.loop_blocking import LoopBlocking
from bench.memory import Memory
from bench.neighbours import Neighbours
from bench.open_loop import OpenLoop
from bench.redis_fill import CachedLists
from bench.samples import Sample
from bench.service_start import ServiceStart
from bench.throughput import USUAL_CONNECTIONS, Case, Throughput
from bench.write_latency import WriteLatency

PROFILE = "profile"
"""The group that is a picture."""
ORIGINAL = "original"
"""The group that needs the original service."""


class Part(Protocol):
    """Some rows of a group, which are measured round by round."""

    @property
    def references(self) -> Mapping[str, str | None]:
        """The rows, each with its reference row."""

    def measure(self, environment: Environment, number: int) -> Mapping[str, Sample]:
        """Measure one round; the one before the first, which only warms up, has the number -1."""


@dataclass(frozen=True, slots=True)
class Table:
    """A part as a table.

    Attributes:
        part: the measurements.
        operations: the name of its operations.
        compared: the quantity whose ratios are shown.
        reference: the name of the reference, for the head of the column.
    """

    part: Part
    operations: str = "requests/s"
    compared: str = "rate"
    reference: str = "ratio to the empty route"


@dataclass(frozen=True, slots=True)
class Group:
    """Measurements that run together.

    Attributes:
        name: on the command line.
        heading: in the document.
        about: the explanation, in Markdown.
        rounds: how often each row is measured.
        tables: its parts.
        starts: how often its servers are started, each time for an equal share of the rounds.
    """

    name: str
    heading: str
    about: str
    rounds: int
    tables: tuple[Table, ...]
    starts: int = 1

    def shares(self, rounds: int) -> list[range]:
        """Return the numbers of so many rounds, divided among the starts."""
        bounds = [rounds * start // self.starts for start in range(self.starts + 1)]
        return [range(first, end) for first, end in pairwise(bounds) if first < end]


USUAL = Server(sampled=0.01)
RENDERING = Server(settings=(("PAGE_MEMORY", "0"),), sampled=0.01)
UNTRACED = Server()
TRACED_MORE = Server(sampled=0.1)
# Lists that were put into Redis are in no database that they could be compared with.
UNCHECKED = Server(settings=(("FRESHNESS_CHECK_EVERY", "0"),), sampled=0.01)
RENDERING_UNCHECKED = Server(settings=(("PAGE_MEMORY", "0"), ("FRESHNESS_CHECK_EVERY", "0")), sampled=0.01)
NEAR = Server(sampled=0.01, redis=Redis(delay_ms=0))
DISTANT = Server(sampled=0.01, redis=Redis(delay_ms=1))
FEW, MANY = (Server(sampled=0.01, redis=Redis(idle_users=count)) for count in (1_000, 1_000_000))

_STARTS = 3
"""Of the servers of a group that compares two programs: the throughput of one process may differ by 12 % from that of
another process of the same program, for as long as both run."""

LENGTHS = (25, 200, 1000, 5000)
CONNECTIONS = (1, 16, 64, 256)
_OF_200 = CachedLists("list-of-200-", 200, 200)
_PAGE_OF_20, _PAGE_OF_100 = "items, 20 of 200", "items, 100 of 200"
SELECTIONS = {
    "movies by title": ("movies20", _PAGE_OF_20),
    "by cursor": ("cursor20", _PAGE_OF_20),
    "ids": ("ids20", _PAGE_OF_20),
    "words of the title": ("words20", _PAGE_OF_20),
    "in a random order": ("random20", _PAGE_OF_20),
    "export of 200": ("export", _PAGE_OF_20),
    "contains, 100 ids": ("contains100", _PAGE_OF_100),
}
"""Rows, each with the kind of its requests and the page of the same size and list that it is compared with."""

EMPTY = Case("empty route", BASELINE, "empty", of=None)
ITEMS = Case("items, 20", USUAL, "items20")
RENDERED = Case("items, 20, rendered each time", RENDERING, "items20")
RENDERED_100 = Case("items, 100 of 200, rendered each time", RENDERING_UNCHECKED, "items100", lists=_OF_200)
NOT_MODIFIED = Case("items, 20, not modified (304)", USUAL, "unchanged")
UNREMEMBERED_304 = "items, 20, not modified (304), not remembered"
UNREMEMBERED_CONTAINS = "contains, 100 ids, not remembered"
RENDERED_OF_200 = "items, 20 of 200, rendered each time"
RENDERED_BY_TITLE = "items, 20 of 200 by title, rendered each time"
CAPACITY = Case("items, 20, in a closed loop", USUAL, "items20", of=None, connections=256)
LIVEZ_AT_HALF = Case("`/livez`, at half of that rate", USUAL, "livez", of=None, connections=256)
ITEMS_AT_HALF = Case("items, 20, at half of that rate", USUAL, "items20", of=LIVEZ_AT_HALF.name, connections=256)


def over(connections: int) -> tuple[Case, Case]:
    """Return the empty route and the page of 20, over so many connections."""
    empty = f"{EMPTY.name}, {connections} {'connection' if connections == 1 else 'connections'}"
    return (
        Case(empty, BASELINE, "empty", of=None, connections=connections),
        Case(empty.replace(EMPTY.name, ITEMS.name), USUAL, "items20", of=empty, connections=connections),
    )


def _at_once(without: Case, with_it: Case) -> Table:
    return Table(Throughput((without, with_it), at_once_s=3), reference=f"ratio to {without.name}")


def _half(name: str, server: Server, of: str | None = None) -> Case:
    return Case(name, server, "items20", of=of, connections=USUAL_CONNECTIONS // 2)


GROUPS = (
    Group(
        "reads",
        "Reads of cached lists",
        "16 connections. The service has its default settings, with metrics, all headers, and tracing at 1 %. A page "
        "of 20 has 10.7 KB. The process reuses a rendered page as long as Redis holds the list from which the page "
        "was rendered. The pages of these 1,000 users fit into `PAGE_MEMORY`. The rows “rendered each time” measure "
        "the same service with `PAGE_MEMORY=0`. They show the cost of the first read of a page. If users take turns "
        "in reading more pages than fit into `PAGE_MEMORY`, every read has this cost. By default, some 2,700 pages "
        "of 20 fit.",
        12,
        (
            Table(
                Throughput(
                    (
                        EMPTY,
                        Case("a fixed body as long as a page of 20", BASELINE, "fixed"),
                        Case("Redis GET by redis-py in a route", BASELINE, "redis"),
                        ITEMS,
                        RENDERED,
                        Case("items, 100 of 200", UNCHECKED, "items100", lists=_OF_200),
                        RENDERED_100,
                        NOT_MODIFIED,
                        Case("stats", USUAL, "stats"),
                    )
                )
            ),
        ),
        starts=_STARTS,
    ),
    Group(
        "unremembered",
        "Answers that are not remembered",
        "16 connections. With `PAGE_MEMORY=0` the process remembers no answers. So the rows show the cost of a read "
        "whose answer the process has not rendered before. For a 304, the process needs only the ETag of the page, "
        "not the page itself. The reference of `contains` is the page of 20. The reference of the page by title is "
        "the page of the same list in its usual order.",
        12,
        (
            Table(
                Throughput(
                    (
                        replace(NOT_MODIFIED, of=None),
                        Case(UNREMEMBERED_304, RENDERING, "unchanged", of=NOT_MODIFIED.name),
                        replace(RENDERED, of=None),
                        Case(UNREMEMBERED_CONTAINS, RENDERING, "contains100", of=RENDERED.name),
                        Case(RENDERED_OF_200, RENDERING_UNCHECKED, "items20", of=None, lists=_OF_200),
                        Case(RENDERED_BY_TITLE, RENDERING_UNCHECKED, "title20", of=RENDERED_OF_200, lists=_OF_200),
                    )
                ),
                reference="ratio to the row above",
            ),
        ),
        starts=_STARTS,
    ),
    Group(
        "observation",
        "Tracing",
        "16 connections. Spans go to a collector on the same machine, which discards them. The cost of tracing is "
        "smaller than the variation of the machine from one second to the next. So the second table compares two "
        "services, one with tracing and one without, under load at the same time. In each round, each of them gets "
        "requests over 8 connections for three seconds.",
        12,
        (
            Table(
                Throughput(
                    (
                        EMPTY,
                        Case("items, 20, no tracing", UNTRACED, "items20"),
                        Case("items, 20, tracing at 1 %", USUAL, "items20"),
                        Case("items, 20, tracing at 10 %", TRACED_MORE, "items20"),
                    )
                )
            ),
            _at_once(_half("tracing off", UNTRACED), _half("tracing at 1 %", USUAL, "tracing off")),
        ),
        starts=_STARTS,
    ),
    Group(
        "lengths",
        "The length of the list",
        "16 connections. Each request reads a page of 20. The lists have four lengths, and all of them begin with "
        "the same 20 items. For each length there are 100 users.",
        10,
        (
            Table(
                Throughput(
                    (
                        EMPTY,
                        *(
                            Case(
                                f"items, 20 of {length:,}",
                                UNCHECKED,
                                "items20",
                                lists=CachedLists(f"list-of-{length}-", 100, length),
                            )
                            for length in LENGTHS
                        ),
                    )
                )
            ),
        ),
    ),
    Group(
        "selections",
        "Selected parts of a list",
        "16 connections. The lists have 200 items. Each answer has about 20 items unless its row says otherwise. The "
        "reference is a page of 20; for `contains` it is a page of 100. The process remembers these answers as it "
        "remembers pages. So the ratio is mainly the cost of reading a whole list instead of its beginning. In "
        "addition, `contains` has a body that the service must receive, and an export of 200 has twice as many bytes "
        "as the page of 20. The second table is about a list of 5,000, which each read must sort or filter as a "
        "whole. It shows the longest time for which another task of the process waits for its turn during ten reads. "
        "The row “no title in memory” shows one read by a process that has loaded no title yet.",
        10,
        (
            Table(
                Throughput(
                    (
                        Case(_PAGE_OF_20, UNCHECKED, "items20", of=None, lists=_OF_200),
                        Case(_PAGE_OF_100, UNCHECKED, "items100", of=None, lists=_OF_200),
                        *(
                            Case(name, UNCHECKED, requests, of=page, lists=_OF_200)
                            for name, (requests, page) in SELECTIONS.items()
                        ),
                    )
                ),
                reference="ratio to the page",
            ),
            Table(LoopBlocking(), compared="blocked"),
        ),
    ),
    Group(
        "connections",
        "Connections",
        "Each ratio compares a row with the empty route over the same number of connections.",
        10,
        (Table(Throughput(tuple(case for connections in CONNECTIONS for case in over(connections)))),),
        starts=_STARTS,
    ),
    Group(
        "pace",
        "Requests at a fixed rate",
        "256 connections. The first row is a closed loop, as above: each connection sends its next request after the "
        "answer to the last one. The other rows are open loops: requests are due at even intervals, at half of the "
        "rate that the closed loop reached in the same round. A free connection takes the next request. The "
        "reference is `/livez` of the same process, with requests at the same rate. The latency of a request begins "
        "when it is sent. While a connection is free, each request is sent when it is due, to the millisecond. So up "
        "to 256 requests show the full length of a stall. “sent late” is the share of the requests that were sent "
        "more than a millisecond after they were due. The latency does not include their wait until then.",
        12,
        (Table(OpenLoop(CAPACITY, (LIVEZ_AT_HALF, ITEMS_AT_HALF)), compared="p99", reference="ratio to `/livez`"),),
        starts=_STARTS,
    ),
    Group(
        "distance",
        "The distance to Redis",
        "A proxy delays Redis' answers. The rows “through the proxy” show the cost of the proxy itself, without a "
        "delay. Reads that arrive during one round trip share the next one. So with more connections, the distance "
        "costs latency rather than throughput.",
        10,
        (
            Table(
                Throughput(
                    (
                        EMPTY,
                        ITEMS,
                        Case("items, 20, through the proxy", NEAR, "items20"),
                        Case("items, 20, 1 ms away", DISTANT, "items20"),
                        Case("empty route, 64 connections", BASELINE, "empty", of=None, connections=64),
                        *(
                            Case(
                                f"{name}, 64 connections",
                                server,
                                "items20",
                                of="empty route, 64 connections",
                                connections=64,
                            )
                            for name, server in (
                                ("items, 20", USUAL),
                                ("items, 20, through the proxy", NEAR),
                                ("items, 20, 1 ms away", DISTANT),
                            )
                        ),
                    )
                )
            ),
        ),
    ),
    Group(
        "changes",
        "Changes, and the first read after one",
        "A simple client in Python on the same machine sends one request at a time over one connection, and measures "
        "how long each takes. MongoDB is the embedded SecantusDB, which syncs each write to disk and takes most of "
        "this time.",
        10,
        (Table(WriteLatency({"": USUAL}), compared="p50", reference="ratio to the empty route"),),
    ),
    Group(
        "loads",
        "The cost of loading a list",
        "The table compares a read of a cached list with the first read after a change. The first read loads the "
        "list from MongoDB and caches it. The processor time is that of the service alone, without MongoDB and "
        "Redis. One connection, one request at a time. With `PAGE_MEMORY=0`, each read renders its page.",
        12,
        (Table(FirstRead(RENDERING), compared="processor", reference="ratio to the cached list"),),
    ),
    Group(
        "imports",
        "Imports",
        "A simple client imports lists of 1,000, 4,000 and 5,000 lines, each in one request, for a user whose list "
        "is empty. MongoDB is the embedded SecantusDB, which takes most of this time.",
        10,
        (Table(ImportLatency(USUAL), compared="p50", reference=f"ratio to the {SHORT_IMPORT}"),),
    ),
    Group(
        "catalogue",
        "Imports of the catalogue",
        "10,000 titles of a file of JSON Lines are imported into an empty catalogue. `mylist catalogue import` "
        "reads, validates and looks up each title before it writes the title. The reference is `bulk_write` alone: "
        "its documents are ready, and the collection has the same indexes. The embedded SecantusDB takes most of "
        "this time. The second table shows how many titles per second an import reads and validates, without a "
        "catalogue. This includes the search for titles that the file has twice.",
        10,
        (
            Table(CatalogueImport(), operations="titles/s", reference="ratio to bulk_write"),
            Table(CatalogueValidation(), operations="titles/s"),
        ),
    ),
    Group(
        "start",
        "The start of a process",
        "The processor time of `mylist serve`, from its first instruction until `/readyz` reports that it is ready, "
        "and its memory at that time. The reference is a Sanic server that has redis-py, and routes that do nothing.",
        10,
        (Table(ServiceStart(UNTRACED), compared="processor", reference="ratio to the empty server"),),
    ),
    Group(
        "others",
        "Other users' lists in Redis",
        "Two services, each with its own Redis. One Redis holds the lists of 1,000 users who send no requests, the "
        "other those of 1,000,000. In both, the same 1,000 other users send requests: reads over 16 "
        "connections, then changes as above. The services take turns.",
        10,
        (
            Table(
                Throughput(
                    (
                        EMPTY,
                        Case("items, 20, 1,000 others", FEW, "items20"),
                        Case("items, 20, 1,000,000 others", MANY, "items20"),
                    )
                )
            ),
            Table(
                WriteLatency({", 1,000 others": FEW, ", 1,000,000 others": MANY}),
                compared="p50",
                reference="ratio to the empty route",
            ),
            Table(Memory(MANY)),
        ),
    ),
    Group(
        "neighbours",
        "Reads beside one greedy user",
        "Eight users read their cached pages, each at most a hundred times a second. In the first row, they are "
        "alone. In the second row, another user sorts a list of 600 by title, over and over, on 700 connections. In "
        "the third row, another user imports a list of 3,000, over and over, on 8 connections. This load begins a "
        "second before the measurement. “lost” is the share of the reads that got another status than 200.",
        10,
        (Table(Neighbours(UNTRACED), compared="p99", reference="ratio to alone"),),
    ),
    Group(
        ORIGINAL,
        "Beside the original",
        "The table compares the Express service, which this service replaces, with this service. The Express service "
        "runs as in production. Neither traces its requests. Each runs as one process, on the same "
        "MongoDB and Valkey. 16 connections. Both answer the same page of 20 from the cache. The Express service has "
        "each user's page in Redis, and also keeps 500 of the 1,000 pages in its own memory for half a minute.",
        12,
        (Table(BesideOriginal(UNTRACED), reference="ratio to the original"),),
        starts=_STARTS,
    ),
    Group(
        "drivers",
        "The driver: PyMongo's asyncio API and Motor",
        "Both drivers run in one process on one event loop (uvloop), in turns. They make the same queries and "
        "changes as the service. The embedded SecantusDB limits the operations per second. The processor time is "
        "that of the client process, including all of its threads.",
        10,
        (Table(DriverComparison(), operations="operations/s", compared="processor", reference="ratio to PyMongo"),),
    ),
)

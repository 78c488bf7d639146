"""The groups of measurements."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
    reference: str = "of the empty route"


@dataclass(frozen=True, slots=True)
class Group:
    """Measurements that run together.

    Attributes:
        name: on the command line.
        heading: in the document.
        about: the explanation, in Markdown.
        rounds: how often each row is measured.
        tables: its parts.
    """

    name: str
    heading: str
    about: str
    rounds: int
    tables: tuple[Table, ...]


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
UNREMEMBERED_CONTAINS = "contains, 100 ids that were not asked for before"
RENDERED_OF_200 = "items, 20 of 200, rendered each time"
RENDERED_BY_TITLE = "items, 20 of 200 by title, rendered each time"
CAPACITY = Case("items, 20, as many as are answered", USUAL, "items20", of=None, connections=256)
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
    return Table(Throughput((without, with_it), at_once_s=3), reference=f"of {without.name}")


def _half(name: str, server: Server, of: str | None = None) -> Case:
    return Case(name, server, "items20", of=of, connections=USUAL_CONNECTIONS // 2)


GROUPS = (
    Group(
        "reads",
        "Reads of cached lists",
        "16 connections. The service has its default settings, with metrics, all headers, and tracing at 1 %. A "
        "page of 20 has 10.7 KB. The process uses a rendered page again as long as Redis holds the list from "
        "which it was rendered. The pages of these 1,000 users fit into `PAGE_MEMORY`. “rendered each time” is "
        "the same service with `PAGE_MEMORY=0`. This is the cost of the first read of a page. It is also the cost "
        "of each read if more users come back than `PAGE_MEMORY` has room for: by default, some 2,700 pages of 20.",
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
    ),
    Group(
        "unremembered",
        "Answers that are not remembered",
        "16 connections, with `PAGE_MEMORY=0`: what a read costs whose answer the process has not rendered before. A "
        "304 needs the ETag of the page, not the page. `contains` is compared with the page of 20, and the page by "
        "title with the plain one of the same list.",
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
                reference="of the row above",
            ),
        ),
    ),
    Group(
        "observation",
        "Tracing",
        "16 connections. Spans go to a collector on the same machine that takes them and does nothing with them. "
        "The cost of tracing is smaller than the variation of the machine from one second to the next. So the "
        "second table compares two services, one with tracing and one without, under load at the same time: three "
        "seconds, 8 connections each.",
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
    ),
    Group(
        "lengths",
        "The length of the list",
        "16 connections; a page of 20 of lists of four lengths, which begin with the same 20 items; 100 users of each.",
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
        "16 connections; lists of 200, of which each answer is about 20 unless it says otherwise, compared with the "
        "page of as many. They are remembered as pages are, so the difference is mainly that between reading a whole "
        "list and reading its beginning; `contains` has a body to receive as well, and an export of 200 has twice the "
        "bytes of the page. Below, "
        "a list of 5,000 is selected from each time: the longest that a task beside it had to wait for its turn, of "
        "ten reads, and of one by a process that knows none of the titles.",
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
                reference="of the page",
            ),
            Table(LoopBlocking(), compared="blocked"),
        ),
    ),
    Group(
        "connections",
        "Connections",
        "Each ratio is to the empty route over the same number of connections.",
        10,
        (Table(Throughput(tuple(case for connections in CONNECTIONS for case in over(connections)))),),
    ),
    Group(
        "pace",
        "Requests at a pace of their own",
        "256 connections. First a closed loop, as above: each connection asks again when it is answered. Then an open "
        "one: requests are due at even intervals, at half of the rate that the closed loop reached in the same round, "
        "and a connection that is free takes the next; `/livez` of the same process is asked at the same rate. "
        "Latency is counted from when a request is sent, which is when it is due, to a millisecond, as long as a "
        "connection is free: as many requests as there are connections feel a stall in full. “sent late” is the "
        "share that was sent over a millisecond after it was due, of whose wait the latency does not tell.",
        12,
        (Table(OpenLoop(CAPACITY, (LIVEZ_AT_HALF, ITEMS_AT_HALF)), compared="p99", reference="x `/livez`"),),
    ),
    Group(
        "distance",
        "The distance to Redis",
        "A proxy holds back Redis' answers. “by the proxy” is what the proxy itself costs. Reads that arrive "
        "during one round trip share the next, so with more connections the distance costs latency rather than "
        "throughput.",
        10,
        (
            Table(
                Throughput(
                    (
                        EMPTY,
                        ITEMS,
                        Case("items, 20, by the proxy", NEAR, "items20"),
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
                                ("items, 20, by the proxy", NEAR),
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
        "One connection, one request at a time, by a lean client in Python on the same machine: what counts is "
        "how long each takes. MongoDB is the embedded SecantusDB, which syncs each write to disk and takes most "
        "of this time.",
        10,
        (Table(WriteLatency({"": USUAL}), compared="p50", reference="x the empty route"),),
    ),
    Group(
        "loads",
        "What a load takes",
        "The processor time of the service alone, without that of MongoDB and Redis: of a read of a list in the cache, "
        "and of the first read after a change, which loads the list from MongoDB and puts it into the cache. "
        "One connection, one request at a time, with `PAGE_MEMORY=0`, so that each renders its page.",
        12,
        (Table(FirstRead(RENDERING), compared="processor", reference="x from the cache"),),
    ),
    Group(
        "imports",
        "Imports",
        "Lists of 1,000, 4,000 and 5,000 lines, each for a user who has none, in one request by a lean client. "
        "MongoDB is the embedded SecantusDB, which takes most of this time.",
        10,
        (Table(ImportLatency(USUAL), compared="p50", reference=f"x {SHORT_IMPORT}"),),
    ),
    Group(
        "catalogue",
        "Imports of the catalogue",
        "10,000 titles of a file of JSON Lines, brought into an empty catalogue: by `bulk_write` alone, which has the "
        "documents ready and the same indexes before it, and by `mylist catalogue import`, which reads, validates and "
        "looks up each title first. The embedded SecantusDB takes most of this time. Below, titles that are read, "
        "validated and looked for twice, without a catalogue.",
        10,
        (
            Table(CatalogueImport(), operations="titles/s", reference="of bulk_write"),
            Table(CatalogueValidation(), operations="titles/s"),
        ),
    ),
    Group(
        "start",
        "The start of a process",
        "`mylist serve`, from its first instruction until `/readyz` says so: its processor time, and its memory then. "
        "Beside it a Sanic server that has routes which do nothing, and redis-py.",
        10,
        (Table(ServiceStart(UNTRACED), compared="processor", reference="x the empty server"),),
    ),
    Group(
        "others",
        "Other users' lists in Redis",
        "Two services, each with its own Redis. One Redis holds the lists of 1,000 users who send no requests, "
        "the other those of 1,000,000. In both, the same 1,000 other users send requests: reads over 16 "
        "connections, then changes as above, in turns.",
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
                reference="x the empty route",
            ),
            Table(Memory(MANY)),
        ),
    ),
    Group(
        "neighbours",
        "One user who takes all that there is",
        "Eight users read their cached pages, each a hundred times a second at most: alone; while another user sorts a "
        "list of 600 by title, over and over on 700 connections; and while another imports a list of 3,000, over and "
        "over on 8. That load begins a second before. “lost” is what was not answered with 200.",
        10,
        (Table(Neighbours(UNTRACED), compared="p99", reference="x alone"),),
    ),
    Group(
        ORIGINAL,
        "Beside the original",
        "The Express service that this one takes the place of, as in production, and this one with tracing at 1 %: a "
        "process each on the same MongoDB and Valkey, 16 connections. Both answer the same page of 20 from the cache: "
        "the original has each user's page in Redis, and keeps 500 of the 1,000 in its own memory for half a minute.",
        12,
        (Table(BesideOriginal(USUAL), reference="x the original"),),
    ),
    Group(
        "drivers",
        "The driver: PyMongo's asyncio API and Motor",
        "Both in one process on one event loop (uvloop), in turns, with what the service asks of MongoDB. The "
        "embedded SecantusDB bounds the operations per second; the processor time is the client's own, all of its "
        "threads included.",
        10,
        (Table(DriverComparison(), operations="operations/s", compared="processor", reference="x PyMongo"),),
    ),
)

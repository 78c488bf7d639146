"""The parts of a running service, which requests find at `request.app.ctx`."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mylist.auth.key_source import KeySource
from mylist.cache.health import RedisHealth
from mylist.cache.list_cache import ListCache
from mylist.catalogue.catalogue import Catalogue
from mylist.config.browser_policy import BrowserPolicy
from mylist.config.settings import Settings
from mylist.domain.errors import OverloadedError
from mylist.domain.process_registry import CacheAgreement
from mylist.http.body_memory import BodyMemory
from mylist.http.user_shares import UserShares
from mylist.list_files.matching import TitleMatcher
from mylist.lists.candidates import TitlesById
from mylist.lists.change_feed import ChangeFeed
from mylist.lists.page_cache import PageCache
from mylist.lists.reader import ListReader
from mylist.lists.writer import ListWriter
from mylist.mongodb.database import Database
from mylist.mongodb.indexes import IndexState

if TYPE_CHECKING:
    from mylist.auth.tokens import Tokens


@dataclass(slots=True)
class ConcurrencyLimit:
    """Limits the number of requests in flight.

    An event loop that accepts every request makes all of them wait, and a request whose client has given up still costs
    its full price. Refusing requests above the limit keeps the others fast.

    Attributes:
        maximum: maximum number of requests in flight.
        in_flight: number of requests in flight.
    """

    maximum: int
    in_flight: int = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Surround a request in flight.

        Raises:
            OverloadedError: the maximum number is in flight.
        """
        if self.in_flight >= self.maximum:
            raise OverloadedError
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1


class Admission(NamedTuple):
    """The limits that `mylist.http.dispatch` applies to a request.

    Attributes:
        limit: limits the requests in flight of all users.
        shares: limits the requests in flight of each user.
    """

    limit: ConcurrencyLimit
    shares: UserShares


class Connection(Protocol):
    """A client's connection, reduced to the data that the metrics use."""

    @property
    def active_request(self) -> tuple[str, str] | None:
        """Method and route template of the request that is being answered, as metrics label them."""


@dataclass(slots=True)
class ServerState:
    """The process' position in its lifecycle.

    Attributes:
        has_indexes: whether MongoDB was reached and has the required index.
        indexes: the wanted indexes, and whether each exists; empty before that is known.
        is_registered: whether, in addition, the process is in the registry and the others have heeded its entry.
        started: whether, in addition, the keys of tokens are loaded, if the service uses tokens.
        draining: whether the process is about to stop.
        failure: why the process stopped by itself; empty otherwise.
        shed: number of refused requests, by the code of the `UnavailableError` or `TooManyRequestsError`.
        connections: the open connections of clients.
    """

    has_indexes: bool = False
    indexes: Sequence[IndexState] = ()
    is_registered: bool = False
    started: bool = False
    draining: bool = False
    failure: str = ""
    shed: Counter[str] = field(default_factory=Counter)
    connections: set[Connection] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts of the service, complete before the port opens.

    Attributes:
        settings: the settings in force.
        kept_connection: the headers `Connection` and `Keep-Alive` of an answer that keeps the connection open.
        browser_policy: the origins that may read the answers, and HSTS.
        catalogue: the movies and shows.
        reader, writer, change_feed: the use cases.
        titles: finds titles by content id.
        matcher: finds the titles that lines of other services' files name.
        pages: the rendered answers, for their metrics.
        requests: the limits of all list requests except imports.
        imports: the limits of imports from their head on. They bound only the share of each user.
        import_places: limits the imports in flight whose bodies have arrived.
        import_bodies: limits the memory for the bodies of imports.
        import_turns: lets a few imports at a time use the stores, in order.
        cache: the lists in Redis.
        health: whether Redis is available and trusted.
        agreement: what the processes declare to each other about the Redis that they use.
        database: whether MongoDB is available.
        keys: the source of the keys that verify tokens.
        tokens: verifies bearer tokens; None unless AUTH_MODE is jwt.
        state: the process' position in its lifecycle.
    """

    settings: Settings
    kept_connection: str
    browser_policy: BrowserPolicy
    catalogue: Catalogue
    reader: ListReader
    writer: ListWriter
    titles: TitlesById
    matcher: TitleMatcher
    change_feed: ChangeFeed
    pages: PageCache
    requests: Admission
    imports: Admission
    import_places: ConcurrencyLimit
    import_bodies: BodyMemory
    import_turns: asyncio.Semaphore
    cache: ListCache
    health: RedisHealth
    agreement: CacheAgreement
    database: Database
    keys: KeySource
    tokens: "Tokens | None"
    state: ServerState = field(default_factory=ServerState)

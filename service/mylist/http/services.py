"""What a running service consists of, as requests find it at `request.app.ctx`."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from mylist.auth.key_source import KeySource
from mylist.cache.health import RedisHealth
from mylist.cache.list_cache import ListCache
from mylist.config.browser_policy import BrowserPolicy
from mylist.config.settings import Settings
from mylist.lists.change_feed import ChangeFeed
from mylist.lists.page_cache import PageCache
from mylist.lists.reader import ListReader
from mylist.lists.writer import ListWriter
from mylist.mongodb.database import Database

if TYPE_CHECKING:
    from mylist.auth.tokens import Tokens


@dataclass(slots=True)
class ConcurrencyLimit:
    """How many requests may be in flight; `mylist.http.dispatch` enforces it.

    An event loop that accepts everything makes everybody wait, and a request whose client gave up still costs its full
    price. Refusing what exceeds the limit keeps the others fast.

    Attributes:
        maximum: most requests in flight.
        in_flight: requests in flight.
    """

    maximum: int
    in_flight: int = 0


class Connection(Protocol):
    """A client's connection, as far as the metrics look at it."""

    @property
    def active_request(self) -> tuple[str, str] | None:
        """Method and route template of the request that is being answered, as metrics label them."""


@dataclass(slots=True)
class ServerState:
    """Where the process is in its life.

    Attributes:
        has_indexes: whether MongoDB was reached and its indexes exist.
        started: whether there are the keys of tokens as well, if it takes any.
        draining: whether the process is about to stop.
        failure: why the process stopped by itself; empty if it did not.
        shed: how many requests were answered with which `UnavailableError`, by its code.
        connections: the open connections of clients.
    """

    has_indexes: bool = False
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
        kept_connection: what the header `Connection` of an answer says while the connection goes on, and `Keep-Alive`.
        browser_policy: what browsers are told: the origins that may call the API, and HSTS.
        reader, writer, change_feed: the use cases.
        pages: the rendered answers, for their metrics.
        request_limit: how many list requests may be in flight.
        import_limit: how many imports may be in flight beside them; an import lasts as long as its client lets it.
        cache: the lists in Redis.
        health: whether Redis is available and trusted.
        database: whether MongoDB is available.
        keys: where the keys come from that tokens are verified with.
        tokens: verifies bearer tokens; None unless AUTH_MODE is jwt.
        state: where the process is in its life.
    """

    settings: Settings
    kept_connection: str
    browser_policy: BrowserPolicy
    reader: ListReader
    writer: ListWriter
    change_feed: ChangeFeed
    pages: PageCache
    request_limit: ConcurrencyLimit
    import_limit: ConcurrencyLimit
    cache: ListCache
    health: RedisHealth
    database: Database
    keys: KeySource
    tokens: "Tokens | None"
    state: ServerState = field(default_factory=ServerState)

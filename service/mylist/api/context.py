"""What the handlers work with."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mylist.api.admission import Admission
from mylist.api.pages import Pages
from mylist.cache.link import Link
from mylist.lists.service import Lists
from mylist.settings import Settings
from mylist.store.connection import Database

if TYPE_CHECKING:
    from mylist.api.protocol import HttpConnection
    from mylist.identity.tokens import Tokens


@dataclass(slots=True)
class Context:
    """The service's parts, as the composition root puts them together.

    Attributes:
        settings: the settings in force.
        allowed_origins: the browser origins that may call; `*` stands for any.
        admission: how many list requests may be under way.
        imports: how many imports may be under way beside them, which last as long as their clients let them.
        pages: what is remembered of rendered pages.
        turned_away: how often which `UnavailableError` was answered, by code.
        connections: of clients, those that are open.
        tokens: tell who asks; there with AUTH_MODE=jwt only, from before the port opens.
        lists: the rules; there from before the port opens.
        link: Redis' state; there from before the port opens.
        database: MongoDB's state; there from before the port opens.
        started: whether MongoDB was reached and its indexes exist.
        draining: whether the process is about to stop.
        failure: why the process stopped by itself; empty when it did not.
    """

    settings: Settings
    allowed_origins: frozenset[str] = field(init=False)
    admission: Admission = field(init=False)
    imports: Admission = field(init=False)
    pages: Pages = field(init=False)
    turned_away: Counter[str] = field(default_factory=Counter)
    connections: "set[HttpConnection]" = field(default_factory=set)
    tokens: "Tokens" = field(init=False)
    lists: Lists = field(init=False)
    link: Link = field(init=False)
    database: Database = field(init=False)
    started: bool = False
    draining: bool = False
    failure: str = ""

    def __post_init__(self) -> None:
        """Makes what the settings alone decide."""
        self.allowed_origins = frozenset(map(str.strip, self.settings.cors_origins.split(",")))
        self.admission = Admission(self.settings.max_concurrent_requests)
        self.imports = Admission(max(self.settings.max_concurrent_requests // 10, 1))
        self.pages = Pages(self.settings.page_memory * 1_000_000)

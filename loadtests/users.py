"""The actions of people, as classes for Locust, one for each of `scenarios`."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from random import choice, random
from types import MappingProxyType
from typing import ClassVar, TypeVar

import gevent
from locust import FastHttpUser, task
from locust.env import Environment

from loadtests.options import options_of
from loadtests.population import Population
from loadtests.response_checks import WrongAnswerError, check_stats, read_page
from mylist.api.schemas import ItemsPage

_T = TypeVar("_T")
_CODE = re.compile(rb'"code":"([A-Z_]+)"')

_ITEMS = "/api/mylist/items"
_STATS = "/api/mylist/stats"
_ADD = "/api/mylist/add"
_REMOVE = "/api/mylist/remove"
_WHOLE_LIST = "?pageSize=100"

_CHECKED_SHARE = 0.02
"""The share of the reads whose bodies are checked."""


@dataclass(frozen=True, slots=True)
class _Request:
    """One request, and what is right for an answer.

    Attributes:
        route: the template of the path, which names the request in statistics and metrics.
        code: of the error that does not count as a failure.
    """

    method: str
    route: str
    path: str
    body: Mapping[str, str] | None = None
    success: int = HTTPStatus.OK
    code: str = ""


class Visitor(FastHttpUser):
    """Visits by one person after another, over one connection, at an even pace.

    Where visits take longer than their turns, the next begins at once, and those that were missed are not made up for.
    """

    abstract = True
    network_timeout = connection_timeout = 10.0
    visits_per_second: ClassVar[float] = 4.0

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        options = options_of(environment)
        self._population = Population(options.people, options.titles)
        self._due = 0.0
        self._reconnect: float = options.reconnect
        self._connected = 0.0

    def on_start(self) -> None:
        """Wait for a part of a turn: users that begin together must not stay in step."""
        self._due = time.perf_counter() + random() / self.visits_per_second
        # Not all of them at once, either.
        self._connected = time.perf_counter() - random() * self._reconnect
        gevent.sleep(self._due - time.perf_counter())

    def wait_time(self) -> float:
        """Return the seconds until the next visit."""
        now = time.perf_counter()
        self._due = max(self._due + 1 / self.visits_per_second, now)
        return self._due - now

    def visitor(self) -> str:
        """Return the `user-id` of the next visitor."""
        if self._reconnect and time.perf_counter() >= self._connected + self._reconnect:
            self.client.client.clientpool.close()  # the next request opens another
            self._connected = time.perf_counter()
        return self._population.person()

    def look(self, person: str, query: str = "") -> None:
        """Read a page."""
        self._ask(_Request("GET", _ITEMS, _ITEMS + query), person, _sampled(partial(read_page, person=person)))

    def study(self, person: str) -> ItemsPage | None:
        """Read the whole list with its titles; return None if that failed."""
        return self._ask(_Request("GET", _ITEMS, _ITEMS + _WHOLE_LIST), person, partial(read_page, person=person))

    def count(self, person: str) -> None:
        """Read the statistics."""
        self._ask(_Request("GET", _STATS, _STATS), person, _sampled(check_stats))

    def add(self, person: str, listed: ItemsPage) -> None:
        """Add a popular title that is not on the list; it may be there by now."""
        title = self._population.title(without={item.content_id for item in listed.items})
        body = {"contentId": title.content_id, "contentType": title.content_type}
        self._ask(_Request("POST", _ADD, _ADD, body, HTTPStatus.CREATED, "ITEM_ALREADY_IN_LIST"), person)

    def remove(self, person: str, listed: ItemsPage) -> None:
        """Remove something that is on the list; it may be gone by now."""
        path = f"{_REMOVE}/{choice(listed.items).content_id}"
        self._ask(_Request("DELETE", f"{_REMOVE}/{{content_id}}", path, code="ITEM_NOT_IN_LIST"), person)

    def _ask(self, request: _Request, person: str, read: Callable[[bytes], _T | None] = lambda _: None) -> _T | None:
        """Send a request; return the parsed answer, or None if it is an error or wrong."""
        with self.client.request(
            request.method,
            request.path,
            name=request.route,
            json=request.body,
            headers={"user-id": person},
            catch_response=True,
        ) as answer:
            if answer.status_code == request.success:
                try:
                    return read(answer.content)
                except WrongAnswerError as error:
                    answer.failure(str(error))
            elif answer.content:  # without an answer Locust knows why
                found = _CODE.search(answer.content)
                code = found[1].decode() if found else ""
                if request.code and code == request.code:
                    answer.success()
                else:
                    answer.failure(f"{answer.status_code} {code}")
        return None


def _sampled(read: Callable[[bytes], object]) -> Callable[[bytes], None]:
    """Return a check that runs for a sample of the bodies only."""

    def check(body: bytes) -> None:
        if random() < _CHECKED_SHARE:
            read(body)

    return check


class CachedLatency(Visitor):
    """All users open the app, which reads the first page."""

    @task
    def open_app(self) -> None:
        """Read page 1."""
        self.look(self.visitor())


class Browse(Visitor):
    """All users leaf through the list."""

    visits_per_second = 2.0

    @task
    def leaf_through(self) -> None:
        """Read two pages, the first page in smaller parts, and the statistics."""
        person = self.visitor()
        for query in ("", "?page=2", "?page=1&pageSize=10"):
            self.look(person, query)
        self.count(person)


class Mixed(Visitor):
    """Usual behaviour: two of forty requests change a list."""

    visits_per_second = 3.0

    @task(16)
    def open_app(self) -> None:
        """Read page 1."""
        self.look(self.visitor())

    @task(6)
    def leaf_through(self) -> None:
        """Read both pages and the statistics."""
        person = self.visitor()
        self.look(person)
        self.look(person, "?page=2")
        self.count(person)

    @task(1)
    def save(self) -> None:
        """Look at the list, add something, and look again."""
        person = self.visitor()
        if listed := self.study(person):
            self.add(person, listed)
            self.look(person)

    @task(1)
    def tidy_up(self) -> None:
        """Look at the list, remove something, and look again."""
        person = self.visitor()
        listed = self.study(person)
        if listed and listed.items:
            self.remove(person, listed)
            self.look(person)


class Spike(CachedLatency):
    """Opens the app, in the shape of a spike."""


class Ramp(Mixed):
    """Usual behaviour, in the shape of a ramp."""


class Soak(Mixed):
    """Usual behaviour, for a long time."""


USER_CLASSES: Mapping[str, type[Visitor]] = MappingProxyType(
    {
        "cached-latency": CachedLatency,
        "browse": Browse,
        "mixed": Mixed,
        "spike": Spike,
        "ramp": Ramp,
        "soak": Soak,
    }
)

"""How long a change takes, and the first read after one: one client, one request at a time, in milliseconds."""

import json
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from http import HTTPStatus
from itertools import cycle, islice

from bench.client import Client, request
from bench.environment import BASELINE, TITLES, USERS, Environment, Server
from bench.samples import Sample, percentile
from mylist.seeding.synthetic_data import title_id, title_type, user_id

EMPTY = "empty route, one request at a time"
_USERS_PER_ROUND = 50
# On no list so far, and requested over and over, like a title that has just come out.
_TITLE = TITLES
_ADDED = json.dumps({"contentId": title_id(_TITLE), "contentType": title_type(_TITLE)}).encode()

CACHED, FIRST_READ = "items, 20, cached", "items, 20, first read after a change"
ADD, REMOVE = "add", "remove"


@dataclass(frozen=True, slots=True)
class Step:
    """A request for a change, and the expected answer."""

    name: str
    asked: bytes
    status: int
    cache: str | None = None

    def measure(self, client: Client) -> float:
        """Take the step; return the seconds that took."""
        return client.measure(self.asked, status=self.status, cache=self.cache)


def steps(user: str) -> list[Step]:
    """Return the requests that add a title to a user's list and remove it, and the reads before and after."""
    items = request("GET", "/api/mylist/items", user=user)
    first_read = Step(FIRST_READ, items, HTTPStatus.OK, "miss")
    return [
        Step(CACHED, items, HTTPStatus.OK, "hit"),
        Step(ADD, request("POST", "/api/mylist/add", user=user, body=_ADDED), HTTPStatus.CREATED),
        first_read,
        Step(REMOVE, request("DELETE", f"/api/mylist/remove/{title_id(_TITLE)}", user=user), HTTPStatus.OK),
        first_read,
    ]


def users_of(number: int) -> list[str]:
    """Return the users whose turn is in a round."""
    first = number * _USERS_PER_ROUND % USERS
    return list(islice(cycle(map(user_id, range(1, USERS + 1))), first, first + _USERS_PER_ROUND))


@dataclass(frozen=True, slots=True)
class WriteLatency:
    """Takes users in turn: adds a title to each one's list, reads the list, removes the title, reads it again.

    Attributes:
        servers: by the endings of their rows' names; they take turns request by request.
    """

    servers: Mapping[str, Server]

    @property
    def references(self) -> dict[str, str | None]:
        """The rows, each with its reference row."""
        names = (CACHED, FIRST_READ, ADD, REMOVE)
        return {EMPTY: None} | {f"{name}{ending}": EMPTY for name in names for ending in self.servers}

    def measure(self, environment: Environment, number: int) -> dict[str, Sample]:
        """Measure one round."""
        times: dict[str, list[float]] = defaultdict(list)
        with ExitStack() as stack:
            empty = stack.enter_context(Client(environment.url(BASELINE)))
            clients = {
                ending: stack.enter_context(Client(environment.url(server))) for ending, server in self.servers.items()
            }
            for user in users_of(number):
                times[EMPTY].append(empty.measure(request("GET", "/empty"), status=200))
                for ending, client in clients.items():
                    for step in steps(user):
                        times[step.name + ending].append(step.measure(client))
        return {
            name: Sample(p50=percentile(took, 50) * 1000, p99=percentile(took, 99) * 1000)
            for name, took in times.items()
        }

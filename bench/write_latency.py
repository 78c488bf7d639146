"""How long a change takes, and the first read after one: one client, one request at a time, in milliseconds."""

import json
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle, islice

from bench.client import Client, request
from bench.environment import BASELINE, TITLES, USERS, Environment, Server
from bench.samples import Sample, percentile
from mylist.seeding.synthetic_data import title_id, title_type, user_id

EMPTY = "empty route, one request at a time"
_USERS_PER_ROUND = 50
# On nobody's list, and asked for again and again, as a title that has just come out.
_TITLE = TITLES
_ADDED = json.dumps({"contentId": title_id(_TITLE), "contentType": title_type(_TITLE)}).encode()


@dataclass(frozen=True, slots=True)
class WriteLatency:
    """Takes users in turn: adds a title to each one's list, reads the list, removes the title, reads it again.

    Attributes:
        servers: where, by what the rows' names end in; they take turns request by request.
    """

    servers: Mapping[str, Server]

    @property
    def references(self) -> dict[str, str | None]:
        """The rows, each with the one that it is compared with."""
        steps = ("items, 20, cached", "items, 20, first read after a change", "add", "remove")
        return {EMPTY: None} | {f"{step}{ending}": EMPTY for step in steps for ending in self.servers}

    def measure(self, environment: Environment, number: int) -> dict[str, Sample]:
        """Measure one round."""
        times: dict[str, list[float]] = defaultdict(list)
        first = number * _USERS_PER_ROUND % USERS
        with ExitStack() as stack:
            empty = stack.enter_context(Client(environment.url(BASELINE)))
            clients = {
                ending: stack.enter_context(Client(environment.url(server))) for ending, server in self.servers.items()
            }
            for user in islice(cycle(map(user_id, range(1, USERS + 1))), first, first + _USERS_PER_ROUND):
                times[EMPTY].append(empty.measure(request("GET", "/empty"), status=200))
                for ending, client in clients.items():
                    for step, took in _change(client, user):
                        times[step + ending].append(took)
        return {
            name: Sample(p50=percentile(took, 50) * 1000, p99=percentile(took, 99) * 1000)
            for name, took in times.items()
        }


def _change(client: Client, user: str) -> list[tuple[str, float]]:
    items = request("GET", "/api/mylist/items", user=user)
    add = request("POST", "/api/mylist/add", user=user, body=_ADDED)
    remove = request("DELETE", f"/api/mylist/remove/{title_id(_TITLE)}", user=user)
    return [
        ("items, 20, cached", client.measure(items, status=200, cache="hit")),
        ("add", client.measure(add, status=201)),
        ("items, 20, first read after a change", client.measure(items, status=200, cache="miss")),
        ("remove", client.measure(remove, status=200)),
        ("items, 20, first read after a change", client.measure(items, status=200, cache="miss")),
    ]

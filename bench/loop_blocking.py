"""How long the event loop is held while a long list is sorted and filtered, measured in a process of its own."""

import subprocess
import sys
from dataclasses import dataclass

import msgspec

from bench.environment import Environment
from bench.samples import Sample
from mylist.domain.filter_and_sort import ListQuery
from mylist.domain.page_request import ItemsQuery, PageRequest

BY_TITLE = "by title"
UNKNOWN = "by title, no title in memory"
READS = {
    name: ItemsQuery(list_query, PageRequest(1, 20), None, ids_only)
    for name, list_query, ids_only in (
        (BY_TITLE, ListQuery(None, (), "title", descending=False), False),
        ("movies by release date", ListQuery("movie", (), "releaseDate", descending=True), False),
        ("movies, ids", ListQuery("movie", (), "addedAt", descending=True), True),
        ("by words of the title", ListQuery(words=("movie",)), False),
        ("shuffled", ListQuery(sort="random", seed="1"), False),
    )
}
_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class LoopBlocking:
    """A list of 5,000, which each read processes as a whole (`bench.loop_blocking_process`)."""

    @property
    def references(self) -> dict[str, str | None]:
        """The rows; none is compared with another."""
        return dict.fromkeys((UNKNOWN, *READS))

    def measure(self, environment: Environment, number: int) -> dict[str, Sample]:  # noqa: ARG002 - all rounds are alike
        """Measure one round."""
        command = [sys.executable, "-m", "bench.loop_blocking_process", environment.mongodb_uri]
        printed = subprocess.run(command, check=True, capture_output=True, timeout=_TIMEOUT_S).stdout
        return msgspec.json.decode(printed, type=dict[str, Sample])

"""How long the event loop is held while a long list is sorted and filtered, measured in a process of its own."""

import subprocess
import sys
from dataclasses import dataclass

import msgspec

from bench.samples import Sample
from bench.stage import Stage
from mylist.api.paging import Paging
from mylist.api.selection import Selection
from mylist.lists.arrangement import Arrangement

BY_TITLE = "by title"
UNKNOWN = "by title, of titles that are not known"
READS = {
    name: Selection(arrangement, Paging(1, 20), None, ids_only)
    for name, arrangement, ids_only in (
        (BY_TITLE, Arrangement(None, None, "title", descending=False), False),
        ("movies by release date", Arrangement("movie", None, "releaseDate", descending=True), False),
        ("movies, ids", Arrangement("movie", None, "addedAt", descending=True), True),
    )
}
_TIMEOUT = 60


@dataclass(frozen=True, slots=True)
class Holding:
    """A list of 5,000, of which the whole is worked on at each read (`bench.holds`)."""

    @property
    def references(self) -> dict[str, str | None]:
        """The rows; none is compared with another."""
        return dict.fromkeys((UNKNOWN, *READS))

    def measure(self, stage: Stage, number: int) -> dict[str, Sample]:  # noqa: ARG002 - all rounds are alike
        """Measures one round."""
        command = [sys.executable, "-m", "bench.holds", stage.mongodb_uri]
        printed = subprocess.run(command, check=True, capture_output=True, timeout=_TIMEOUT).stdout
        return msgspec.json.decode(printed, type=dict[str, Sample])

"""The requests about one user's list and their answers: the material of the check.

An observation (`Contains`, or a read: `Page`, `Stats`, `Marks`) does not change the list. A change is `Add`, `Remove`
or `Discard`. Titles are small numbers here, in the order of their content ids. `addedAt` is kept as the string of the
API, because these strings sort by time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

Item = tuple[int, str]
"""One entry of a list: the title and its `addedAt`."""

LARGEST_PAGE = 100
"""Items; no list here is as long."""

ANY_TIME = ("", "~")
"""Before and after every `addedAt`."""

OPERATOR = -2
"""In place of a service process: a command of an operator."""
MONGODB = -1
"""In place of a service process: the list was read from MongoDB itself, after everything else."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the list: the request, the total of the answer, and its items in the answer's order."""

    page: int
    size: int
    total: int
    items: tuple[Item, ...]
    flaw: str = field(init=False, compare=False)
    """The fault that no list can explain: `duplicated`, `reordered`, `miscounted`; empty for none."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "flaw", self._flaw())

    @property
    def is_whole(self) -> bool:
        """Return whether it shows the whole list."""
        return self.page == 1 and self.total <= self.size

    def _flaw(self) -> str:
        if len({title for title, _ in self.items}) < len(self.items):
            return "duplicated"
        if list(self.items) != in_order(self.items):
            return "reordered"
        expected = min(max(self.total - (self.page - 1) * self.size, 0), self.size)
        return "" if len(self.items) == expected else "miscounted"


@dataclass(frozen=True, slots=True)
class Stats:
    """How many movies and shows the list has."""

    movies: int
    shows: int


@dataclass(frozen=True, slots=True)
class Marks:
    """Which of all titles the list has."""

    present: frozenset[int]


@dataclass(frozen=True, slots=True)
class Contains:
    """Whether the list has a title, by the status of a change: 409, and 200 to PUT, mean yes, 404 means no."""

    title: int
    present: bool


@dataclass(frozen=True, slots=True)
class Add:
    """A title was put on the list; `added_at` is `None` if no answer had it."""

    title: int
    added_at: str | None
    span: tuple[str, str] = field(default=ANY_TIME, compare=False)
    """The bounds of an unknown `added_at`."""


@dataclass(frozen=True, slots=True)
class Remove:
    """A title was taken off the list."""

    title: int


@dataclass(frozen=True, slots=True)
class Discard:
    """A title was taken off the list if it was there."""

    title: int


Read = Page | Stats | Marks
Observation = Read | Contains
Change = Add | Remove | Discard
Action = Observation | Change


@dataclass(slots=True)
class Operation:
    """One request: when it was sent and answered (seconds on one clock), by which process, and what it came to.

    A request that changes several titles is an operation for each: others may see some of them done and some not.
    A change that was not acknowledged may have happened all the same, and may still happen later, once.
    `request` is the kind of the request, as `tally.KINDS` names it; empty for reads of MongoDB itself.
    """

    began: float
    ended: float
    process: int
    action: Action
    acknowledged: bool = True
    request: str = ""


def in_order(items: tuple[Item, ...] | list[Item]) -> list[Item]:
    """Put items into the order of the API: newest first, equal times by content id."""
    return sorted(sorted(items), key=lambda item: item[1], reverse=True)


def as_page(items: Sequence[Item]) -> Page:
    """Return a whole list as the page that shows it."""
    return Page(1, LARGEST_PAGE, len(items), tuple(items))

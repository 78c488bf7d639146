"""Synthetic data: numbered users and titles, and the list of each user, all computed from the number.

The same numbers give the same ids and lists everywhere, so that load tests and benchmarks know the data without
a query. This module needs no package but the standard library.
"""

import random
from dataclasses import dataclass

from mylist.domain.content import ContentType

_MAX_DRAWS_PER_ITEM = 4


class InvalidSyntheticDataError(ValueError):
    """The sizes are invalid; the message is one line."""


@dataclass(frozen=True, slots=True)
class SyntheticData:
    """The sizes of the synthetic data: users and titles are numbered from 1, and every list has `items` items.

    Raises:
        InvalidSyntheticDataError: a size is less than 1, or a list would need more titles than there are.
    """

    users: int
    titles: int
    items: int

    def __post_init__(self) -> None:
        for name, size in (("users", self.users), ("titles", self.titles), ("items", self.items)):
            if size < 1:
                raise InvalidSyntheticDataError(f"--{name} is {size}; it must be at least 1")
        if self.items > self.titles:
            raise InvalidSyntheticDataError(
                f"--items is {self.items}; it must be at most --titles, {self.titles}, because no list has a title "
                "twice"
            )

    def list_of(self, user: int) -> list[int]:
        """Return the titles on a user's list, newest first and each once; low numbers are popular (Zipf's law)."""
        draw = random.Random(user).random  # noqa: S311 - the same list every time is the purpose
        drawn: dict[int, None] = {}
        for _ in range(_MAX_DRAWS_PER_ITEM * self.items):
            # The result is k with a probability of log(1 + 1/k) / log(titles + 1), nearly proportional to 1/k.
            drawn[int((self.titles + 1) ** draw())] = None
            if len(drawn) == self.items:
                break
        # A list of nearly all titles would take too long to draw, so the most popular titles fill it up.
        for title in range(1, self.titles + 1):
            if len(drawn) == self.items:
                break
            drawn[title] = None
        return list(drawn)


def user_id(number: int) -> str:
    """Return the `user-id` of the n-th user."""
    return f"user-{number:08d}"


def title_id(number: int) -> str:
    """Return the `contentId` of the n-th title: 24 hex digits."""
    return f"10ad{number:020x}"


def title_type(number: int) -> ContentType:
    """Return the `contentType` of the n-th title; every third is a show."""
    return "movie" if number % 3 else "tvshow"

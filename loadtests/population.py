"""The users and their choices: people and titles of a load-test data set, drawn by popularity."""

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import chain

from mylist.domain.content import ContentType
from mylist.seeding.synthetic_data import title_id, title_type, user_id

_EVEN_PEOPLE = 0.01
"""The share of the people who are about equally active: real users do not open the app ten times a second."""

_DRAWS = 100


class Zipf:
    """Numbers from 1; the frequency of the k-th is nearly proportional to 1 / (k + shift).

    Without a shift it is Zipf's law, by which the load-test data set draws its lists. With one (Mandelbrot's form of
    it) the first `shift` numbers are about equally frequent.
    """

    def __init__(self, count: int, shift: float = 0.0, *, uniform: Callable[[], float] = random.random) -> None:
        self._start = 1.0 + shift
        self._ratio = (count + self._start) / self._start
        self._count = count
        self._uniform = uniform

    def draw(self) -> int:
        """Draw one."""
        # The inverse of the distribution function log((k + shift) / (1 + shift)) / log(ratio).
        drawn = int(self._start * (self._ratio ** self._uniform() - 1)) + 1
        return min(drawn, self._count)  # a product may be rounded up to the end


@dataclass(frozen=True, slots=True)
class Title:
    """A movie or show, as an add names it."""

    content_id: str
    content_type: ContentType


class Population:
    """The people of a load-test data set and the titles that they may want."""

    def __init__(self, people: int, titles: int) -> None:
        self._people = Zipf(people, shift=_EVEN_PEOPLE * people)
        self._titles = Zipf(titles)
        self._every_title = titles

    def person(self) -> str:
        """Return the `user-id` of a person; active people come more often."""
        return user_id(self._people.draw())

    def title(self, *, without: Collection[str]) -> Title:
        """Return a title that is not among these content ids; popular titles come more often."""
        for number in chain((self._titles.draw() for _ in range(_DRAWS)), range(1, self._every_title + 1)):
            if title_id(number) not in without:
                break
        return Title(title_id(number), title_type(number))

"""One state that a user's list may be in, and what the API would answer in it."""

from collections.abc import Mapping

from tests.faults.freshness.history import Change, Contains, Item, Observation, Page, Remove, Stats, in_order

Held = frozenset[tuple[int, str | None]]


class Listing:
    """A state: the `addedAt` of each title; None for one that was added and that no page ever showed."""

    __slots__ = ("_listed", "_shows", "held", "items")

    def __init__(self, held: Held, shows: frozenset[int]) -> None:
        self.held = held
        self.items: dict[int, str | None] = dict(held)
        self._listed: list[Item] | None = None
        self._shows = len(shows & self.items.keys())

    @property
    def listed(self) -> list[Item]:
        """The items whose place is known, in the order of the API."""
        if self._listed is None:
            self._listed = in_order([(title, added_at) for title, added_at in self.items.items() if added_at])
        return self._listed

    def answers(self, observation: Observation) -> bool:
        """Says whether this state may be what was observed."""
        match observation:
            case Page():
                return self._answers_page(observation)
            case Stats(movies, shows):
                return (len(self.items) - self._shows, self._shows) == (movies, shows)
            case Contains(title, present):
                return (title in self.items) is present

    def differs_in(self, observation: Observation) -> set[int] | None:
        """Gives the titles in which this state and what was observed differ; None when that cannot be told."""
        match observation:
            case Page() if observation.is_whole:
                return {title for title, _ in set(observation.items) ^ self.held}
            case Contains(title, _):
                return {title}
            case _:
                return None

    def _answers_page(self, observed: Page) -> bool:
        if observed.total != len(self.items):
            return False
        start = (observed.page - 1) * observed.size
        count = len(observed.items)
        # Any number of the titles that no page ever showed may stand before this page; none stands in it.
        unseen = len(self.items) - len(self.listed)
        return any(
            tuple(self.listed[first : first + count]) == observed.items
            for first in range(max(start - unseen, 0), start + 1)
        )


class Listings:
    """Makes states, each only once, so that what one knows of itself is worked out once."""

    def __init__(self, shows: frozenset[int]) -> None:
        self._shows = shows
        self._known: dict[Held, Listing] = {}

    def of(self, items: Mapping[int, str | None]) -> Listing:
        """Gives the state with these items."""
        held = frozenset(items.items())
        listing = self._known.get(held)
        if listing is None:
            listing = self._known[held] = Listing(held, self._shows)
        return listing

    def after(self, listing: Listing, change: Change, added_at: str | None = None) -> Listing | None:
        """Gives the state that a change leaves; None when it cannot be made in this one."""
        if (change.title in listing.items) is not isinstance(change, Remove):
            return None
        return self.forced(listing, change, added_at)

    def forced(self, listing: Listing, change: Change, added_at: str | None = None) -> Listing:
        """Gives the state that a change leaves, whether or not it can be made."""
        items = dict(listing.items)
        if isinstance(change, Remove):
            items.pop(change.title, None)
        else:
            items[change.title] = added_at
        return self.of(items)

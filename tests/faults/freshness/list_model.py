"""A possible state of a user's list, and the API's answers in that state."""

from collections.abc import Callable, Mapping

from tests.faults.freshness.history import (
    Add,
    Change,
    Contains,
    Discard,
    Item,
    Marks,
    Observation,
    Page,
    Remove,
    Stats,
    in_order,
)

Contents = frozenset[tuple[int, str | None]]


class ListState:
    """A state: the `addedAt` of each title; None for one that was added and that no page ever showed."""

    __slots__ = ("_all_shows", "_listed", "_shows", "contents", "items")

    def __init__(self, contents: Contents, shows: frozenset[int]) -> None:
        self._all_shows = shows
        self.contents = contents
        self.items: dict[int, str | None] = dict(contents)
        self._listed: list[Item] | None = None
        self._shows = len(shows & self.items.keys())

    @property
    def listed(self) -> list[Item]:
        """The items whose place is known, in the order of the API."""
        if self._listed is None:
            self._listed = in_order([(title, added_at) for title, added_at in self.items.items() if added_at])
        return self._listed

    def answers(self, observation: Observation) -> bool:
        """Return whether this state may be what was observed."""
        match observation:
            case Page():
                return self._answers_page(observation)
            case Stats(movies, shows):
                return (len(self.items) - self._shows, self._shows) == (movies, shows)
            case Marks(present):
                return self.items.keys() == present
            case Contains(title, present):
                return (title in self.items) is present

    def differs_in(self, whole: Page) -> set[int]:
        """Return the titles in which this state and a whole list differ."""
        return {title for title, _ in set(whole.items) ^ self.contents}

    def calls_for(self, observation: Observation) -> Callable[[Change], bool]:
        """Return a predicate of changes: whether one brings this state closer to what was observed.

        The search need not try other changes, because they lead away and back again.
        """
        match observation:
            case Contains(title, _):
                return lambda change: change.title == title
            case Marks(present):
                titles = self.items.keys() ^ present
                return lambda change: change.title in titles
            case Stats(movies, shows):
                missing_movies, missing_shows = movies - len(self.items) + self._shows, shows - self._shows
                return lambda change: _counts(
                    change, missing_shows if change.title in self._all_shows else missing_movies
                )
            case Page() if observation.is_whole:
                titles = self.differs_in(observation)
                return lambda change: change.title in titles
            case Page() if len(self.listed) < len(self.items):
                return lambda _: True
            case Page():
                return self._page_calls_for(observation)

    def _page_calls_for(self, observed: Page) -> Callable[[Change], bool]:
        shown = dict(observed.items)
        if not shown:
            missing = observed.total - len(self.items)
            return lambda change: _counts(change, missing)
        others = [item for item in self.listed if item[0] not in shown]
        before = {item[0] for item in others if in_order([item, observed.items[0]])[0] == item}
        after = {item[0] for item in others if in_order([item, observed.items[-1]])[1] == item}
        missing_before = (observed.page - 1) * observed.size - len(before)
        missing_after = observed.total - len(shown) - len(before) - missing_before - len(after)

        def helps(change: Change) -> bool:
            title = change.title
            if title in shown:
                return self.items.get(title) != shown[title]
            if title not in self.items:
                return missing_before > 0 or missing_after > 0
            if title in before:
                return missing_before < 0
            return title not in after or missing_after < 0

        return helps

    def _answers_page(self, observed: Page) -> bool:
        if observed.total != len(self.items):
            return False
        start = (observed.page - 1) * observed.size
        count = len(observed.items)
        # Any number of the titles that no page ever showed may precede this page; none is in it.
        unseen = len(self.items) - len(self.listed)
        return any(
            tuple(self.listed[first : first + count]) == observed.items
            for first in range(max(start - unseen, 0), start + 1)
        )


def _counts(change: Change, missing: int) -> bool:
    return missing > 0 if isinstance(change, Add) else missing < 0


class ListStates:
    """Makes states, each only once, so that each computes its properties only once."""

    def __init__(self, shows: frozenset[int]) -> None:
        self._shows = shows
        self._known: dict[Contents, ListState] = {}

    def of(self, items: Mapping[int, str | None]) -> ListState:
        """Return the state with these items."""
        contents = frozenset(items.items())
        state = self._known.get(contents)
        if state is None:
            state = self._known[contents] = ListState(contents, self._shows)
        return state

    def after(self, state: ListState, change: Change, added_at: str | None = None) -> ListState | None:
        """Return the state that a change leads to; None if the change is impossible in the given state."""
        if isinstance(change, Discard):
            return self.forced(state, change)
        if (change.title in state.items) is not isinstance(change, Remove):
            return None
        return self.forced(state, change, added_at)

    def forced(self, state: ListState, change: Change, added_at: str | None = None) -> ListState:
        """Return the state that a change leads to, even if the change is impossible in the given state."""
        items = dict(state.items)
        if isinstance(change, Add):
            items[change.title] = added_at
        else:
            items.pop(change.title, None)
        return self.of(items)

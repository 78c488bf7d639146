"""The check of a history, on histories written by hand: it finds each violation, and accepts all that is allowed."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random

import pytest

from mylist.domain.timestamps import iso_format
from tests.faults.freshness.history import (
    MONGODB,
    Action,
    Add,
    Change,
    Contains,
    Discard,
    Item,
    Marks,
    Operation,
    Page,
    Remove,
    Stats,
    in_order,
)
from tests.faults.freshness.linearizability import LATE_S, Findings, Kind, check

SHOWS = frozenset({2, 5, 8})

# Each letter is one date of addition.
A, B, C, D = (f"2026-01-01T00:00:0{second}.000Z" for second in range(4))


def did(began: float, ended: float, action: Action, process: int = 0) -> Operation:
    return Operation(began, ended, process, action)


def tried(began: float, ended: float, action: Change) -> Operation:
    return Operation(began, ended, 0, action, acknowledged=False)


def page(*items: Item, total: int | None = None, number: int = 1, size: int = 10) -> Page:
    return Page(number, size, len(items) if total is None else total, items)


def found(*operations: Operation) -> list[Kind]:
    findings: Findings = check(operations, shows=SHOWS)
    assert findings.undecided == 0
    return [violation.kind for violation in findings.violations]


class TestSequentialOperations:
    def test_the_answers_of_a_correct_list_have_no_violation(self) -> None:
        assert not found(
            did(0, 1, page()),
            did(2, 3, Add(1, A)),
            did(4, 5, page((1, A))),
            did(6, 7, Add(2, B)),
            did(8, 9, page((2, B), (1, A))),
            did(10, 11, Stats(movies=1, shows=1)),
            did(10, 11, Marks(frozenset({1, 2}))),
            did(12, 13, Contains(1, present=True)),
            did(14, 15, Remove(1)),
            did(16, 17, page((2, B))),
            did(18, 19, Contains(1, present=False)),
            did(20, 21, Add(1, C)),
            did(22, 23, page((1, C), (2, B))),
        )

    def test_a_missing_add_is_stale(self) -> None:
        assert found(did(0, 1, Add(1, A)), did(2, 3, page())) == [Kind.STALE]

    def test_a_removed_item_that_comes_back_is_stale(self) -> None:
        history = did(0, 1, Add(1, A)), did(2, 3, Remove(1)), did(4, 5, page()), did(6, 7, page((1, A)))
        assert found(*history) == [Kind.STALE]

    def test_the_date_of_an_earlier_addition_is_stale(self) -> None:
        history = did(0, 1, Add(1, A)), did(2, 3, Remove(1)), did(4, 5, Add(1, B)), did(6, 7, page((1, A)))
        assert found(*history) == [Kind.STALE]

    def test_the_staleness_of_a_read_counts_from_the_acknowledgement(self) -> None:
        history = did(0, 1, Add(1, A)), did(2, 3, Add(2, B)), did(7, 8, page((1, A)))
        [violation] = check(history, shows=SHOWS).violations
        assert violation.stale_by == 4

    def test_outdated_stats_are_stale(self) -> None:
        assert found(did(0, 1, Add(2, A)), did(2, 3, Stats(movies=0, shows=0))) == [Kind.STALE]

    def test_stats_that_were_never_true_are_impossible(self) -> None:
        assert found(did(0, 1, Add(2, A)), did(2, 3, Stats(movies=1, shows=0))) == [Kind.IMPOSSIBLE]

    def test_an_outdated_set_of_listed_titles_is_stale_and_a_set_that_was_never_true_is_impossible(self) -> None:
        assert found(did(0, 1, Add(2, A)), did(2, 3, Marks(frozenset()))) == [Kind.STALE]
        assert found(did(0, 1, Add(2, A)), did(2, 3, Marks(frozenset({1})))) == [Kind.IMPOSSIBLE]

    def test_a_set_of_listed_titles_can_show_an_unacknowledged_add(self) -> None:
        assert not found(tried(0, 1, Add(2, None)), did(2, 3, Marks(frozenset({2}))), did(4, 5, page((2, A))))
        assert found(tried(0, 1, Add(2, None)), did(2, 3, Marks(frozenset({2}))), did(4, 5, page())) != []

    def test_a_total_that_was_never_true_is_impossible(self) -> None:
        history = did(0, 1, Add(1, A)), did(2, 3, page((1, A), total=2, size=1))
        assert found(*history) == [Kind.IMPOSSIBLE]

    def test_an_item_that_nobody_added_is_impossible(self) -> None:
        assert found(did(0, 1, page((1, A)))) == [Kind.IMPOSSIBLE]

    def test_a_date_other_than_the_acknowledged_one_is_impossible(self) -> None:
        assert found(did(0, 1, Add(1, A)), did(2, 3, page((1, B)))) == [Kind.IMPOSSIBLE]

    def test_an_item_that_a_page_shows_twice_is_duplicated(self) -> None:
        assert found(did(0, 1, Add(1, A)), did(2, 3, page((1, A), (1, A)))) == [Kind.DUPLICATED]

    def test_an_older_item_before_a_newer_one_is_reordered(self) -> None:
        history = did(0, 1, Add(1, A)), did(2, 3, Add(2, B)), did(4, 5, page((1, A), (2, B)))
        assert found(*history) == [Kind.REORDERED]

    def test_equal_dates_are_ordered_by_content(self) -> None:
        added = did(0, 1, Add(2, A)), did(2, 3, Add(1, A))
        assert not found(*added, did(4, 5, page((1, A), (2, A))))
        assert found(*added, did(4, 5, page((2, A), (1, A)))) == [Kind.REORDERED]

    def test_a_page_with_fewer_items_than_its_total_is_miscounted(self) -> None:
        assert found(did(0, 1, Add(1, A)), did(2, 3, page((1, A), total=2))) == [Kind.MISCOUNTED]

    @pytest.mark.parametrize(
        ("number", "items"), [(1, [(3, C), (2, B)]), (2, [(1, A)]), (3, [])], ids=["first", "last", "past the end"]
    )
    def test_a_page_that_shows_its_own_slice_of_the_list_is_accepted(self, number: int, items: list[Item]) -> None:
        added = did(0, 1, Add(1, A)), did(2, 3, Add(2, B)), did(4, 5, Add(3, C))
        assert not found(*added, did(6, 7, page(*items, total=3, number=number, size=2)))

    def test_a_page_that_shows_another_slice_of_the_list_is_impossible(self) -> None:
        added = did(0, 1, Add(1, A)), did(2, 3, Add(2, B)), did(4, 5, Add(3, C))
        assert found(*added, did(6, 7, page((2, B), (1, A), total=3, size=2))) == [Kind.IMPOSSIBLE]

    def test_a_refusal_without_a_reason_is_reported(self) -> None:
        assert found(did(0, 1, Contains(1, present=True))) == [Kind.REFUSED]
        assert found(did(0, 1, Add(1, A)), did(2, 3, Contains(1, present=False))) == [Kind.REFUSED]

    def test_an_accepted_add_of_a_listed_title_is_reported(self) -> None:
        history = did(0, 1, Add(1, A)), did(2, 3, Add(1, B)), did(4, 5, page((1, B)))
        assert found(*history) == [Kind.ACCEPTED]

    def test_an_accepted_removal_of_an_unlisted_title_is_reported(self) -> None:
        assert found(did(0, 1, Remove(1)), did(2, 3, page())) == [Kind.ACCEPTED]


class TestConcurrentOperations:
    @pytest.mark.parametrize("seen", [page(), page((1, A))])
    def test_a_read_may_show_the_list_before_or_after_a_change_that_it_overlaps(self, seen: Page) -> None:
        assert not found(did(0, 3, Add(1, A)), did(1, 2, seen))
        assert not found(did(1, 2, Add(1, A)), did(0, 3, seen))

    def test_a_change_that_was_seen_before_its_acknowledgement_must_stay(self) -> None:
        history = did(0, 9, Add(1, A)), did(1, 2, page((1, A))), did(3, 4, page())
        assert found(*history) == [Kind.WAVERED]

    def test_concurrent_reads_may_differ_on_a_change_in_flight(self) -> None:
        assert not found(did(0, 9, Add(1, A)), did(1, 3, page((1, A))), did(2, 4, page()))

    def test_successive_reads_must_agree_on_the_order_of_concurrent_changes(self) -> None:
        changes = did(0, 9, Add(1, A)), did(0, 9, Add(2, B))
        assert not found(*changes, did(1, 2, page((1, A))), did(3, 4, page((2, B), (1, A))))
        assert found(*changes, did(1, 2, page((1, A))), did(3, 4, page((2, B)))) == [Kind.WAVERED]

    def test_concurrent_reads_must_agree_on_the_order_of_concurrent_changes(self) -> None:
        changes = did(0, 9, Add(1, A)), did(0, 9, Add(2, B))
        assert len(found(*changes, did(0, 9, page((1, A))), did(0, 9, page((2, B))))) == 1

    def test_a_read_must_show_the_list_at_one_moment(self) -> None:
        """The read overlaps two successive changes, and shows the second but not the first."""
        history = did(1, 2, Add(1, A)), did(3, 4, Add(2, B)), did(0, 5, page((2, B)))
        assert found(*history) == [Kind.IMPOSSIBLE]

    def test_a_long_read_may_show_the_list_between_two_changes(self) -> None:
        history = did(1, 2, Add(1, A)), did(3, 4, Remove(1)), did(5, 6, Add(2, B)), did(0, 7, page((1, A)))
        assert not found(*history)

    def test_a_read_may_determine_the_order_of_two_concurrent_changes(self) -> None:
        changes = did(0, 9, Add(1, A)), did(0, 10, Add(2, B))
        assert not found(*changes, did(1, 12, page((2, B))), did(11, 12, page((2, B), (1, A))))

    def test_one_of_two_concurrent_adds_must_be_refused(self) -> None:
        assert not found(did(0, 3, Contains(1, present=True)), did(1, 2, Add(1, A)))
        assert not found(did(1, 2, Contains(1, present=True)), did(0, 3, Add(1, A)))
        assert found(did(0, 3, Add(1, B)), did(1, 2, Add(1, A))) == [Kind.ACCEPTED]

    def test_a_concurrent_removal_and_add_may_happen_in_either_order(self) -> None:
        added = did(0, 1, Add(1, A))
        assert not found(added, did(2, 5, Add(1, B)), did(3, 4, Remove(1)), did(6, 7, page((1, B))))
        assert not found(added, did(2, 5, Contains(1, present=True)), did(3, 4, Remove(1)), did(6, 7, page()))

    def test_operations_that_end_and_begin_at_one_moment_are_concurrent(self) -> None:
        assert not found(did(0, 1, Add(1, A)), did(1, 2, page()))


class TestUnacknowledgedChange:
    @pytest.mark.parametrize("seen", [page(), page((1, A))], ids=["not", "done"])
    def test_may_have_happened_or_not(self, seen: Page) -> None:
        assert not found(tried(0, 1, Add(1, None)), did(2, 3, seen), did(4, 5, seen))

    @pytest.mark.parametrize("seen", [page(), page((1, A))], ids=["done", "not"])
    def test_may_be_a_removal_that_did_or_did_not_happen(self, seen: Page) -> None:
        assert not found(did(0, 1, Add(1, A)), tried(2, 3, Remove(1)), did(4, 5, seen), did(6, 7, seen))

    def test_may_happen_late(self) -> None:
        assert not found(tried(0, 1, Add(1, None)), did(2, 3, page()), did(4, 5, page((1, A))))
        assert not found(
            did(0, 1, Add(1, A)), tried(2, 3, Remove(1)), did(4, 5, page((1, A))), did(6, 7, page()), did(8, 9, page())
        )

    def test_must_stay_once_it_was_seen(self) -> None:
        added = tried(0, 1, Add(1, None)), did(2, 3, page((1, A))), did(4, 5, page())
        assert found(*added) == [Kind.STALE]
        removed = did(0, 1, Add(1, A)), tried(2, 3, Remove(1)), did(4, 5, page()), did(6, 7, page((1, A)))
        assert found(*removed) == [Kind.STALE]

    def test_happens_at_most_once(self) -> None:
        history = (
            tried(0, 1, Add(1, None)),
            did(2, 3, page((1, A))),
            did(4, 5, Remove(1)),
            did(6, 7, page()),
            did(8, 9, page((1, A))),
        )
        assert found(*history) == [Kind.STALE]

    def test_cannot_happen_before_its_request(self) -> None:
        assert found(did(0, 1, page((1, A))), tried(2, 3, Add(1, None))) == [Kind.IMPOSSIBLE]

    def test_cannot_happen_after_the_time_limit(self) -> None:
        """If a read after the limit does not show the change, the change never happens."""
        removed = did(0, 1, Add(1, A)), tried(2, 3, Remove(1)), did(LATE_S + 4, LATE_S + 5, page((1, A)))
        assert found(*removed, did(LATE_S + 6, LATE_S + 7, page())) == [Kind.STALE]
        added = tried(0, 1, Add(1, None)), did(LATE_S + 2, LATE_S + 3, page())
        assert len(found(*added, did(LATE_S + 4, LATE_S + 5, page((1, A))))) == 1

    def test_may_be_noticed_long_after_it_happened(self) -> None:
        assert not found(did(0, 1, Add(1, A)), tried(2, 3, Remove(1)), did(LATE_S + 4, LATE_S + 5, page()))
        assert not found(tried(0, 1, Add(1, None)), did(LATE_S + 2, LATE_S + 3, page((1, A))))
        assert not found(tried(0, 1, Add(1, None)), did(LATE_S + 2, LATE_S + 3, Contains(1, present=True)))

    def test_can_explain_counts_and_refusals(self) -> None:
        """No page shows the item, so its date is unknown."""
        attempt = tried(0, 1, Add(1, None))
        assert not found(attempt, did(2, 3, Stats(movies=1, shows=0)))
        assert not found(attempt, did(2, 3, Contains(1, present=True)), did(4, 5, Stats(movies=1, shows=0)))
        assert found(attempt, did(2, 3, Contains(1, present=True)), did(4, 5, page())) == [Kind.STALE]
        assert not found(attempt, did(2, 3, Remove(1)), did(4, 5, page()))

    def test_that_no_page_shows_still_takes_a_position_in_the_list(self) -> None:
        history = did(0, 1, Add(2, A)), did(2, 3, Add(3, B)), tried(4, 5, Add(1, None))
        seen = page((3, B), total=3, number=2, size=1)
        assert not found(*history, did(6, 7, seen))
        assert found(*history, did(6, 7, page((2, A), total=3, size=1))) == [Kind.IMPOSSIBLE]

    def test_that_was_tried_twice_may_have_happened_twice_but_not_three_times(self) -> None:
        attempts = tried(0, 1, Add(1, None)), tried(2, 3, Add(1, None))
        assert not found(*attempts, did(4, 5, page((1, A))), did(6, 7, Remove(1)), did(8, 9, page((1, B))))
        assert found(
            *attempts,
            did(4, 5, page((1, A))),
            did(6, 7, Remove(1)),
            did(8, 9, page((1, B))),
            did(10, 11, Remove(1)),
            did(12, 13, page((1, C))),
        ) == [Kind.IMPOSSIBLE]

    def test_that_happened_is_not_identified_by_the_counts_alone(self) -> None:
        history = (did(0, 1, Add(9, A)), *(tried(2, 3, Add(title, None)) for title in (1, 3, 4)))
        one = did(4, 5, Stats(movies=2, shows=1))
        assert found(*history, one) == [Kind.IMPOSSIBLE]
        assert not found(*history, did(4, 5, Stats(movies=2, shows=0)), did(6, 7, page((3, B), (9, A))))
        assert found(*history, did(4, 5, Stats(movies=2, shows=0)), did(6, 7, page((9, A)))) != []


class TestDiscard:
    """A discard succeeds whether or not the title is on the list."""

    def test_removes_a_listed_title_and_otherwise_changes_nothing(self) -> None:
        history = did(0, 1, Discard(1)), did(2, 3, Add(1, A)), did(4, 5, Discard(1)), did(6, 7, page())
        assert not found(*history)
        assert not found(*history, did(8, 9, Discard(1)), did(10, 11, Contains(1, present=False)))

    def test_must_not_be_undone(self) -> None:
        history = did(0, 1, Add(1, A)), did(2, 3, Discard(1))
        assert found(*history, did(4, 5, page((1, A)))) == [Kind.STALE]
        assert found(*history, did(4, 5, Contains(1, present=True))) == [Kind.REFUSED]
        assert found(*history, did(4, 5, page((1, A)), MONGODB)) == [Kind.LOST]

    def test_may_find_nothing_before_a_concurrent_add(self) -> None:
        discard = did(0, 9, Discard(1))
        for adding in did(2, 3, Add(1, A)), tried(2, 3, Add(1, None)):
            assert not found(discard, adding, did(4, 5, page((1, A))), did(10, 11, page((1, A))))
            assert not found(discard, adding, did(4, 5, page((1, A))), did(10, 11, page()))

    def test_may_happen_between_two_adds_that_it_overlaps(self) -> None:
        history = did(0, 9, Discard(1)), did(2, 3, Add(1, A)), did(4, 5, Add(1, B))
        assert not found(*history, did(10, 11, page((1, B))))
        assert found(*history, did(10, 11, page())) == [Kind.STALE]

    def test_of_many_titles_at_once_may_be_seen_partly_done(self) -> None:
        """For example, when a list is cleared title by title."""
        added = [did(0, 1, Add(title, A)) for title in range(6)]
        cleared = [did(2, 9, Discard(title)) for title in range(6)]
        half = did(3, 4, page(*((title, A) for title in (1, 4)))), did(5, 6, page((4, A)))
        assert not found(*added, *cleared, *half, did(7, 8, Stats(0, 0)), did(10, 11, page()))
        assert found(*added, *cleared, *half, did(7, 8, page((1, A)))) == [Kind.WAVERED]
        assert found(*added, *cleared, *half, did(10, 11, page((4, A)))) == [Kind.STALE]


class TestUnknownDate:
    """For example, the date of an item that a batch added."""

    def test_becomes_the_date_that_a_page_shows(self) -> None:
        added = did(0, 1, Add(1, None))
        assert not found(added, did(2, 3, page((1, A))), did(4, 5, page((1, A))))
        assert found(added, did(2, 3, page((1, A))), did(4, 5, page((1, B)))) == [Kind.STALE]

    def test_need_not_be_shown_by_any_page(self) -> None:
        assert not found(did(0, 1, Add(1, None)), did(2, 3, Stats(1, 0)), did(4, 5, Remove(1)), did(6, 7, page()))

    def test_does_not_make_the_item_uncertain(self) -> None:
        assert found(did(0, 1, Add(1, None)), did(2, 3, page())) == [Kind.STALE]
        assert found(did(0, 1, Add(1, None)), did(2, 3, page(), MONGODB)) == [Kind.LOST]
        assert found(did(0, 1, Add(1, None)), did(2, 3, Add(1, B)))[0] == Kind.ACCEPTED

    def test_must_be_in_the_possible_span(self) -> None:
        assert not found(did(0, 1, Add(1, None, (A, B))), did(2, 3, page((1, B))))
        assert found(did(0, 1, Add(1, None, (A, B))), did(2, 3, page((1, C)))) == [Kind.IMPOSSIBLE]
        assert not found(tried(0, 1, Add(1, None, (B, C))), did(2, 3, page((1, B))))
        assert found(tried(0, 1, Add(1, None, (B, C))), did(2, 3, page((1, A)))) == [Kind.IMPOSSIBLE]

    def test_of_an_earlier_addition_is_stale(self) -> None:
        history = did(0, 1, Add(1, None)), did(2, 3, page((1, A))), did(4, 5, Remove(1)), did(6, 7, Add(1, None))
        assert found(*history, did(8, 9, page((1, A)))) == [Kind.STALE]
        assert not found(*history, did(8, 9, page((1, B))))


class TestAtTheEnd:
    def test_an_acknowledged_add_that_mongodb_lacks_is_lost(self) -> None:
        history = did(0, 1, Add(1, A)), did(2, 3, Add(2, B)), did(4, 5, page(), MONGODB)
        assert [each.kind for each in check(history, shows=SHOWS).violations] == [Kind.LOST, Kind.LOST]

    def test_an_acknowledged_removal_that_mongodb_lacks_is_lost(self) -> None:
        history = did(0, 1, Add(1, A)), did(2, 3, Remove(1)), did(4, 5, page((1, A)), MONGODB)
        assert found(*history) == [Kind.LOST]

    def test_later_reads_are_compared_with_mongodb(self) -> None:
        history = did(0, 1, Add(1, A)), did(4, 5, page(), MONGODB)
        assert found(*history, did(6, 7, page())) == [Kind.LOST]
        assert found(*history, did(6, 7, page((1, A)))) == [Kind.LOST, Kind.STALE]

    def test_an_unacknowledged_add_may_be_in_mongodb_or_not(self) -> None:
        assert not found(tried(0, 1, Add(1, None)), did(2, 3, page(), MONGODB))
        assert not found(tried(0, 1, Add(1, None)), did(2, 3, page((1, A)), MONGODB))


class TestAgainstEveryOrder:
    """The check and a trial of every order of the operations give the same verdict on thousands of short histories."""

    @pytest.mark.parametrize("late", [0.5, 2.0, LATE_S])
    @pytest.mark.parametrize("seed", range(5))
    def test_check_and_brute_force_agree_on_random_histories(self, seed: int, late: float) -> None:
        dice = Random(f"{seed} {late}")
        verdicts: Counter[bool] = Counter()
        for _ in range(300):
            history = some_history(dice)
            expected = has_an_order(history, late)
            verdicts[expected] += 1
            found = check(history, shows=SHOWS, late=late).violations
            assert (not found) == expected, "\n".join(map(str, history))
        assert min(verdicts.values()) > 50, "both verdicts occur"


def some_history(dice: Random) -> list[Operation]:
    """Return a plausible history: most answers are right for some moment, and some are made up."""
    history: list[Operation] = []
    items: dict[int, str] = {}
    for turn in range(dice.randint(3, 7)):
        shown = dict(items) if dice.random() < 0.8 else {title: dice.choice("abcd") for title in (1, 2)}
        title, added_at = dice.choice((1, 2, 3)), "abcdefg"[turn]
        acknowledged = dice.random() < 0.7
        action: Action
        match dice.randrange(6):
            case 0 if acknowledged and title in shown:
                action = Contains(title, present=True)
            case 0:
                action = Add(title, added_at if acknowledged and dice.random() < 0.7 else None)
                if acknowledged or dice.random() < 0.5:
                    items[title] = added_at
            case 1 if acknowledged and title not in shown:
                action = Contains(title, present=False)
            case 1 | 2:
                action = Remove(title) if title in shown and dice.random() < 0.5 else Discard(title)
                if acknowledged or dice.random() < 0.5:
                    items.pop(title, None)
            case 3:
                action = Stats(movies=(1 in shown) + (3 in shown), shows=2 in shown)
            case 4:
                action = Marks(frozenset(shown))
            case _:
                action = some_page(dice, in_order(list(shown.items())))
        certain = acknowledged or not isinstance(action, Change)
        length = dice.choice((0.5, 1.5, 2.5))
        history.append(Operation(turn - length, turn + length, 0, action, acknowledged=certain))
    return history


def some_page(dice: Random, items: list[Item]) -> Page:
    number, size = dice.choice(((1, 10), (1, 1), (2, 1), (1, 2), (2, 2)))
    return page(*items[(number - 1) * size : number * size], total=len(items), number=number, size=size)


def has_an_order(history: list[Operation], late: float) -> bool:
    """Return whether the operations can have happened one after the other; slow, and too simple to be wrong."""
    seen = {item for each in history if isinstance(each.action, Page) for item in each.action.items}
    told = {(each.action.title, each.action.added_at) for each in history if isinstance(each.action, Add)}

    def goes_on(left: list[Operation], items: dict[int, str], earliest: float) -> bool:
        limit = min((each.ended for each in left if each.acknowledged), default=None)
        return limit is None or any(
            goes_on([other for other in left if other is not each], following, max(earliest, each.began))
            for each in left
            if each.began <= limit and earliest <= each.ended + (0 if each.acknowledged else late)
            for following in effects(each.action, items, seen - told)
        )

    return goes_on(history, {}, float("-inf"))


def some_slice(items: dict[int, str], seen: Page) -> tuple[Item, ...]:
    start = (seen.page - 1) * seen.size
    return tuple(in_order(list(items.items()))[start : start + seen.size])


def effects(action: Action, items: dict[int, str], unexplained: set[Item]) -> list[dict[int, str]]:
    """Return the possible lists after an operation; none if it cannot have happened to the list."""
    match action:
        case Remove(title):
            return [without(title, items)] * (title in items)
        case Discard(title):
            return [without(title, items)]
        case Add(title, None):
            # An item that no page shows may be the newest, the oldest, or between any two.
            values = [*"?bcdefg~", *(added_at for of, added_at in unexplained if of == title)]
            return [{**items, title: added_at} for added_at in values] * (title not in items)
        case Add(title, str(added_at)):
            return [{**items, title: added_at}] * (title not in items)
        case _:
            return [items] * fits(items, action)


def without(title: int, items: dict[int, str]) -> dict[int, str]:
    return {other: items[other] for other in items if other != title}


def fits(items: dict[int, str], action: Action) -> bool:
    """Return whether a read of the list can have this result."""
    match action:
        case Page():
            return some_slice(items, action) == action.items and action.total == len(items)
        case Stats():
            return action == Stats((1 in items) + (3 in items), 2 in items)
        case Marks(present):
            return items.keys() == present
        case Contains(title, present):
            return (title in items) is present
        case _:
            raise AssertionError(action)


class TestDatesOfTheSameMoment:
    """Two processes, or two turns of one, may add a title in the same millisecond."""

    def test_an_add_with_an_unknown_date_may_have_the_date_of_a_concurrent_add(self) -> None:
        history = did(0, 3, Add(1, A)), did(2, 6, Add(1, None, (A, A))), did(4, 4.5, Remove(1))

        assert not found(*history, did(7, 8, page((1, A))))

    def test_an_add_with_an_unknown_date_cannot_have_the_date_of_an_earlier_add(self) -> None:
        history = did(0, 1, Add(1, A)), did(2, 3, Remove(1)), did(4, 5, Add(1, None, (B, B)))

        assert found(*history, did(6, 7, page((1, A)))) == [Kind.STALE]


class TestACopyKeptByTokens:
    """A device's copy, built from the change feed, is checked against the list like any read."""

    def test_that_lacks_a_change_is_reported_as_skipping_it(self) -> None:
        stale, impossible = (
            replace(did(began, began + 1, page(*items)), request="changes")
            for began, items in ((6, [(1, A)]), (8, [(2, B), (1, A)]))
        )
        history = did(0, 1, Add(1, A)), did(2, 3, Remove(1)), stale, did(7, 7.5, Add(2, B)), impossible

        assert found(*history) == [Kind.SKIPPED, Kind.SKIPPED]

    def test_that_has_every_change_is_accepted(self) -> None:
        assert not found(did(0, 1, Add(1, A)), replace(did(2, 3, page((1, A))), request="changes"))


class TestAWrongRead:
    def test_does_not_make_a_write_look_lost(self) -> None:
        history = did(0, 1, Add(1, A)), tried(2, 3, Remove(1)), did(4, 5, page()), did(8, 9, page((1, A)), MONGODB)
        assert found(*history) == [Kind.CONTRADICTED]


class TestDuringAChange:
    """Reads that overlap a change may waver between the old and the new list, for example if Redis loses the fence."""

    def test_a_read_of_the_old_list_after_a_read_of_the_new_list_is_reported_as_wavering(self) -> None:
        history = did(0, 1, Add(1, A)), did(2, 9, Remove(1)), did(3, 4, page()), did(5, 6, page((1, A)))
        assert found(*history) == [Kind.WAVERED]
        assert found(*history, did(10, 11, page())) == [Kind.WAVERED]

    def test_the_old_list_after_the_acknowledgement_is_stale(self) -> None:
        history = did(0, 1, Add(1, A)), did(2, 9, Remove(1)), did(3, 4, page()), did(10, 11, page((1, A)))
        assert found(*history) == [Kind.STALE]

    def test_an_unacknowledged_change_gets_the_same_verdicts(self) -> None:
        history = did(0, 1, Add(1, A)), tried(2, 9, Remove(1)), did(3, 4, page())
        assert found(*history, did(5, 6, page((1, A)))) == [Kind.WAVERED]
        assert found(*history, did(10, 11, page((1, A)))) == [Kind.STALE]

    def test_a_concurrent_change_of_another_title_does_not_excuse_a_stale_read(self) -> None:
        history = did(0, 1, Add(1, A)), did(2, 3, Remove(1)), did(4, 9, Add(2, B)), did(5, 6, page((1, A)))
        assert found(*history) == [Kind.STALE]


def test_one_violation_does_not_hide_the_next() -> None:
    history = did(0, 1, Add(1, A)), did(2, 3, page()), did(4, 5, page()), did(6, 7, page((1, A))), did(8, 9, page())
    assert found(*history) == [Kind.STALE] * 3


def test_answers_with_too_many_explanations_are_left_out_and_counted() -> None:
    attempts = [tried(0, 1, Add(title, None)) for title in range(0, 60, 3)]
    findings = check([*attempts, did(2, 3, Stats(movies=8, shows=0))], shows=frozenset())
    assert (findings.violations, findings.undecided) == ([], 1)


def test_a_read_concurrent_with_an_undecided_answer_is_trusted() -> None:
    attempts = [tried(0, 1, Add(title, None)) for title in range(0, 60, 3)]
    counting, adding, reading = did(2, 4.5, Stats(movies=9, shows=0)), did(2, 4, Add(1, A)), did(3, 5, page((1, A)))
    findings = check([*attempts, counting, adding, reading], shows=frozenset())
    assert findings.undecided > 0
    assert findings.violations == []


def test_an_undecided_answer_keeps_acknowledged_changes_certain_and_unacknowledged_ones_possible() -> None:
    attempts = [tried(0, 1, Add(title, None)) for title in range(0, 60, 3)]
    counting, adding = did(2, 4.5, Stats(movies=9, shows=0)), did(2, 4, Add(1, None))
    seen = page((1, A), *((title, A) for title in range(3, 27, 3)))
    findings = check([*attempts, counting, adding, did(5, 6, seen)], shows=frozenset())
    assert (findings.violations, findings.undecided) == ([], 1)
    without = check([*attempts, counting, adding, did(5, 6, page(*seen.items[1:]))], shows=frozenset())
    assert [each.kind for each in without.violations] == [Kind.IMPOSSIBLE]


def test_many_concurrent_attempts_are_distinguished() -> None:
    """Counts alone would leave too many explanations, for example after an outage of MongoDB."""
    attempts = [tried(0, 1, Add(title, None)) for title in range(10)]
    seen = [(title, A) for title in range(4)]
    assert not found(
        *attempts,
        did(2, 3, Stats(movies=3, shows=1)),
        did(2, 5, Add(20, B)),
        did(4, 6, page((20, B), *seen[:1], total=5, size=2)),
        did(7, 8, page((20, B), *seen)),
        did(9, 10, Contains(5, present=False)),
    )


def test_a_history_of_20_000_operations_that_overlap_can_be_checked() -> None:
    """The check is linear in their number. If it were quadratic, it would outlast the time limit of a test."""
    history: list[Operation] = []
    for turn in range(5000):
        added_at = f"2026-01-01T00:{turn // 60:02}:{turn % 60:02}.000Z"
        start = turn * 4.0
        history += (
            did(start, start + 1.5, Add(1, added_at)),
            did(start + 1, start + 2.5, page((1, added_at))),
            did(start + 2, start + 3.5, Remove(1)),
            did(start + 3, start + 4.5, page()),
        )
    assert not found(*history)


OF_ALL = frozenset(range(2, 24, 3))


class Simulated:
    """A correct list, and hundreds of changes to it with unknown outcomes."""

    def __init__(self, seed: int) -> None:
        self._dice = Random(f"simulated {seed}")
        self._state: dict[int, str] = {}
        self._stamps = count()
        self.history: list[Operation] = []
        now = 0.0
        for _ in range(25):
            for _ in range(6):
                self._leave_open(now)
            now += 3
            for _ in range(120):
                now += self._dice.uniform(0.05, 0.2)
                self._ask(now)
        self._note(now + 1, as_page(self._state), MONGODB)

    def _note(self, now: float, action: Action, process: int = 0) -> None:
        self.history.append(Operation(now, now + 0.004, process, action))

    def _leave_open(self, now: float) -> None:
        title, adds = (
            self._dice.randrange(20),
            self._dice.random() < 0.5,
        )  # the changes of the other four titles are always acknowledged
        action = Add(title, None) if adds else Remove(title)
        self.history.append(Operation(now, now + self._dice.uniform(0.5, 2), 0, action, acknowledged=False))
        if self._dice.random() < 0.5:
            if adds:
                self._state.setdefault(title, self._stamp())
            else:
                self._state.pop(title, None)

    def _ask(self, now: float) -> None:
        title, kind = self._dice.randrange(24), self._dice.random()
        if kind < 0.7:
            self._note(now, as_page(self._state))
        elif title in self._state and kind < 0.85:
            del self._state[title]
            self._note(now, Remove(title))
        elif title in self._state:
            self._note(now, Contains(title, present=True))
        elif kind < 0.85:
            self._note(now, Contains(title, present=False))
        else:
            self._state[title] = self._stamp()
            self._note(now, Add(title, self._state[title]))

    def _stamp(self) -> str:
        return iso_format(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=next(self._stamps)))


def as_page(state: dict[int, str]) -> Page:
    return Page(1, 100, len(state), tuple(in_order(tuple(state.items()))))


@pytest.mark.parametrize("seed", range(5))
def test_many_changes_with_unknown_outcomes_neither_cause_nor_hide_a_violation(seed: int) -> None:
    history = Simulated(seed).history
    findings = check(history, shows=OF_ALL)
    assert (findings.violations, findings.undecided) == ([], 0)

    removals = [each for each in history if isinstance(each.action, Remove) and each.action.title >= 20]
    forgotten = [each for each in history if each is not removals[-1]]
    assert check(forgotten, shows=OF_ALL).violations

"""Synthetic data is the same everywhere."""

from collections import Counter

import pytest

from mylist.seeding.synthetic_data import InvalidSyntheticDataError, SyntheticData, title_id, title_type, user_id


def test_ids_of_synthetic_data_follow_from_their_numbers() -> None:
    assert (user_id(1), user_id(12_345_678)) == ("user-00000001", "user-12345678")
    assert title_id(255) == "10ad000000000000000000ff"
    assert [title_type(number) for number in range(1, 7)] == ["movie", "movie", "tvshow"] * 2


def test_lists_of_synthetic_data_are_the_same_every_time() -> None:
    data = SyntheticData(users=10, titles=1000, items=5)
    # A benchmark that ran last year and one that runs today must meet the same data.
    assert data.list_of(1) == [2, 348, 195, 5, 30]
    assert data.list_of(2) != data.list_of(1)


@pytest.mark.parametrize(("titles", "items"), [(1, 1), (7, 7), (100, 99), (1000, 25)])
def test_lists_of_synthetic_data_hold_each_title_once(titles: int, items: int) -> None:
    data = SyntheticData(users=50, titles=titles, items=items)
    for user in range(1, 51):
        drawn = data.list_of(user)
        assert len(drawn) == len(set(drawn)) == items
        assert set(drawn) <= set(range(1, titles + 1))


def test_low_numbered_titles_are_popular_and_high_numbered_ones_still_occur() -> None:
    data = SyntheticData(users=2000, titles=1000, items=10)
    lists = Counter(title for user in range(1, 2001) for title in data.list_of(user))
    assert lists[1] > 3 * lists[10] > 9 * lists[100] > 0
    assert sum(lists[title] for title in range(501, 1001)) > 1000


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, 10, 5), "--users is 0; it must be at least 1"),
        ((1, -1, 5), "--titles is -1; it must be at least 1"),
        ((1, 10, 0), "--items is 0; it must be at least 1"),
        ((1, 10, 11), "--items is 11; it must be at most --titles, 10, because no list has a title twice"),
    ],
)
def test_impossible_sizes_of_synthetic_data_are_refused_with_the_reason(
    sizes: tuple[int, int, int], message: str
) -> None:
    with pytest.raises(InvalidSyntheticDataError) as error:
        SyntheticData(*sizes)
    assert str(error.value) == message

"""The data that is seeded: the sample is the documented one, and a load set is the same everywhere."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from mylist.seeding.load_set import InvalidLoadSetError, LoadSet, title_id, title_type, user_id
from mylist.seeding.sample import LISTS, MATRIX_ID, USER_ID, USERS
from mylist.seeding.titles import MOVIES, TVSHOWS


def test_sample_holds_the_documented_ids() -> None:
    assert (USER_ID, MATRIX_ID) == ("507f1f77bcf86cd799439011", "507f1f77bcf86cd799439012")
    assert str(USERS[0]["_id"]) == USER_ID
    assert {USER_ID, MATRIX_ID} <= {str(movie["_id"]) for movie in MOVIES}


def test_sample_holds_the_documented_movie() -> None:
    [matrix] = [movie for movie in MOVIES if str(movie["_id"]) == MATRIX_ID]
    documented = {
        "title": "The Matrix",
        "description": "A computer programmer discovers that reality is a simulation",
        "genres": ["SciFi", "Action"],
        "releaseDate": datetime(1999, 3, 31, tzinfo=UTC),
        "director": "Lana Wachowski, Lilly Wachowski",
        "actors": ["Keanu Reeves", "Laurence Fishburne", "Carrie-Anne Moss"],
    }
    assert {name: value for name, value in matrix.items() if name in documented} == documented


def test_sample_has_the_documented_schema() -> None:
    kept = {"_id", "createdAt", "updatedAt"}
    for movie in MOVIES:
        assert set(movie) == {"title", "description", "genres", "releaseDate", "director", "actors"} | kept
    for show in TVSHOWS:
        assert set(show) == {"title", "description", "genres", "episodes"} | kept
        assert all(
            set(episode) == {"episodeNumber", "seasonNumber", "releaseDate", "director", "actors"}
            for episode in show["episodes"]
        )
    for user in USERS:
        assert set(user) == {"username", "email", "preferences", "watchHistory"} | kept
        assert set(user["preferences"]) == {"favoriteGenres", "dislikedGenres"}
        assert all({"contentId", "watchedOn"} <= set(watched) for watched in user["watchHistory"])


def test_sample_ids_are_unique() -> None:
    for documents in (MOVIES, TVSHOWS, USERS):
        assert len({document["_id"] for document in documents}) == len(documents)


def test_sample_list_lacks_one_of_the_documented_25_and_what_the_documentation_adds() -> None:
    sample = LISTS[0]
    assert Counter(item["contentType"] for item in sample) == {"movie": 16, "tvshow": 8}
    assert {item["userId"] for item in sample} == {USER_ID}
    assert not {item["contentId"] for item in sample} & {USER_ID, MATRIX_ID}


def test_sample_lists_hold_titles_of_the_sample_each_once_and_newest_first() -> None:
    titles = {("movie", str(movie["_id"])) for movie in MOVIES} | {("tvshow", str(show["_id"])) for show in TVSHOWS}
    for items in LISTS:
        keys = [(item["contentType"], item["contentId"]) for item in items]
        added = [item["addedAt"] for item in items]
        assert set(keys) <= titles
        assert len(set(keys)) == len(keys)
        assert added == sorted(set(added), reverse=True)


def test_ids_of_a_load_set_follow_from_their_numbers() -> None:
    assert (user_id(1), user_id(12_345_678)) == ("user-00000001", "user-12345678")
    assert title_id(255) == "10ad000000000000000000ff"
    assert [title_type(number) for number in range(1, 7)] == ["movie", "movie", "tvshow"] * 2


def test_lists_of_a_load_set_are_the_same_every_time() -> None:
    load_set = LoadSet(users=10, titles=1000, items=5)
    # A benchmark that ran last year and one that runs today must meet the same data.
    assert load_set.list_of(1) == [2, 348, 195, 5, 30]
    assert load_set.list_of(2) != load_set.list_of(1)


@pytest.mark.parametrize(("titles", "items"), [(1, 1), (7, 7), (100, 99), (1000, 25)])
def test_lists_of_a_load_set_hold_each_title_once(titles: int, items: int) -> None:
    load_set = LoadSet(users=50, titles=titles, items=items)
    for user in range(1, 51):
        drawn = load_set.list_of(user)
        assert len(drawn) == len(set(drawn)) == items
        assert set(drawn) <= set(range(1, titles + 1))


def test_low_numbers_are_popular_and_high_ones_are_not_forgotten() -> None:
    load_set = LoadSet(users=2000, titles=1000, items=10)
    lists = Counter(title for user in range(1, 2001) for title in load_set.list_of(user))
    assert lists[1] > 3 * lists[10] > 9 * lists[100] > 0
    assert sum(lists[title] for title in range(501, 1001)) > 1000


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, 10, 5), "--users is 0; it must be at least 1"),
        ((1, -1, 5), "--titles is -1; it must be at least 1"),
        ((1, 10, 0), "--items is 0; it must be at least 1"),
        ((1, 10, 11), "--items is 11; it may be at most --titles, 10, as no list has a title twice"),
    ],
)
def test_a_load_set_that_cannot_be_says_why(sizes: tuple[int, int, int], message: str) -> None:
    with pytest.raises(InvalidLoadSetError) as error:
        LoadSet(*sizes)
    assert str(error.value) == message

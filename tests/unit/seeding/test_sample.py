"""The sample data is the documented one."""

from collections import Counter
from datetime import UTC, datetime

from mylist.seeding.sample import LISTS, MATRIX_ID, USER_ID, USERS
from mylist.seeding.sample_titles import MOVIES, TVSHOWS


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


def test_sample_list_has_24_items_without_the_movie_that_the_documentation_adds() -> None:
    sample = LISTS[0]
    assert Counter(item["contentType"] for item in sample) == {"movie": 16, "tvshow": 8}
    assert {item["userId"] for item in sample} == {USER_ID}
    assert not {item["contentId"] for item in sample} & {USER_ID, MATRIX_ID}


def test_sample_lists_hold_distinct_sample_titles_newest_first() -> None:
    titles = {("movie", str(movie["_id"])) for movie in MOVIES} | {("tvshow", str(show["_id"])) for show in TVSHOWS}
    for items in LISTS:
        keys = [(item["contentType"], item["contentId"]) for item in items]
        added = [item["addedAt"] for item in items]
        assert set(keys) <= titles
        assert len(set(keys)) == len(keys)
        assert added == sorted(set(added), reverse=True)

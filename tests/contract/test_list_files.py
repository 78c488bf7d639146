"""Imports of the list files of other services, unchanged: their formats, the matched titles, and the report."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from bson import ObjectId
from pymongo.database import Database

from tests.contract.conftest import User
from tests.contract.titles import MATRIX_ID, SHOW_ID

CSV, JSON = "text/csv", "application/json"
ALIEN, DUNE_1984, DUNE_2021, AMELIE, EARTH_FILM, EARTH_SHOW, CHERNOBYL, ODD, HOME_1, HOME_2, GODFATHER = (
    f"{0xE1E0000 + number:024x}" for number in range(11)
)
TITLES: dict[str, list[dict[str, Any]]] = {
    "movies": [
        {
            "_id": ObjectId(ALIEN),
            "title": "Alien",
            "releaseYear": 1979,
            "externalIds": {"imdb": "tt0078748", "tmdb": "348"},
        },
        {"_id": ObjectId(DUNE_1984), "title": "Dune", "releaseYear": 1984},
        {"_id": ObjectId(DUNE_2021), "title": "Dune", "releaseDate": datetime(2021, 9, 15, tzinfo=UTC)},
        {"_id": ObjectId(AMELIE), "title": "Amélie", "releaseYear": 2001},
        {"_id": ObjectId(EARTH_FILM), "title": "Earth", "releaseYear": 2007},
        {
            "_id": ObjectId(ODD),
            "title": '-30-, "a, b"\n=1+1',
            "releaseYear": 1959,
            "externalIds": {"imdb": "tt0052515"},
        },
        {"_id": ObjectId(HOME_1), "title": "Home", "releaseYear": 2009},
        {"_id": ObjectId(HOME_2), "title": "Home", "releaseYear": 2009},
        {"_id": ObjectId(GODFATHER), "title": "Der Pate", "originalTitle": "The Godfather", "releaseYear": 1972},
    ],
    "tvshows": [
        {"_id": ObjectId(EARTH_SHOW), "title": "Earth", "releaseYear": 2007, "externalIds": {"tmdb": "348"}},
        {"_id": ObjectId(CHERNOBYL), "title": "Chernobyl", "releaseYear": 2019},
    ],
}

IMDB_2024 = (
    "Position,Const,Created,Modified,Description,Title,Original Title,URL,Title Type,IMDb Rating,Runtime (mins),Year,"
    "Genres,Num Votes,Release Date,Directors,Your Rating,Date Rated\n"
)
IMDB_2018 = (
    "Position,Const,Created,Modified,Description,Title,URL,Title Type,IMDb Rating,Runtime (mins),Year,Genres,Num Votes,"
    "Release Date,Directors\n"
)
IMDB_2012 = (
    '"position","const","created","modified","description","Title","Title type","Directors","You rated","IMDb Rating",'
    '"Runtime (mins)","Year","Genres","Num. Votes","Release Date (month/day/year)","URL"\n'
)
LETTERBOXD = "Date,Name,Year,Letterboxd URI\n"
LETTERBOXD_LIST = (
    "Letterboxd list export v7\nDate,Name,Tags,URL,Description\n"
    '2021-11-06,My Favourites,"best, rewatchable",https://boxd.it/list1,"A list,\nover two lines."\n\n'
    "Position,Name,Year,URL,Description\n"
)
TRAKT_CSV = (
    "rank,listed_at,type,title,year,trakt_id,imdb_id,tmdb_id,tvdb_id,url,released,runtime,season_number,episode_number,"
    "episode_title,genres\n"
)
LETTERBOXD_ROWS = LETTERBOXD + (
    "2024-01-04,Alien,1979,https://boxd.it/aaaa\n"
    "2024-02-11,The Godfather,1972,https://boxd.it/bbbb\n"
    "2024-02-11,amelie,2001,https://boxd.it/cccc\n"
    "2024-03-01,Chernobyl,2019,https://boxd.it/dddd\n"
)


@pytest.fixture(scope="module", autouse=True)
def more_titles(database: Database[dict[str, Any]], titles: None) -> Iterator[None]:  # noqa: ARG001 - inserted after these
    """Put the titles that the files of other services name into the catalogue."""
    for collection, documents in TITLES.items():
        database[collection].insert_many(documents)
    yield
    for collection, documents in TITLES.items():
        database[collection].delete_many({"_id": {"$in": [each["_id"] for each in documents]}})


def import_(user: User, body: str | bytes, content_type: str = CSV, query: str = "", **headers: str) -> httpx.Response:
    return user.client.post(
        f"/api/mylist/import{query}",
        content=body.encode() if isinstance(body, str) else body,
        headers=user.headers | {"content-type": content_type} | headers,
    )


def told(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def outcomes(answer: httpx.Response) -> list[tuple[int, str]]:
    return [(each["line"], each["outcome"]) for each in told(answer)]


def listed(user: User) -> list[tuple[str, str]]:
    items = user.items("?pageSize=100").json()["data"]["items"]
    return [(each["contentId"], each["addedAt"]) for each in items]


def export_csv(user: User, **headers: str) -> httpx.Response:
    return user.client.get("/api/mylist/export", headers=user.headers | {"accept": CSV} | headers)


def test_letterboxd_watchlist_keeps_its_dates_and_its_order(user: User) -> None:
    answer = import_(user, LETTERBOXD_ROWS)

    assert answer.headers["x-list-format"] == "letterboxd"
    assert outcomes(answer) == [(line, "added") for line in (2, 3, 4, 5)]
    assert listed(user) == [
        (CHERNOBYL, "2024-03-01T00:00:00.000Z"),
        (AMELIE, "2024-02-11T00:00:00.001Z"),  # in the file, newer items come later
        (GODFATHER, "2024-02-11T00:00:00.000Z"),
        (ALIEN, "2024-01-04T00:00:00.000Z"),
    ]


def test_letterboxd_list_is_imported_without_its_preamble(user: User) -> None:
    answer = import_(
        user, LETTERBOXD_LIST + "1,Alien,1979,https://boxd.it/a,\n2,Dune,1984,https://boxd.it/b,Still holds up\n"
    )

    assert answer.headers["x-list-format"] == "letterboxd"
    assert outcomes(answer) == [(7, "added"), (8, "added")]
    assert user.contents() == [ALIEN, DUNE_1984], "without dates, the first line is on top"


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (
            IMDB_2024,
            "1,tt0078748,2024-01-05,2024-01-05,,Other,Other,https://x/,Movie,8.5,117,1980,Horror,1,1979-05-25,Scott,,\n",
        ),
        (
            IMDB_2018,
            "1,tt0078748,2024-01-05,2024-01-05,,Alien,https://x/,movie,8.5,117,1979,Horror,1,1979-05-25,Scott\n",
        ),
        (
            IMDB_2012,
            '"1","tt0078748","Fri Jan  5 00:00:00 2024","","","Alien","Film","","","","","1979","a, b","","",""\n',
        ),
        (
            IMDB_2024,
            '1,tt0000001,2024-01-05,,"A note,\n""two lines""",Alien,Alien,u,Film,8,117,1979,"Horror, Sci-Fi",1,,,,,,\n',
        ),
    ],
    ids=["2024", "2018", "2012", "another language, more cells than columns, a line break in a field"],
)
def test_imdb_file_of_each_generation_is_imported(user: User, header: str, row: str) -> None:
    answer = import_(user, "\N{ZERO WIDTH NO-BREAK SPACE}" + header + row.replace("tt0000001", ""))

    assert answer.headers["x-list-format"] == "imdb"
    assert outcomes(answer) == [(2, "added")]
    assert listed(user) == [(ALIEN, "2024-01-05T00:00:00.000Z")]


def test_imdb_title_types_distinguish_movies_shows_and_episodes(user: User) -> None:
    rows = [
        ("Earth", "TV Series"),
        ("Earth", "tvSeries"),
        ("Earth", "Serie TV"),
        ("Earth", "TV Episode"),
        ("Earth", "Movie"),
    ]
    years = "2007\N{EN DASH}2013"
    body = IMDB_2018 + "".join(f"{n},,2024-01-05,,,{t},u,{k},,,{years},,,,\n" for n, (t, k) in enumerate(rows, 1))
    lines = told(import_(user, body))

    assert [each["outcome"] for each in lines] == ["added", "existing", "ambiguous", "unmatched", "added"]
    assert lines[2]["candidates"] == [
        {"contentId": EARTH_FILM, "contentType": "movie", "title": "Earth", "year": 2007},
        {"contentId": EARTH_SHOW, "contentType": "tvshow", "title": "Earth", "year": 2007},
    ]
    assert lines[3]["error"] == "It is an episode"


def test_trakt_file_in_json_or_csv_is_imported(user: User) -> None:
    elements = [
        {
            "rank": 1, "id": 7, "listed_at": "2024-01-20T10:30:00.000Z", "notes": None, "type": "movie",
            "movie": {"title": "Alien", "year": 1979, "ids": {"trakt": 1, "slug": "alien", "imdb": None, "tmdb": 348}},
        },
        {
            "rank": 2, "id": 8, "listed_at": "2024-01-20T10:30:00.000Z", "notes": "a, ] } note", "type": "show",
            "show": {"title": "Earth", "year": 2007, "ids": {"trakt": 1, "tmdb": 348, "tvdb": 9, "tvrage": None}},
        },
        {"type": "season", "season": {"number": 1}, "show": {"title": "Earth"}, "listed_at": "2024-01-20T10:30:00Z"},
        {"movie": {"title": "Dune", "year": 2021, "ids": {}}},
    ]  # fmt: skip
    answer = import_(user, json.dumps(elements, indent=2), JSON)

    assert answer.headers["x-list-format"] == "trakt"
    assert outcomes(answer) == [(1, "added"), (2, "added"), (3, "unmatched"), (4, "added")]
    assert user.contents()[1:] == [ALIEN, EARTH_SHOW], "in the order of the file at one moment"
    rows = "1,2024-01-20T10:30:00.000Z,movie,Alien,1979,1,tt0078748,348,,u,,117,,,,horror\n"
    answer = import_(user, TRAKT_CSV + rows + rows.replace("movie", "episode"))
    assert answer.headers["x-list-format"] == "trakt"
    assert outcomes(answer) == [(2, "existing"), (3, "unmatched")]


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        ("Title,Year\nthe matrix,1999\n", CSV, MATRIX_ID),
        ('title,year\n"Matrix, The",1999\n', CSV, MATRIX_ID),
        ("name,year\nMatrix,1999\n", CSV, MATRIX_ID),
        ("title\nAMELIE\n", CSV, AMELIE),
        ("title,year\nThe Amélie,2001\n", CSV, AMELIE),
        ("imdb\ntt0078748\n", CSV, ALIEN),
        ("imdbID,tmdbID,Title,Year\ntt0078748,,,\n", CSV, ALIEN),
        ("title,year,type\r\nEarth,2007,tvshow\r\n", CSV, EARTH_SHOW),
        ("title,year,type\nEarth,2007,film", CSV, EARTH_FILM),
        ("title,year\nDARK AND \N{LEFT DOUBLE QUOTATION MARK}Light\N{RIGHT DOUBLE QUOTATION MARK},\n", CSV, SHOW_ID),
        ('[{"title":"Dune","year":2021}]', JSON, DUNE_2021),
        ('[{"Title":"Dune","releaseYear":"1984","addedAt":"2024-01-20"}]', JSON, DUNE_1984),
        ('[{"externalIds":{"imdb":"tt0078748"}}]', JSON, ALIEN),
        (f'[{{"contentId":"{ALIEN}","contentType":"movie"}}]', JSON, ALIEN),
    ],
)  # fmt: skip
def test_a_plain_list_of_titles_or_ids_is_imported(user: User, body: str, content_type: str, expected: str) -> None:
    answer = import_(user, body, content_type)

    assert answer.headers["x-list-format"] == "titles"
    assert [each["outcome"] for each in told(answer)] == ["added"], answer.text
    assert user.contents() == [expected]


def test_an_ambiguous_or_unmatched_line_adds_nothing_and_returns_its_candidates(user: User) -> None:
    lines = told(
        import_(
            user, "title,year,imdb,tmdb\nHome,2009,,\nDune,,,\nNothing,1999,,\nDune,1999,,\n,,,348\nAlien,1979,tt1,\n"
        )
    )

    assert [(each["outcome"], each.get("title")) for each in lines] == [
        ("ambiguous", "Home"),
        ("ambiguous", "Dune"),
        ("unmatched", "Nothing"),
        ("unmatched", "Dune"),
        ("ambiguous", "tmdb:348"),
        ("unmatched", "Alien"),
    ]  # fmt: skip
    ids = [{each["contentId"] for each in line["candidates"]} for line in lines]
    assert ids == [{HOME_1, HOME_2}, {DUNE_1984, DUNE_2021}, set(), {DUNE_1984, DUNE_2021}, {ALIEN, EARTH_SHOW}, set()]
    assert lines[3]["error"] == "The titles with this name have a different year"
    assert all(each["contentId"] is None for each in lines)
    assert user.contents() == []


def test_a_replacement_keeps_the_candidates_of_an_ambiguous_line(user: User) -> None:
    for content_id in (HOME_2, AMELIE):
        user.add(content_id)
    answer = import_(
        user, LETTERBOXD + "2024-01-04,Alien,1979,u\n2024-01-05,Home,2009,u\n2024-01-05,No,,u\n", query="?mode=replace"
    )

    assert [(each["line"], each["outcome"]) for each in told(answer)] == [
        (2, "added"), (3, "ambiguous"), (4, "unmatched"), (None, "removed"),
    ]  # fmt: skip
    assert sorted(user.contents()) == sorted([ALIEN, HOME_2])


@pytest.mark.parametrize(
    ("body", "content_type", "error"),
    [
        (LETTERBOXD.replace(",", ";"), CSV, "separated by semicolons, and must be separated by commas"),
        ("Title\tYear\nAlien\t1979\n", CSV, "separated by tabs"),
        ("Titel,Jahr\nAlien,1979\n", CSV, "its first line has the columns Titel, Jahr"),
        ("Alien,1979\nDune,1984\n", CSV, "its first line has the columns Alien, 1979"),
        ("Const,Your Rating,Date Rated,Title,Year\ntt1,9,2021-04-03,Alien,1979\n", CSV, "IMDb's file of watched"),
        (LETTERBOXD.strip() + ",Rating\n2024-01-04,Alien,1979,u,5\n", CSV, "Letterboxd's file of watched"),
        ('"title,year\nAlien,1979\n', CSV, "line 1: a quotation mark opens a field that does not end"),
        (b"T\xeftre,Title\nx,y\n", CSV, "line 1: it is not UTF-8"),
        ("title,year,Title\nAlien,1979,x\n", CSV, "its header names title twice"),
        (LETTERBOXD_LIST.partition("\n\n")[0], CSV, "Position and Name is missing"),
        ('{"title":"Alien"}\n', JSON, "must be a JSON array"),
        ("title,year\n", JSON, "it is not JSON"),
        ('[{"titel":"Alien"}]', JSON, "its first element has the fields titel"),
        ("[1,2]", JSON, "its first element is not a JSON object"),
        ('[{"watched_at":"2024-01-01","movie":{"title":"Alien"}}]', JSON, "Trakt's file of watched"),
    ],
)  # fmt: skip
def test_an_unknown_format_is_400_and_the_error_names_the_accepted_files(
    user: User, body: str | bytes, content_type: str, error: str
) -> None:
    answer = import_(user, body, content_type)

    assert (answer.status_code, answer.json()["code"]) == (400, "UNKNOWN_LIST_FORMAT")
    assert error in answer.json()["error"]
    assert ("Letterboxd's watchlist.csv" if content_type == CSV else "lists-watchlist.json") in answer.json()["error"]
    assert user.contents() == []


@pytest.mark.parametrize(
    ("body", "content_type", "errors"),
    [
        ("2024-01-05,Dune\n", CSV, {3: "it has 2 fields, and the header has 4; is the file cut?"}),
        ("2024-01-05,Dune, Part Two,2024,u\n", CSV, {3: "it has 5 fields, and the header has 4"}),
        ('2024-01-05,"Dune,2021,u\n2024-01-06,Dune,1984,u\n', CSV, {3: "a quotation mark opens a field"}),
        ("05.01.2024,Dune,2021,u\n", CSV, {3: "the date is '05.01.2024', and must be as in 2024-01-20"}),
        ("2999-01-05,Dune,2021,u\n", CSV, {3: "the date is in the future"}),
        ("2024-01-05,Dune,MMXXI,u\n", CSV, {3: "the year is 'MMXXI', and must be as in 1999"}),
        ("2024-01-05,,2021,u\n", CSV, {3: "it has neither a title nor an id"}),
        (b"2024-01-05,Am\xe9lie,2001,u\n", CSV, {3: "it is not UTF-8: byte 0xe9"}),
        (f"2024-01-05,{'x' * 1001},2001,u\n", CSV, {3: "the title must have at most 1,000 characters"}),
        (f"2024-01-05,{'x' * 70_000},2001,u\n", CSV, {3: "it is longer than 65,536 bytes"}),
        (',{"title":"Du', JSON, {2: "the array does not end, so the file was cut"}),
        (',{"title":"Dune","year":2021},', JSON, {3: "the array does not end, so the file was cut"}),
        (",7]", JSON, {2: "it is not a JSON object"}),
        (',{"title" "Dune"}]', JSON, {2: "it is not a JSON object"}),
        (',{"title":"Dune","year":[1]}]', JSON, {2: "the year is '[1]'"}),
        ("," + "[" * 5000 + "]" * 5000 + "]", JSON, {2: "it is not a JSON object"}),
        ("][]", JSON, {2: "there is more after the end of the array"}),
    ],
)  # fmt: skip
def test_a_merge_skips_and_reports_a_broken_line_but_a_replacement_is_refused(
    user: User, body: str | bytes, content_type: str, errors: dict[int, str]
) -> None:
    good = LETTERBOXD + "2024-01-04,Alien,1979,u\n" if content_type == CSV else '[{"title":"Alien","year":1979}'
    whole = good.encode() + (body.encode() if isinstance(body, str) else body)
    lines = told(import_(user, whole, content_type))

    assert {each["line"]: each["error"] for each in lines if each["outcome"] == "invalid"}.keys() == errors.keys()
    for each in lines:
        if each["outcome"] == "invalid":
            assert each["error"].startswith(errors[each["line"]])
    assert ALIEN in user.contents()
    assert len(user.contents()) == len(lines) - len(errors), "all other lines are on the list"
    answer = import_(user, whole, content_type, query="?mode=replace&confirm=true")
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_LINE")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [("", CSV), ("\r\n\r\n", CSV), (LETTERBOXD, CSV), ("", JSON), ("[]", JSON), (" [ ] ", JSON)],
)
def test_an_empty_file_is_refused_and_changes_nothing(user: User, body: str, content_type: str) -> None:
    user.add(MATRIX_ID)

    answer = import_(user, body, content_type)
    assert (answer.status_code, answer.json()["code"]) == (400, "NO_ITEM")
    assert import_(user, body, content_type, query="?mode=replace").json()["code"] == "CONFIRMATION_REQUIRED"
    assert user.contents() == [MATRIX_ID]


def test_a_gzip_file_with_duplicates_crlf_and_a_byte_order_mark_is_imported(user: User) -> None:
    rows = LETTERBOXD_ROWS + "2024-03-02,Alien,1979,https://boxd.it/aaaa\n\n\n"
    body = b"\xef\xbb\xbf" + rows.replace("\n", "\r\n").encode()
    answer = import_(user, gzip.compress(body), CSV, **{"content-encoding": "gzip"})

    assert [outcome for _, outcome in outcomes(answer)] == ["added"] * 4 + ["existing"]


def test_the_date_of_tomorrow_is_imported_as_the_current_time(user: User) -> None:
    now = datetime.now(UTC)
    tomorrow = datetime.fromtimestamp(now.timestamp() + 86_400, UTC).date()
    answer = import_(user, LETTERBOXD + f"{tomorrow},Alien,1979,u\n{tomorrow},Dune,1984,u\n")

    assert [outcome for _, outcome in outcomes(answer)] == ["added", "added"]
    assert user.contents() == [ALIEN, DUNE_1984]
    assert all(moment < datetime.now(UTC).isoformat() for _, moment in listed(user))


def test_too_many_lines_are_refused_and_nothing_is_changed(user: User) -> None:
    answer = import_(user, "[" + '{"title":"Alien"},' * 20_100 + "{}]", JSON)

    assert answer.status_code == 413
    assert user.contents() == []


class TestExportAsCsv:
    def test_contains_titles_and_survives_a_round_trip(self, user: User) -> None:
        import_(user, LETTERBOXD_ROWS)
        for content_id in (ODD, DUNE_2021):
            user.add(content_id)
        user.add(SHOW_ID, "tvshow")
        before = listed(user)
        exported = export_csv(user)

        assert exported.headers["content-type"] == "text/csv; charset=utf-8; header=present"
        assert exported.headers["x-total-count"] == "7"
        rows = exported.content.split(b"\r\n")
        assert rows[0] == b"contentId,contentType,title,year,addedAt,externalIds"
        assert rows[-2] == f"{ALIEN},movie,Alien,1979,2024-01-04T00:00:00.000Z,imdb:tt0078748 tmdb:348".encode()
        assert f'{ODD},movie,"\'-30-, ""a, b""\n=1+1",1959,'.encode() in exported.content
        user.client.delete("/api/mylist/items?confirm=true", headers=user.headers)
        answer = import_(user, exported.content)
        assert answer.headers["x-list-format"] == "titles"
        assert {outcome for _, outcome in outcomes(answer)} == {"added"}
        assert listed(user) == before
        assert export_csv(user).content == exported.content

    def test_contains_only_valid_years_and_can_be_imported_again(
        self, user: User, database: Database[dict[str, Any]]
    ) -> None:
        years = {1874: "1874", 1066: "1066", 5: "0005", 0: "", 10_000: "", True: "", "1999": ""}
        ids = [ObjectId() for _ in years]
        database["movies"].insert_many(
            {"_id": each, "title": "A year", "releaseYear": year} for each, year in zip(ids, years, strict=True)
        )
        try:
            for each in ids:
                user.add(str(each))
            before, exported = listed(user), export_csv(user)
            assert [row.split(",")[3] for row in exported.text.splitlines()[1:]] == list(reversed(years.values()))
            user.client.delete("/api/mylist/items?confirm=true", headers=user.headers)
            assert {outcome for _, outcome in outcomes(import_(user, exported.content))} == {"added"}
            assert listed(user) == before
        finally:
            database["movies"].delete_many({"_id": {"$in": ids}})

    def test_of_another_catalogue_is_matched_by_external_ids_and_titles(self, user: User) -> None:
        rows = "contentId,contentType,title,year,addedAt,externalIds\r\n" + "".join(
            f"{number:024x},movie,{rest}\r\n"
            for number, rest in enumerate(["X,1,2024-01-20,imdb:tt0078748", "Dune,1984,,", "No,1984,,"], 0xBAD)
        ).replace("X,1,", "X,,")
        assert [outcome for _, outcome in outcomes(import_(user, rows))] == ["added", "added", "not_found"]
        assert sorted(user.contents()) == sorted([ALIEN, DUNE_1984])

    @pytest.mark.parametrize(
        ("accept", "is_csv"),
        [
            ("text/csv", True),
            ("text/*", True),
            ("TEXT/CSV; charset=utf-8", True),
            ("text/csv, */*", True),
            ("application/x-ndjson;q=0.5, text/csv;q=0.9", True),
            ("application/x-ndjson, text/csv;q=0.9", False),
            ("text/csv;q=0", False),
            ("text/csv;q=0.1, */*", False),
            ("*/*", False),
            ("", False),
            ("application/json", False),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        ],
    )
    def test_is_sent_only_if_the_client_prefers_it(self, user: User, accept: str, *, is_csv: bool) -> None:
        answer = export_csv(user, accept=accept)

        assert answer.headers["content-type"].startswith(CSV if is_csv else "application/x-ndjson")
        assert "Accept" in answer.headers["vary"].split(", ")

    def test_has_a_different_etag_from_the_json_lines_export(
        self, user: User, database: Database[dict[str, Any]]
    ) -> None:
        database["mylist"].insert_many(
            {
                "userId": user.id,
                "contentId": f"{number:024x}",
                "contentType": "movie",
                "addedAt": datetime(2024, 1, 1, tzinfo=UTC),
            }
            for number in range(600)
        )
        answer = export_csv(user)
        lines = user.client.get("/api/mylist/export", headers=user.headers)

        assert answer.headers["etag"] != lines.headers["etag"]
        assert export_csv(user, **{"if-none-match": answer.headers["etag"]}).status_code == 304
        assert export_csv(user, **{"if-none-match": lines.headers["etag"]}).status_code == 200
        assert answer.text.count("\r\n") == 601

"""Each format of list files, in its exact form and broken in each common way."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from mylist.domain.errors import UnknownListFormatError
from mylist.list_files.entry import Entry
from mylist.list_files.reading import CSV, JSON, ListFile, is_pause

NOW = 1_700_000_000_000
QUOTED = 'A "title",\nover two lines'


@dataclass(frozen=True)
class Format:
    """How the lines of a format are written.

    Attributes:
        name: the name of the format in `X-List-Format`.
        header: the lines before the first row.
        row: returns a row for its number, its title as it is written in the file, and its date.
        translated: the header in another language; empty if the service has none.
    """

    name: str
    header: str
    row: Callable[[int, str, str], str]
    translated: str = ""


FORMATS = {
    "IMDb": Format(
        "imdb",
        "Position,Const,Created,Modified,Description,Title,Original Title,URL,Title Type,IMDb Rating,Runtime (mins),"
        "Year,Genres,Num Votes,Release Date,Directors,Your Rating,Date Rated\n",
        lambda number, title, day: (
            f"{number},tt{number:07},{day},{day},,{title},Original,https://www.imdb.com/title/tt{number:07},Movie,8.5,"
            f'117,1979,"Horror, Sci-Fi",1000000,1979-05-25,Ridley Scott,,\n'
        ),
        "Position,Konstante,Erstellt,Geändert,Beschreibung,Titel,Originaltitel,URL,Titeltyp,IMDb-Wertung,Laufzeit,"
        "Jahr,Genres,Stimmen,Erscheinungsdatum,Regie,Deine Wertung,Bewertet am\n",
    ),
    "Letterboxd's watchlist": Format(
        "letterboxd",
        "Date,Name,Year,Letterboxd URI\n",
        lambda number, title, day: f"{day},{title},1979,https://boxd.it/{number}\n",
        "Date,Nom,Année,URI Letterboxd\n",
    ),
    "Letterboxd's list": Format(
        "letterboxd",
        "Letterboxd list export v7\nDate,Name,Tags,URL,Description\n"
        '2021-11-06,Favourites,"a, b",https://boxd.it/x,"Two\nlines"\n\nPosition,Name,Year,URL,Description\n',
        lambda number, title, _: f"{number},{title},1979,https://boxd.it/{number},\n",
        "Letterboxd list export v7\nDate,Nom,Mots,URL,Texte\n2021-11-06,Favoris,,u,\n\nPosition,Nom,Année,URL,Texte\n",
    ),
    "Trakt's CSV": Format(
        "trakt",
        "rank,listed_at,type,title,year,trakt_id,imdb_id,tmdb_id,tvdb_id,url,released,runtime,season_number\n",
        lambda number, title, day: (
            f"{number},{day}T10:30:00.000Z,movie,{title},1979,{number},tt{number:07},{number},,u,1979-05-25,117,\n"
        ),
        "rang,ajouté,sorte,titre,année,id,imdb,tmdb,tvdb,url,sorti,durée,saison\n".replace("imdb,tmdb,tvdb", "a,b,c"),
    ),
    "a list of titles": Format(
        "titles",
        "title,year,type,addedAt\n",
        lambda _, title, day: f"{title},1979,movie,{day}\n",
        "titre,année,sorte,ajouté\n",
    ),
}


@dataclass(frozen=True)
class Elements:
    """How the elements of a JSON format are written. As `Format`; `translated` is an element with other field names."""

    name: str
    element: Callable[[int, str, str], str]
    translated: str


ELEMENTS = {
    "Trakt's JSON": Elements(
        "trakt",
        lambda number, title, day: json.dumps(
            {
                "rank": number, "id": number, "listed_at": f"{day}T10:30:00.000Z", "notes": "a, ] } note",
                "type": "movie", "movie": {"title": title, "year": 1979, "ids": {"trakt": number, "tmdb": number}},
            }
        ),
        '{"rang":1,"film":{"titre":"Alien"}}',
    ),
    "titles in JSON": Elements(
        "titles",
        lambda number, title, day: json.dumps(
            {"title": title, "year": 1979, "addedAt": day, "externalIds": {"tmdb": number}}
        ),
        '{"titre":"Alien","année":1979}',
    ),
}  # fmt: skip
of_csv = pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
of_json = pytest.mark.parametrize("form", ELEMENTS.values(), ids=ELEMENTS)


def opened(body: str, media_type: str = CSV) -> ListFile:
    return ListFile(body.encode(), media_type, NOW, max_lines=1_000)


def read(body: str, media_type: str = CSV) -> list[Entry]:
    return [each for each in opened(body, media_type).entries() if not is_pause(each)]


def day_of(number: int) -> str:
    return str(datetime(1990, 1, 1, tzinfo=UTC).date() + timedelta(days=number))


def rows(form: Format, *titles: str) -> str:
    return "".join(form.row(number, title, day_of(number)) for number, title in enumerate(titles, 1))


def array(form: Elements, *titles: str) -> str:
    return "[" + ",\n".join(form.element(number, title, day_of(number)) for number, title in enumerate(titles, 1)) + "]"


def titles_of(entries: list[Entry]) -> list[str]:
    return [each.problem or each.titles[0] for each in entries]


@of_csv
class TestCsv:
    def test_is_recognized_and_keeps_titles_years_and_dates(self, form: Format) -> None:
        assert opened(form.header + rows(form, "Alien")).format == form.name
        entries = read(form.header + rows(form, "Alien", "Aliens"))
        assert titles_of(entries) == ["Alien", "Aliens"]
        assert [each.year for each in entries] == [1979, 1979]
        assert {each.added is None for each in entries} == {"Position,Name" in form.header}

    def test_that_is_truncated_within_a_row_reports_only_that_row(self, form: Format) -> None:
        text = form.header + rows(form, "Alien", "Aliens")
        *whole, last = read(text[: text.rindex("Aliens") + 3])
        assert titles_of(whole) == ["Alien"]
        assert last.problem.endswith("is the file cut?")

    def test_with_other_delimiters_is_refused(self, form: Format) -> None:
        for delimiter, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")):
            is_list = "list export" in form.header  # its first line has no delimiter
            told = "Position and Name is missing" if is_list else f"separated by {name}, and must be separated"
            with pytest.raises(UnknownListFormatError, match=told):
                opened((form.header + rows(form, "Alien")).replace(",", delimiter))

    def test_may_have_quotes_and_line_breaks_within_a_field(self, form: Format) -> None:
        quoted = '"' + QUOTED.replace('"', '""') + '"'
        entries = read(form.header + rows(form, quoted, "Next"))
        assert titles_of(entries) == [" ".join(QUOTED.split(" ")), "Next"]
        assert entries[1].number - entries[0].number == rows(form, quoted).count("\n")

    def test_with_an_unclosed_quotation_mark_loses_only_that_row(self, form: Format) -> None:
        broken, *others = read(form.header + rows(form, '"Open', *(f"Next {number}" for number in range(600))))
        # In IMDb's rows, the next quoted field closes the quotation mark, and more text follows.
        assert re.match("a quotation mark opens a field that does not end|it is not CSV: ',' expected", broken.problem)
        assert titles_of(others) == [f"Next {number}" for number in range(600)]

    def test_with_a_stray_quotation_mark_loses_only_that_row(self, form: Format) -> None:
        broken, other = read(form.header + rows(form, '"Swing it" magistern', "Next"))
        assert broken.problem
        assert titles_of([other]) == ["Next"]

    def test_in_another_language_is_refused_with_the_accepted_formats(self, form: Format) -> None:
        with pytest.raises(UnknownListFormatError) as refused:
            opened(form.translated + rows(form, "Alien"))
        assert "its first line has the columns" in str(refused.value) or "Position and Name is missing" in str(
            refused.value
        )
        assert "Accepted: " in str(refused.value)

    def test_without_its_header_is_refused(self, form: Format) -> None:
        with pytest.raises(UnknownListFormatError, match="its first line has the columns"):
            opened(rows(form, "Alien", "Aliens"))

    def test_keeps_duplicate_lines(self, form: Format) -> None:
        assert titles_of(read(form.header + rows(form, "Alien", "Aliens", "Alien"))) == ["Alien", "Aliens", "Alien"]


@of_json
class TestJson:
    def test_is_recognized_and_keeps_titles_years_and_dates(self, form: Elements) -> None:
        assert opened(array(form, "Alien"), JSON).format == form.name
        entries = read(array(form, "Alien", QUOTED), JSON)
        assert titles_of(entries) == ["Alien", QUOTED]
        assert [(each.year, each.added is None) for each in entries] == [(1979, False)] * 2

    def test_that_is_truncated_reports_only_its_last_element(self, form: Elements) -> None:
        text = array(form, "Alien", "Aliens")
        for end in (text.rindex("Aliens") + 3, len(text) - 1, text.rindex("{") + 1):
            *whole, last = read(text[:end], JSON)
            assert titles_of(whole) == ["Alien"]
            assert last.problem == "the array does not end, so the file was cut"

    def test_with_other_field_names_is_refused_with_the_accepted_formats(self, form: Elements) -> None:
        with pytest.raises(UnknownListFormatError, match=r"its first element has the fields .*Accepted: "):
            opened(f"[{form.translated},{form.element(1, 'Alien', day_of(1))}]", JSON)

    def test_lines_sent_as_json_are_refused_and_the_error_names_their_content_type(self, form: Elements) -> None:
        with pytest.raises(UnknownListFormatError, match="JSON Lines have Content-Type: application/x-ndjson"):
            opened(form.element(1, "Alien", day_of(1)) + "\n" + form.element(2, "Aliens", day_of(2)), JSON)

    def test_keeps_duplicate_elements(self, form: Elements) -> None:
        entries = read(array(form, "Alien", "Aliens", "Alien"), JSON)
        assert [(each.number, each.titles[0]) for each in entries] == [(1, "Alien"), (2, "Aliens"), (3, "Alien")]

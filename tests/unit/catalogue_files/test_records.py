"""Files of titles: each format in its exact form, and the errors of broken files."""

import gzip
import io
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from mylist.catalogue_files import text_lines
from mylist.catalogue_files.record import Record
from mylist.catalogue_files.records import records
from mylist.catalogue_files.text_lines import MAX_LINE_BYTES, UnreadableFileError

ID = "507f1f77bcf86cd799439011"
CSV_HEADER = "id,contentType,title,genres,releaseYear,isAdult,externalIds.imdb,externalIds.tmdb,poster\n"
IMDB_HEADER = "tconst\ttitleType\tprimaryTitle\toriginalTitle\tisAdult\tstartYear\tendYear\truntimeMinutes\tgenres\n"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read(text: str | bytes) -> list[Record]:
    return list(records(io.BytesIO(text.encode() if isinstance(text, str) else text)))


def titles(text: str | bytes) -> list[Any]:
    """Return the titles of a file that has no errors."""
    found = read(text)
    assert [each.error for each in found] == [""] * len(found)
    return [each.title for each in found]


def outcomes(text: str | bytes) -> list[tuple[int, str]]:
    """Return the line number of each record, with its title or error."""
    return [(each.number, each.error or (each.title or {"title": "-"})["title"]) for each in read(text)]


def why_unreadable(text: str | bytes) -> str:
    with pytest.raises(UnreadableFileError) as refused:
        read(text)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def one_title(title: str = "Alien", **fields: Any) -> str:
    return json.dumps({"id": ID, "contentType": "movie", "title": title, **fields}) + "\n"


class TestJsonLines:
    def test_are_titles_with_the_fields_of_the_schema(self) -> None:
        assert titles(one_title(genres=["Horror"]) + one_title("Aliens")) == [
            {"id": ID, "contentType": "movie", "title": "Alien", "genres": ["Horror"]},
            {"id": ID, "contentType": "movie", "title": "Aliens"},
        ]

    @pytest.mark.parametrize("ending", ["\n", "\r\n", "\n\n \n"])
    def test_may_have_any_line_ending_and_blank_lines(self, ending: str) -> None:
        text = one_title().strip() + ending + one_title("Aliens").strip()
        assert [title for _, title in outcomes(text)] == ["Alien", "Aliens"]

    def test_an_invalid_line_reports_its_error_and_the_other_lines_are_read(self) -> None:
        text = one_title() + '{"id": "5", \n' + '{"contentType": "movie"}\n' + "3\n" + one_title("Aliens")
        assert outcomes(text) == [
            (1, "Alien"),
            (2, "it is not JSON: Input data was truncated"),
            (3, "object missing required field `title`"),
            (4, "it is not a JSON object"),
            (5, "Aliens"),
        ]

    def test_field_names_in_another_language_are_errors_of_their_lines(self) -> None:
        assert outcomes('{"sorte": "movie", "titre": "Alien"}\n' + one_title("Aliens")) == [
            (1, "object missing required field `contentType`"),
            (2, "Aliens"),
        ]

    def test_quotes_and_line_breaks_within_a_field_are_kept(self) -> None:
        assert outcomes(one_title('A "title",\nover two lines')) == [(1, 'A "title",\nover two lines')]

    def test_a_line_that_is_not_utf8_reports_the_position(self) -> None:
        text = one_title().encode() + '{"title": "Amélie"}\n'.encode("latin-1") + one_title("Aliens").encode()
        assert outcomes(text)[1:] == [
            (2, "it is not UTF-8: byte 0xe9 at position 14; save the file as UTF-8"),
            (3, "Aliens"),
        ]

    def test_a_value_that_is_nested_too_deep_is_an_error_of_its_line(self) -> None:
        found = outcomes('{"a":' * 100_000 + "1" + "}" * 100_000 + "\n" + one_title())
        assert found == [(1, "it is nested too deep"), (2, "Alien")]

    @pytest.mark.parametrize("text", [f"[{one_title()}]", "[\n" + one_title() + "]", '{\n  "id": 5\n}'])
    def test_a_file_that_is_one_json_value_is_refused_and_the_error_asks_for_json_lines(self, text: str) -> None:
        assert "must be JSON Lines" in why_unreadable(text)


class TestTmdb:
    """https://developer.themoviedb.org/docs/daily-id-exports, lines as of 2026."""

    MOVIE = '{"adult":false,"id":3924,"original_title":"Blondie","popularity":1.2707,"video":false}\n'
    SHOW = '{"id":1,"original_name":"プライド","popularity":3.7982}\n'

    def test_movies_and_shows_are_told_apart(self) -> None:
        assert titles(self.MOVIE + self.SHOW) == [
            {
                "contentType": "movie",
                "title": "Blondie",
                "originalTitle": "Blondie",
                "externalIds": {"tmdb": 3924},
                "isAdult": False,
            },
            {"contentType": "tvshow", "title": "プライド", "originalTitle": "プライド", "externalIds": {"tmdb": 1}},
        ]

    def test_its_records_keep_the_title_field_of_an_existing_movie_or_show(self) -> None:
        found = read(self.MOVIE + one_title())
        assert [each.keeps_title for each in found] == [True, False]

    @pytest.mark.parametrize(
        "line",
        [
            '{"adult":false,"id":16767,"name":"Aki Kaurismäki","popularity":2.4825}\n',
            '{"id":10,"name":"Star Wars Collection"}\n',
        ],
    )
    def test_its_other_exports_are_refused(self, line: str) -> None:
        assert "movie_ids and tv_series_ids have titles" in outcomes(line)[0][1]

    def test_a_truncated_last_line_is_an_error(self) -> None:
        assert outcomes(self.MOVIE + self.SHOW[:30]) == [
            (1, "Blondie"),
            (2, "it is not JSON: Input data was truncated"),
        ]

    def test_an_empty_title_is_an_error_of_its_line(self) -> None:
        assert outcomes(self.MOVIE.replace("Blondie", "") + self.SHOW) == [
            (1, "`title` expected `str` of length >= 1"),
            (2, "プライド"),
        ]


class TestImdb:
    """https://developer.imdb.com/non-commercial-datasets, lines as IMDb writes them."""

    def test_columns_become_the_fields_of_a_title(self) -> None:
        lines = (
            "tt0000001\tshort\tCarmencita\tCarmencita\t0\t1894\t\\N\t1\tDocumentary,Short\n"
            "tt0804484\ttvSeries\tFoundation\tFoundation\t0\t2021\t\\N\t\\N\tDrama,Sci-Fi\n"
        )
        assert titles(IMDB_HEADER + lines) == [
            {
                "contentType": "movie",
                "title": "Carmencita",
                "originalTitle": "Carmencita",
                "externalIds": {"imdb": "tt0000001"},
                "isAdult": False,
                "releaseYear": 1894,
                "runtimeMinutes": 1,
                "genres": ["Documentary", "Short"],
            },
            {
                "contentType": "tvshow",
                "title": "Foundation",
                "originalTitle": "Foundation",
                "externalIds": {"imdb": "tt0804484"},
                "isAdult": False,
                "releaseYear": 2021,
                "genres": ["Drama", "Sci-Fi"],
            },
        ]

    @pytest.mark.parametrize("title", ['"Swing it" magistern', '"Rolling in the Deep Dish', 'Them!"', "A, B", "\\N's"])
    def test_quotation_marks_are_part_of_a_title(self, title: str) -> None:
        lines = f"tt0033122\tmovie\t{title}\t{title}\t0\t1940\t\\N\t92\tComedy,Music\n"
        following = "tt0000002\tmovie\tNext\tNext\t0\t\\N\t\\N\t\\N\t\\N\n"
        assert [each["title"] for each in titles(IMDB_HEADER + lines + following)] == [title, "Next"]

    @pytest.mark.parametrize(
        ("kind", "content_type"),
        [
            *((kind, "movie") for kind in ("movie", "short", "tvMovie", "tvShort", "tvSpecial", "video")),
            *((kind, "tvshow") for kind in ("tvSeries", "tvMiniSeries")),
            *((kind, None) for kind in ("tvEpisode", "tvPilot", "videoGame")),
        ],
    )
    def test_types_are_mapped_to_content_types_and_other_types_are_skipped(
        self, kind: str, content_type: str | None
    ) -> None:
        (record,) = read(IMDB_HEADER + f"tt0000001\t{kind}\tA\tA\t0\t\\N\t\\N\t\\N\t\\N\n")
        assert not record.error
        assert (record.title and record.title["contentType"]) == content_type

    @pytest.mark.parametrize(
        ("line", "error"),
        [
            ("tt0000001\tmovie\tA\tA\t0\t1894", "it has 6 fields, and the header has 9; is the file cut?"),
            ("tt0000001\tmovie\tA\tB\tA\t0\t1894\t\\N\t1\tShort", "it has 10 fields, and the header has 9"),
            ("tt0000001\tfilm\tA\tA\t0\t1894\t\\N\t1\tShort", "`titleType` is 'film', but must be one of"),
            ("tt0000001\tmovie\tA\tA\t2019\t1894\t\\N\t1\tShort", "`isAdult` expected `bool | null`, got `str`"),
            ("tt0000001\tmovie\tA\tA\t0\tsoon\t\\N\t1\tShort", "`releaseYear` expected `int | null`, got `str`"),
        ],
    )
    def test_a_broken_line_reports_its_error_and_the_next_is_read(self, line: str, error: str) -> None:
        broken, good = outcomes(IMDB_HEADER + line + "\ntt0000002\tmovie\tNext\tNext\t0\t\\N\t\\N\t\\N\t\\N\n")
        assert broken[1].startswith(error)
        assert good == (3, "Next")

    def test_a_missing_header_is_reported(self) -> None:
        line = "tt0000001\tshort\tCarmencita\tCarmencita\t0\t1894\t\\N\t1\tDocumentary,Short\n"
        assert why_unreadable(line).startswith("its header is missing: line 1 must be tconst titleType primaryTitle")

    @pytest.mark.parametrize("delimiter", [",", ";", "|", " "])
    def test_other_delimiters_are_refused_and_the_error_asks_for_the_original_file(self, delimiter: str) -> None:
        line = "tt0000001\tshort\tCarmencita\tCarmencita\t0\t1894\t\\N\t1\tDocumentary\n"
        told = why_unreadable((IMDB_HEADER + line).replace("\t", delimiter))
        assert told == "it is IMDb's file with other delimiters than tabs: import title.basics.tsv as it was downloaded"

    @pytest.mark.parametrize(
        "header",
        ["tconst\taverageRating\tnumVotes\n", "nconst\tprimaryName\tbirthYear\n", "titleId\tordering\ttitle\n"],
    )
    def test_its_other_files_are_refused(self, header: str) -> None:
        assert "titles are in title.basics.tsv" in why_unreadable(header + "tt0000001\t5.7\t2000\n")


class TestCsv:
    def test_cells_become_the_fields_of_a_title_and_empty_cells_are_omitted(self) -> None:
        rows = (
            f"{ID},movie,Alien,Horror|Sci-Fi,1979,false,tt0078748,348,p.jpg\n"
            f'{ID},tvshow,"A, ""B""","[""Drama|Crime""]",,,,,\n'
        )
        assert titles(CSV_HEADER + rows) == [
            {
                "id": ID,
                "contentType": "movie",
                "title": "Alien",
                "genres": ["Horror", "Sci-Fi"],
                "releaseYear": 1979,
                "isAdult": False,
                "externalIds": {"imdb": "tt0078748", "tmdb": "348"},
                "poster": "p.jpg",
            },
            {"id": ID, "contentType": "tvshow", "title": 'A, "B"', "genres": ["Drama|Crime"]},
        ]

    def test_quoted_fields_may_have_line_breaks_and_blank_lines(self) -> None:
        rows = f'{ID},movie,"One\n\n""two""\r\nthree",,,,,,\n{ID},movie,Next,,,,,,\n'
        assert outcomes(CSV_HEADER + rows) == [(2, 'One\n\n"two"\nthree'), (6, "Next")]

    @pytest.mark.parametrize(
        ("row", "error"),
        [
            (f'{ID},movie,"Swing it" magistern,,,,,,', "it is not CSV: ',' expected after '\"'"),
            (f"{ID},movie,One, two,,,,,,", "it has 10 fields, and the header has 9; is a field with commas not in quo"),
            (f"{ID},movie,Cut", "it has 3 fields, and the header has 9; is the file cut?"),
            (f"{ID},movie,A,,19x9,,,,", "`releaseYear` expected `int | null`, got `str`"),
            (f"{ID},movie,A,,,maybe,,,", "`isAdult` expected `bool | null`, got `str`"),
            (f"{ID},movie,A,[oops,,,,,", "a field is not JSON: "),
            (f"{ID},film,A,,,,,,", "`contentType` invalid enum value 'film'"),
        ],
    )
    def test_a_broken_row_reports_its_error_and_the_next_is_read(self, row: str, error: str) -> None:
        broken, good = outcomes(f"{CSV_HEADER}{row}\n{ID},movie,Next,,,,,,\n")
        assert broken[1].startswith(error)
        assert (broken[0], good) == (2, (3, "Next"))

    @pytest.mark.parametrize("rows_after", [3, 2000])
    def test_an_unclosed_quotation_mark_breaks_only_its_own_row(self, rows_after: int) -> None:
        following = "".join(f"{ID},movie,Next {number},,,,,,\n" for number in range(rows_after))
        broken, *rest = outcomes(CSV_HEADER + f'{ID},movie,"Open,,,,,,\n' + following)
        assert broken[0] == 2
        assert broken[1].startswith("a quotation mark opens a field that does not end")
        assert rest == [(number + 3, f"Next {number}") for number in range(rows_after)]

    def test_a_row_that_is_not_utf8_reports_the_position(self) -> None:
        rows = f"{ID},movie,Amélie,,,,,,\n".encode("latin-1") + f"{ID},movie,Next,,,,,,\n".encode()
        assert outcomes(CSV_HEADER.encode() + rows) == [
            (2, "it is not UTF-8: byte 0xe9 at position 34; save the file as UTF-8"),
            (3, "Next"),
        ]

    @pytest.mark.parametrize(
        ("header", "told"),
        [
            (CSV_HEADER.replace(",", ";"), "its columns are separated by semicolons, and must be separated by commas"),
            (CSV_HEADER.replace(",", "\t"), "its columns are separated by tabs, and must be separated by commas"),
            (CSV_HEADER.replace(",", "|"), "its columns are separated by vertical bars, and must be separated"),
            ("id,type,titre\n", "its header lacks contentType and title; it has id, type, titre. The schema has"),
            ("Kennung,Art,Titel\n", "its header lacks contentType and title; it has Kennung, Art, Titel. The schema"),
            ("contentType,title\n", "its header lacks id or externalIds.NAME; it has contentType, title"),
            ("id,contentType,title,title\n", "its header names title twice"),
            (f"{ID},movie,Alien,,,,,,\n", "its header is missing: line 1 must name the columns"),
            ('"id,contentType\n', "its header cannot be read: a quotation mark opens a field that does not end"),
        ],
    )
    def test_an_unsuitable_header_is_refused_with_the_reason(self, header: str, told: str) -> None:
        assert why_unreadable(header + f"{ID},movie,Alien,,,,,,\n").startswith(told)


class TestAnyFile:
    TEXTS = (one_title() + one_title("Aliens"), CSV_HEADER + f"{ID},movie,Alien,,,,,,\n{ID},movie,Aliens,,,,,,\n")

    @pytest.mark.parametrize("text", TEXTS)
    def test_a_leading_byte_order_mark_is_dropped(self, text: str) -> None:
        expected = titles(text)
        assert titles(BYTE_ORDER_MARK + text.encode()) == expected
        assert titles(gzip.compress(BYTE_ORDER_MARK + text.encode())) == expected

    @pytest.mark.parametrize("text", TEXTS)
    def test_gzip_data_with_several_members_and_padding_is_unpacked(self, text: str) -> None:
        half = len(text) // 2
        packed = gzip.compress(text[:half].encode()) + gzip.compress(text[half:].encode())
        assert titles(packed) == titles(packed + b"\0" * 512) == titles(text)

    def test_an_empty_file_has_no_titles(self) -> None:
        assert read(b"") == read(gzip.compress(b"")) == read(b"\n\n") == read(BYTE_ORDER_MARK) == []

    @pytest.mark.parametrize(
        ("header", "line"),
        [
            (CSV_HEADER, f'{ID},movie,"Title #",,,,,,\n'),
            (IMDB_HEADER, "tt0#\tmovie\tTitle #\tTitle #\t0\t1940\t\\N\t92\tComedy\n"),
            ("", TestTmdb.MOVIE.replace("Blondie", "Title #")),
        ],
        ids=["CSV", "IMDb", "TMDB"],
    )
    def test_the_records_before_a_truncation_are_read_in_any_format(self, header: str, line: str) -> None:
        text = header + "".join(line.replace("#", str(number)) for number in range(2_000))
        packed = gzip.compress(text.encode())
        found: list[Record] = []
        with pytest.raises(UnreadableFileError, match="its gzip data ends too early, so the file was cut"):
            found.extend(records(io.BytesIO(packed[: len(packed) // 2])))
        assert [each.title and each.title["title"] for each in found] == [f"Title {n}" for n in range(len(found))]
        assert 500 < len(found) < 2_000

    @pytest.mark.parametrize("kept", [0.2, 0.7, 0.999])
    def test_nearly_all_records_before_the_truncation_of_a_gzip_file_are_read(self, kept: float) -> None:
        text = "".join(one_title(f"Title {number * 7919}") for number in range(20_000))
        packed = gzip.compress(text.encode())
        found: list[Record] = []
        with pytest.raises(UnreadableFileError, match="its gzip data ends too early, so the file was cut"):
            found.extend(records(io.BytesIO(packed[: int(kept * len(packed))])))
        assert [each.title and each.title["title"] for each in found] == [
            f"Title {number * 7919}" for number in range(len(found))
        ]
        assert len(found) > (kept - 0.1) * 20_000

    @pytest.mark.parametrize("place", [-6, 30], ids=["checksum", "data"])
    def test_damaged_gzip_data_is_reported(self, place: int) -> None:
        packed = bytearray(gzip.compress("".join(one_title(str(number)) for number in range(5000)).encode()))
        packed[place] ^= 0xFF
        assert why_unreadable(bytes(packed)).startswith("its gzip data is damaged")

    @pytest.mark.parametrize(
        ("beginning", "told"),
        [
            (b"PK\x03\x04", "it is a ZIP archive, as a spreadsheet is: unpack it, or save it as CSV"),
            (b"BZh9", "it is compressed by bzip2"),
            (b"\xfd7zXZ\0", "it is compressed by xz"),
            (b"\x28\xb5\x2f\xfd", "it is compressed by zstd"),
            ("id,title\n".encode("utf-16"), "it is UTF-16: save it as UTF-8"),
        ],
    )
    def test_unsupported_compressions_and_encodings_are_reported(self, beginning: bytes, told: str) -> None:
        assert why_unreadable(beginning + b"\0\1\2\n").startswith(told)
        assert why_unreadable(gzip.compress(beginning + b"\0\1\2\n")).startswith(told)

    @pytest.mark.parametrize("size", [MAX_LINE_BYTES + 1, 3 * MAX_LINE_BYTES])
    def test_a_line_that_is_too_long_is_an_error_and_the_next_is_read(self, size: int) -> None:
        found = read(one_title() + "{" * size + "\n" + one_title("Aliens"))
        assert [each.error for each in found] == ["", f"it is longer than {MAX_LINE_BYTES:,} bytes", ""]
        assert [each.number for each in found] == [1, 2, 3]
        assert len(found[1].raw) < 1000

    def test_a_file_without_any_line_break_takes_bounded_memory(self) -> None:
        class Endless(io.RawIOBase):
            left = 64 * MAX_LINE_BYTES

            def read(self, size: int = -1) -> bytes:
                self.left -= size
                return b"{" * size if self.left > 0 else b""

        tracemalloc.start()
        try:
            found = list(text_lines.lines(Endless()))  # type: ignore[arg-type] # it reads
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert [line.is_too_long for line in found] == [True]
        assert peak < 8 * MAX_LINE_BYTES

    def test_records_are_read_one_by_one(self) -> None:
        def endless() -> Iterator[bytes]:
            while True:
                yield one_title().encode() * 10_000

        chunks = endless()

        class Endless(io.RawIOBase):
            def read(self, size: int = -1) -> bytes:
                return next(chunks)[: size - size % len(one_title())]

        found = records(Endless())  # type: ignore[arg-type] # it reads
        assert [next(found).error for _ in range(10_000)] == [""] * 10_000

"""Reading the files of other services: their order, the amount read at a time, and the memory in use."""

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator

import pytest

from mylist.domain.errors import UnknownListFormatError
from mylist.list_files.entry import Entry
from mylist.list_files.json_elements import elements
from mylist.list_files.reading import CSV, JSON, MAX_ROW_BYTES, ListFile, TooManyLinesError, is_pause

NOW = 1_700_000_000_000
DAY = 86_400_000
HEADER = "Date,Name,Year,Letterboxd URI\n"


def read(body: str | bytes, media_type: str = CSV, *, max_lines: int = 1000) -> list[Entry]:
    file = ListFile(body.encode() if isinstance(body, str) else body, media_type, NOW, max_lines=max_lines)
    return [each for each in file.entries() if not is_pause(each)]


def moments(body: str) -> list[int]:
    return [each.added.at for each in read(body) if each.added]


@pytest.mark.parametrize(
    ("days", "order"),
    [
        (["2023-01-01", "2023-01-02", "2023-01-02", "2023-01-03"], [0, 1, 2, 3]),
        (["2023-01-03", "2023-01-02", "2023-01-02", "2023-01-01"], [3, 2, 1, 0]),
        (["2023-01-02", "2023-01-02", "2023-01-02"], [2, 1, 0]),
        (["2023-01-01", "2023-01-03", "2023-01-02", "2023-01-03", "2023-01-04"], [0, 2, 1, 3, 4]),
    ],
    ids=["oldest first", "newest first", "one day", "mostly oldest first"],
)
def test_lines_of_one_day_stay_in_the_order_of_the_file(days: list[str], order: list[int]) -> None:
    found = moments(HEADER + "".join(f"{day},x,,u\n" for day in days))

    assert sorted(range(len(found)), key=found.__getitem__) == sorted(range(len(found)), key=order.__getitem__)
    assert len(set(found)) == len(found)
    assert [moment // DAY for moment in found] == [moment // DAY for moment in moments_of_each(days)]


def moments_of_each(days: list[str]) -> list[int]:
    return [moments(f"{HEADER}{day},x,,u\n")[0] for day in days]


def test_an_export_of_this_service_keeps_its_dates_to_the_millisecond() -> None:
    rows = "".join(f"{number:024x},movie,2023-01-01T00:00:00.007Z\n" for number in range(3))
    assert len(set(moments("contentId,contentType,addedAt\n" + rows))) == 1


@pytest.mark.parametrize("media_type", [CSV, JSON])
def test_too_many_lines_are_refused_before_the_first_entry_is_returned(media_type: str) -> None:
    body = "title\n" + "x\n" * 301 if media_type == CSV else json.dumps([{"title": "x"}] * 301)
    assert len(read(body, media_type, max_lines=301)) == 301
    file = ListFile(body.encode(), media_type, NOW, max_lines=300)
    told: list[Entry] = []
    with pytest.raises(TooManyLinesError):
        told += (each for each in file.entries() if not is_pause(each))
    assert not told


def test_the_apostrophe_that_guards_a_cell_against_formulas_is_dropped() -> None:
    assert [each.titles for each in read("title\n'=1+1\n''-x\n'Til\n'\n")] == [("=1+1",), ("'-x",), ("'Til",), ("'",)]


@pytest.mark.parametrize(
    "value", ["[" * 30_000, '"' + "x" * 70_000 + '"', "{}," * 30_000], ids=["deep", "long", "many"]
)
def test_a_large_json_element_takes_bounded_memory(value: str) -> None:
    body = f'[{{"title":"x"}},{{"title":{value}'.encode()
    tracemalloc.start()
    found = read(body, JSON, max_lines=100_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found[0].titles == ("x",)
    assert found[-1].problem
    assert peak < 20 * MAX_ROW_BYTES


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", []),
        ("[1]", ["1"]),
        (' [ {"a":[1,{"b":2}]} , "x,]" ]\n', ['{"a":[1,{"b":2}]}', '"x,]"']),
        (r'["\"],[\\", 2]', [r'"\"],[\\"', "2"]),
        ("[1,]", ["1", ""]),
    ],
)
def test_an_array_is_split_into_its_elements(text: str, expected: list[str]) -> None:
    assert [(each.decode(), problem) for each, problem in elements(text.encode())] == [(each, "") for each in expected]


_MILLION = """
import resource, sys
from mylist.list_files.reading import CSV, JSON, ListFile, is_pause

beginning, line, end, media_type = (each.encode() for each in sys.argv[1:])
# Made in place: what is let go before the measurement would hide as much of what is taken after it.
body = bytearray(beginning)
for number in range(1_000_000):
    body += line.replace(b"#", b"%d" % number)
body += end
file = ListFile(body, media_type.decode(), 1_700_000_000_000, max_lines=1_000_001)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count = sum(not is_pause(each) for each in file.entries())
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.extended
@pytest.mark.parametrize(
    ("beginning", "line", "end", "media_type"),
    [
        (HEADER, "2023-01-01,Title #,1999,https://boxd.it/#\n", "", CSV),
        ("Position,Const,Created,Title,Title Type,Year\n", '#,tt#,2023-01-01,"Title, #",Movie,1999\n', "", CSV),
        ("rank,listed_at,type,title,year,trakt_id\n", "#,2023-01-01T10:30:00.000Z,movie,Title #,1999,#\n", "", CSV),
        ("title,year\n", "Title #,1999\n", "", CSV),
        ("[", '{"listed_at":"2023-01-01T10:30:00Z","movie":{"title":"Title #","year":1999}},', "{}]", JSON),
    ],
    ids=["Letterboxd", "IMDb", "Trakt's CSV", "titles", "Trakt's JSON"],
)
def test_a_million_lines_take_no_more_memory_than_their_text(
    beginning: str, line: str, end: str, media_type: str
) -> None:
    """Run in a separate process, so that nothing else has raised its peak."""
    command = [sys.executable, "-c", _MILLION, beginning, line, end, media_type]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    lines, grown_kib = map(int, answer.stdout.split())

    assert lines == 1_000_000 + bool(end)
    assert grown_kib < 4096, f"{grown_kib:,} KiB beside the body"


def test_the_error_quotes_only_a_part_of_a_long_header() -> None:
    with pytest.raises(UnknownListFormatError) as error:
        read("x" * 1000 + ",y\n")
    assert len(str(error.value)) < 1000


def pauses(file: ListFile) -> Iterator[Entry]:
    return (each for each in file.entries() if is_pause(each))


def test_reading_lines_pauses_for_other_tasks() -> None:
    file = ListFile(("title\n" + "x\n" * 450).encode(), CSV, NOW, max_lines=1000)
    assert len(list(pauses(file))) == 4

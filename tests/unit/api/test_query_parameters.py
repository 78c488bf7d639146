"""Which query strings filter or sort a list, and how they are parsed."""

import pytest

from mylist.api.read_requests import parse_items_query
from mylist.domain.errors import InvalidParameterError
from mylist.domain.filter_and_sort import ListQuery
from mylist.domain.page_request import ItemsQuery, PageRequest


def items_query(query: str) -> ItemsQuery:
    asked = parse_items_query(query, 20, 100)
    assert isinstance(asked, ItemsQuery)
    return asked


@pytest.mark.parametrize("query", ["", "page=2&pageSize=5", "Type=movie", "types=movie", "filter=type", "%00=1"])
def test_a_query_string_without_filters_or_order_asks_for_a_plain_page(query: str) -> None:
    assert isinstance(parse_items_query(query, 20, 100), PageRequest)


@pytest.mark.parametrize(
    ("query", "list_query"),
    [
        ("view=ids", ListQuery(None, (), "addedAt", descending=True)),
        ("sort=title", ListQuery(None, (), "title", descending=False)),
        ("sort=title&order=desc", ListQuery(None, (), "title", descending=True)),
        ("sort=releaseDate", ListQuery(None, (), "releaseDate", descending=True)),
        ("order=asc", ListQuery(None, (), "addedAt", descending=False)),
        ("type=tvshow&genre=SPA%C3%9F", ListQuery("tvshow", ("spass",), "addedAt", descending=True)),
        ("genre=b&genre=A&genre=a", ListQuery(None, ("a", "b"), "addedAt", descending=True)),
        ("notGenre=b&notGenre=A", ListQuery(excluded_genres=("a", "b"))),
        ("q=The%20MATRIX&q2=x", ListQuery(words=("matrix", "the"))),
        ("available=true", ListQuery(is_available=True)),
        ("available=false", ListQuery(is_available=False)),
        ("sort=random&seed=a-Z_9", ListQuery(sort="random", seed="a-Z_9")),
        ("sort=random", ListQuery(sort="random")),
    ],
)
def test_a_query_string_is_parsed_with_defaults_for_missing_parameters(query: str, list_query: ListQuery) -> None:
    assert items_query(query).list_query == list_query


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [
        ("1970-01-01T00:00:01Z", 1000),
        ("1970-01-01T00:00:01.5Z", 1500),
        ("1970-01-01t00:00:01z", 1000),
        ("1970-01-01T01:00:01%2B01:00", 1000),
        ("1969-12-31T23:59:59-00:00", -1000),
        # Dates have milliseconds: a bound between two of them selects the same items as the later one.
        ("1970-01-01T00:00:01.000001Z", 1001),
        ("1970-01-01T00:00:01.000999Z", 1001),
        ("1970-01-01T00:00:01.001Z", 1001),
        ("1969-12-31T23:59:59.999999Z", 0),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
    ],
)
def test_a_time_is_rounded_up_to_a_whole_millisecond(written: str, milliseconds: int) -> None:
    assert items_query(f"addedAfter={written}").list_query == ListQuery(added_from=milliseconds)
    assert items_query(f"addedBefore={written}").list_query == ListQuery(added_before=milliseconds)


@pytest.mark.parametrize("name", ["addedAfter", "addedBefore"])
@pytest.mark.parametrize(
    "written",
    [
        "",
        "2024",
        "2024-01-20",
        "2024-01-20T10:30:00",
        "2024-01-20T10:30:00+01:00",  # the plus stands for a space
        "yesterday",
        "1700000000000",
        "2024-13-01T00:00:00Z",
        "0001-01-01T00:00:00%2B01:00",
        "9999-12-31T23:59:59.9999Z",
        "9999-12-31T23:59:59-01:00",
    ],
)
def test_an_invalid_time_is_refused(name: str, written: str) -> None:
    with pytest.raises(InvalidParameterError, match=rf"{name} must be given once, as a time with its zone"):
        parse_items_query(f"{name}={written}", 20, 100)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("seed=a", "seed must"),
        ("seed=a&sort=title", "seed must"),
        ("sort=random&seed=", "seed must"),
        ("sort=random&seed=a+b", "seed must"),
        ("sort=random&seed=a%0a", "seed must"),
        ("sort=random&seed=" + "a" * 65, "seed must"),
        ("sort=random&seed=a&seed=a", "seed must"),
        ("sort=random&page=2", "seed must"),
        ("sort=random&order=asc", "order must"),
        ("genre=Drama&notGenre=dRAMA", "notGenre must"),
        ("addedAfter=2024-01-20T10:30:00Z&addedBefore=2024-01-20T10:30:00Z", "addedAfter must"),
        ("addedAfter=2024-01-20T10:30:00Z&addedBefore=2024-01-20T10:29:59Z", "addedAfter must"),
        ("&".join(f"genre={each}" for each in range(11)), "genre must be given at most 10 times"),
        ("&".join(f"notGenre={each}" for each in range(11)), "notGenre must be given at most 10 times"),
        ("genre=a&genre=", "genre must"),
        ("notGenre=" + "x" * 101, "notGenre must"),
        ("q=", "q must"),
        ("q=%20", "q must"),
        ("q=!!", "q must"),
        ("q=a&q=b", "q must"),
        ("q=" + "a" * 65, "q must"),
        ("q=a" + "%C3%9F" * 60, "q must"),
        ("q=a+b+c+d+e+f+g+h+i", "q must"),
        ("available=", "available must"),
        ("available=no", "available must"),
        ("available=true&available=true", "available must"),
    ],
)
def test_an_error_names_the_parameter_that_is_invalid_contradictory_or_too_long(query: str, says: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"^{says}"):
        parse_items_query(query, 20, 100)


def test_a_random_order_is_repeatable_only_with_a_seed_or_a_cursor() -> None:
    assert items_query("sort=random&page=2&seed=a").page_request == PageRequest(2, 20)
    assert items_query("sort=random&page=1").page_request == PageRequest(1, 20)
    assert items_query("sort=random&cursor=abc").list_query.seed is None
    repeatable = {
        each: items_query(f"sort=random{each}").is_repeatable for each in ("", "&cursor=", "&cursor=a", "&seed=a")
    }
    assert repeatable == {"": False, "&cursor=": False, "&cursor=a": True, "&seed=a": True}


def test_equivalent_queries_are_equal_and_have_the_same_hash() -> None:
    one, same, other = (
        items_query(each) for each in ("q=the+matrix&genre=a&genre=b", "genre=b&genre=a&q=Matrix%20the", "q=a")
    )
    assert (one, hash(one)) == (same, hash(same))
    assert one != other
    assert len({one, same, other}) == 2


def test_paging_cursor_and_view_are_parsed() -> None:
    assert items_query("view=ids&page=3&pageSize=7").page_request == PageRequest(3, 7)
    assert (items_query("view=ids").cursor, items_query("view=ids").ids_only) == (None, True)
    assert (items_query("cursor=").cursor, items_query("cursor=").ids_only) == ("", False)
    assert items_query("cursor=abc&pageSize=1000").page_request == PageRequest(1, 100)


@pytest.mark.parametrize("query", ["type=", "sort", "order=&order=asc", "cursor=&page=", "genre=", "view=ids&view=ids"])
def test_an_invalid_value_is_refused_each_time_it_is_parsed(query: str) -> None:
    for _ in range(2):
        with pytest.raises(InvalidParameterError):
            parse_items_query(query, 20, 100)


def test_a_very_long_query_string_is_parsed() -> None:
    assert parse_items_query("x=" + "y" * 5000 + "&page=7", 20, 100) == PageRequest(7, 20)
    assert items_query("sort=title&x=" + "y" * 5000).list_query.sort == "title"

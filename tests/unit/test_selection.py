"""Which queries ask for a selection, and what it is then."""

import pytest

from mylist.api.paging import Paging
from mylist.api.selection import Selection, parse_reading
from mylist.errors import InvalidParameterError
from mylist.lists.arrangement import Arrangement


def selection(query: str) -> Selection:
    asked = parse_reading(query, 20, 100)
    assert isinstance(asked, Selection)
    return asked


@pytest.mark.parametrize("query", ["", "page=2&pageSize=5", "Type=movie", "types=movie", "filter=type", "%00=1"])
def test_a_query_without_its_parameters_asks_for_a_page(query: str) -> None:
    assert isinstance(parse_reading(query, 20, 100), Paging)


@pytest.mark.parametrize(
    ("query", "arrangement"),
    [
        ("view=ids", Arrangement(None, None, "addedAt", descending=True)),
        ("sort=title", Arrangement(None, None, "title", descending=False)),
        ("sort=title&order=desc", Arrangement(None, None, "title", descending=True)),
        ("sort=releaseDate", Arrangement(None, None, "releaseDate", descending=True)),
        ("order=asc", Arrangement(None, None, "addedAt", descending=False)),
        ("type=tvshow&genre=SPA%C3%9F", Arrangement("tvshow", "spass", "addedAt", descending=True)),
    ],
)
def test_orders_have_defaults(query: str, arrangement: Arrangement) -> None:
    assert selection(query).arrangement == arrangement


def test_the_rest_is_how_much_and_in_which_form() -> None:
    assert selection("view=ids&page=3&pageSize=7").paging == Paging(3, 7)
    assert (selection("view=ids").cursor, selection("view=ids").ids_only) == (None, True)
    assert (selection("cursor=").cursor, selection("cursor=").ids_only) == ("", False)
    assert selection("cursor=abc&pageSize=1000").paging == Paging(1, 100)


@pytest.mark.parametrize("query", ["type=", "sort", "order=&order=asc", "cursor=&page=", "genre=", "view=ids&view=ids"])
def test_what_is_no_value_is_refused_again_and_again(query: str) -> None:
    for _ in range(2):
        with pytest.raises(InvalidParameterError):
            parse_reading(query, 20, 100)


def test_a_long_query_is_read_as_well() -> None:
    assert selection("sort=title&x=" + "y" * 5000).arrangement.sort == "title"

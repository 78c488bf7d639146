"""Which query strings make a query of a request, and what it is then."""

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
def test_a_query_without_its_parameters_asks_for_a_page(query: str) -> None:
    assert isinstance(parse_items_query(query, 20, 100), PageRequest)


@pytest.mark.parametrize(
    ("query", "list_query"),
    [
        ("view=ids", ListQuery(None, None, "addedAt", descending=True)),
        ("sort=title", ListQuery(None, None, "title", descending=False)),
        ("sort=title&order=desc", ListQuery(None, None, "title", descending=True)),
        ("sort=releaseDate", ListQuery(None, None, "releaseDate", descending=True)),
        ("order=asc", ListQuery(None, None, "addedAt", descending=False)),
        ("type=tvshow&genre=SPA%C3%9F", ListQuery("tvshow", "spass", "addedAt", descending=True)),
    ],
)
def test_orders_have_defaults(query: str, list_query: ListQuery) -> None:
    assert items_query(query).list_query == list_query


def test_the_rest_is_how_much_and_in_which_form() -> None:
    assert items_query("view=ids&page=3&pageSize=7").page_request == PageRequest(3, 7)
    assert (items_query("view=ids").cursor, items_query("view=ids").ids_only) == (None, True)
    assert (items_query("cursor=").cursor, items_query("cursor=").ids_only) == ("", False)
    assert items_query("cursor=abc&pageSize=1000").page_request == PageRequest(1, 100)


@pytest.mark.parametrize("query", ["type=", "sort", "order=&order=asc", "cursor=&page=", "genre=", "view=ids&view=ids"])
def test_what_is_no_value_is_refused_again_and_again(query: str) -> None:
    for _ in range(2):
        with pytest.raises(InvalidParameterError):
            parse_items_query(query, 20, 100)


def test_a_long_query_is_parsed_as_well() -> None:
    assert parse_items_query("x=" + "y" * 5000 + "&page=7", 20, 100) == PageRequest(7, 20)
    assert items_query("sort=title&x=" + "y" * 5000).list_query.sort == "title"

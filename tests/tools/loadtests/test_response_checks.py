"""The load test checks each answer of the service."""

import json
from typing import Any

import pytest

from loadtests.response_checks import WrongAnswerError, check_stats, read_page


def page(items: int, *, number: int = 1, total: int = 25, owner: str = "ada", **changes: Any) -> bytes:
    item = {"userId": owner, "contentId": "0" * 24, "contentType": "movie", "addedAt": "2026-01-01T00:00:00.000Z"}
    data = {"items": [{**item, "content": None}] * items, "total": total, "page": number, "pageSize": 20}
    return json.dumps({"success": True, "data": {**data, "totalPages": 2}, **changes}).encode()


@pytest.mark.parametrize(("items", "number", "total"), [(20, 1, 25), (5, 2, 25), (0, 3, 25), (0, 1, 0)])
def test_a_correct_page_is_accepted(items: int, number: int, total: int) -> None:
    assert len(read_page(page(items, number=number, total=total), "ada").items) == items


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (page(19), "19 items on page 1 of 25, not 20"),
        (page(20, owner="grace"), "somebody else's"),
        (page(20, success=False), "not a page"),
        (b'{"success":true', "not a page"),
    ],
)
def test_a_wrong_page_is_noticed(body: bytes, says: str) -> None:
    with pytest.raises(WrongAnswerError, match=says):
        read_page(body, "ada")


def test_one_item_of_somebody_else_is_noticed() -> None:
    body = page(20).replace(b'"userId": "ada"', b'"userId": "grace"', 1)
    with pytest.raises(WrongAnswerError, match="somebody else's"):
        read_page(body, "ada")


@pytest.mark.parametrize(("total", "right"), [(25, True), (24, False)])
def test_the_counts_by_type_must_add_up_to_the_total(total: int, right: bool) -> None:
    body = json.dumps({"success": True, "data": {"total": total, "byType": {"movie": 17, "tvshow": 8}}}).encode()
    if right:
        check_stats(body)
        return
    with pytest.raises(WrongAnswerError, match="17 movies and 8 shows, 24 in all"):
        check_stats(body)

"""Content documents as JSON."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from bson import Code, Decimal128, Int64, ObjectId, Regex, Timestamp
from bson.binary import Binary

from mylist.catalogue.rendering import to_json

ID = ObjectId("507f1f77bcf86cd799439012")


def test_the_id_comes_first_and_driver_fields_are_omitted_at_any_depth() -> None:
    document = {
        "title": "Dark",
        "_id": ID,
        "__v": 3,
        "createdAt": datetime(2024, 1, 1, tzinfo=UTC),
        "updatedAt": datetime(2024, 1, 1, tzinfo=UTC),
        "episodes": [{"_id": ObjectId(), "episodeNumber": 1, "createdAt": 1}],
    }

    assert to_json(document) == b'{"id":"507f1f77bcf86cd799439012","title":"Dark","episodes":[{"episodeNumber":1}]}'


def test_a_field_named_id_does_not_replace_the_id_of_the_title() -> None:
    assert to_json({"_id": ID, "id": 603, "title": "x"}) == b'{"id":"507f1f77bcf86cd799439012","title":"x"}'


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (datetime(1999, 3, 31, tzinfo=UTC), "1999-03-31T00:00:00.000Z"),
        (ObjectId("0" * 24), "0" * 24),
        (Decimal128("9.50"), "9.50"),
        (Int64(2**40), 2**40),
        (float("nan"), None),
        (float("inf"), None),
        (1.5, 1.5),
        (None, None),
        (True, True),
        (["a", ["b"]], ["a", ["b"]]),
        ({"deep": {"er": 1}}, {"deep": {"er": 1}}),
        (b"raw", "cmF3"),
        (Binary(b"raw", 128), "cmF3"),
        ('quote " and \u2028 and é', 'quote " and \u2028 and é'),
        (Timestamp(1, 2), "Timestamp(1, 2)"),
        (Code("return 1"), "return 1"),
        (Regex("a.*"), "Regex('a.*', 0)"),
    ],
)
def test_every_bson_value_has_a_json_form(value: Any, shown: Any) -> None:
    assert msgspec.json.decode(to_json({"_id": ID, "field": value}))["field"] == shown

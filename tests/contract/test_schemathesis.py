"""Generated requests check the service against its OpenAPI document: valid, invalid and borderline ones."""

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import load_all_checks, negative_data_rejection, positive_data_acceptance

from devtools.service_process import Service
from mylist.api.openapi import document
from mylist.api.router import ROUTES
from mylist.api.routes.whole_list import IMPORT_TYPES

pytestmark = pytest.mark.extended

load_all_checks()
# The service answers 413 to too many bytes and to too many ids.
REFUSALS = [400, 404, 405, 409, 412, 413, 415, 422, "5xx"]
CONFIG = schemathesis.Config.from_dict({"checks": {"negative_data_rejection": {"expected-statuses": REFUSALS}}})
SCHEMA = schemathesis.openapi.from_dict(json.loads(document(ROUTES)), config=CONFIG)
PAGED = "/api/mylist/items"
# The schema gives the range of pages; the service clamps other numbers into it.
CLAMPED = {"page", "pageSize"}
# The schema cannot express which genres and cursors exist, which parameters exclude each other, or that a search
# needs letters.
UNFORESEEN = {
    *("genre", "notGenre", "cursor", "since", "unlessRemovedSince"),
    *("q", "addedAfter", "addedBefore", "sort", "seed", "order"),
}
# The schema cannot express to which list an ETag belongs.
CONDITIONS = {"if-match", "if-none-match"}
# The schema cannot express that one of two parameters is required.
CLEARED = ("DELETE", PAGED)
# An invalid line is reported in a successful answer, and no schema can express that a date is in the future.
IMPORTED = "/api/mylist/import"


@schemathesis.serializer(*IMPORT_TYPES)
def lines(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """A body of one line."""
    return json.dumps(value).encode() + b"\n"


@pytest.mark.usefixtures("unharmed")
@SCHEMA.parametrize()
# The same requests in every run, so that a failure can be repeated.
@settings(max_examples=75, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_service_behaves_as_the_openapi_document_says(case: schemathesis.Case[Any], service: Service) -> None:
    given = set(case.query or ())
    is_read = case.method in {"GET", "HEAD"}
    ignored = is_read and given - {each.name for each in case.operation.query}  # reads ignore unknown parameters
    excluded = [negative_data_rejection] if ignored or given & CLAMPED or case.path == IMPORTED else []
    has_condition = not is_read and CONDITIONS & {each.lower() for each in case.headers or ()}
    if has_condition or given & UNFORESEEN or case.path == IMPORTED or (case.method, case.path) == CLEARED:
        excluded.append(positive_data_acceptance)
    case.call_and_validate(base_url=service.url, excluded_checks=excluded)

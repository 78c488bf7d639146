"""The OpenAPI document against the service, with requests that nobody thought of: good ones, bad ones, on the edge."""

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
# Too much is 413 here, be it bytes or ids.
REFUSALS = [400, 404, 405, 409, 412, 413, 415, 422, "5xx"]
CONFIG = schemathesis.Config.from_dict({"checks": {"negative_data_rejection": {"expected-statuses": REFUSALS}}})
SCHEMA = schemathesis.openapi.from_dict(json.loads(document(ROUTES)), config=CONFIG)
PAGED = "/api/mylist/items"
# The document says which pages there are; a page that is none counts as the nearest that is.
CLAMPED = {"page", "pageSize"}
# It cannot say which of these there are, which go together, that a search has letters, nor that a cursor is no page.
UNFORESEEN = {
    *("genre", "notGenre", "cursor", "since", "unlessRemovedSince"),
    *("q", "addedAfter", "addedBefore", "sort", "seed", "order"),
}
# Nor of which list an ETag is.
CONDITIONS = {"if-match", "if-none-match"}
# Nor that one of two has to be given.
CLEARED = ("DELETE", PAGED)
# A line that is none is told of in an answer that is a success, and no schema says what lies in the future.
IMPORTED = "/api/mylist/import"


@schemathesis.serializer(*IMPORT_TYPES)
def lines(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """A body of one line."""
    return json.dumps(value).encode() + b"\n"


@pytest.mark.usefixtures("unharmed")
@SCHEMA.parametrize()
# The same requests in every run, so that a failure can be repeated.
@settings(max_examples=75, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_the_document_says_is_so(case: schemathesis.Case[Any], service: Service) -> None:
    given = set(case.query or ())
    is_read = case.method in {"GET", "HEAD"}
    ignored = is_read and given - {each.name for each in case.operation.query}  # what is unknown, reads ignore
    excluded = [negative_data_rejection] if ignored or given & CLAMPED or case.path == IMPORTED else []
    has_condition = not is_read and CONDITIONS & {each.lower() for each in case.headers or ()}
    if has_condition or given & UNFORESEEN or case.path == IMPORTED or (case.method, case.path) == CLEARED:
        excluded.append(positive_data_acceptance)
    case.call_and_validate(base_url=service.url, excluded_checks=excluded)

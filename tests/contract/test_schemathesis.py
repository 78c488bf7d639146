"""The OpenAPI document against the service, with requests that nobody thought of: good ones, bad ones, on the edge."""

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import load_all_checks, negative_data_rejection

from mylist.api.openapi import document
from tests.serving import Service

load_all_checks()
# Too much is 413 here, be it bytes or ids.
REFUSALS = [400, 404, 405, 409, 413, 422, "5xx"]
CONFIG = schemathesis.Config.from_dict({"checks": {"negative_data_rejection": {"expected-statuses": REFUSALS}}})
SCHEMA = schemathesis.openapi.from_dict(json.loads(document()), config=CONFIG)
# The document says which pages there are; a page that is none counts as the nearest that is.
PAGED = "/api/mylist/items"


@pytest.mark.usefixtures("unharmed")
@SCHEMA.parametrize()
# The same requests in every run, so that a failure can be repeated.
@settings(max_examples=150, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_the_document_says_is_so(case: schemathesis.Case[Any], service: Service) -> None:
    excluded = [negative_data_rejection] if case.path == PAGED else []
    case.call_and_validate(base_url=service.url, excluded_checks=excluded)

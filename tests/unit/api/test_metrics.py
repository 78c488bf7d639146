"""The format of `/metrics`: OpenMetrics only if the scraper names it with at least the quality of plain text."""

import pytest

from mylist.api.routes.metrics import prefers_openmetrics

OPENMETRICS = "application/openmetrics-text"
OF_PROMETHEUS = (
    f"{OPENMETRICS};version=1.0.0;escaping=allow-utf-8;q=0.6,{OPENMETRICS};version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    "accept",
    [
        OPENMETRICS,
        OF_PROMETHEUS,
        f"{OPENMETRICS};version=7.3.1",
        f"{OPENMETRICS};version=two",
        f"{OPENMETRICS};version=2.0.0;q=0.6,{OPENMETRICS};version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4",
        f"{OPENMETRICS.title()} ; Q=0.5",
        f"{OPENMETRICS}, text/plain",
        f"text/plain;q=0, {OPENMETRICS};q=0.1",
        f"*/*;q=0.1, {OPENMETRICS};q=0.2",
        f"{OPENMETRICS};q=0, {OPENMETRICS};version=1.0.0",
    ],
)
def test_openmetrics_is_preferred_if_its_q_value_is_at_least_that_of_plain_text(accept: str) -> None:
    assert prefers_openmetrics(accept)


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/html, application/xhtml+xml",
        "application/*",
        "application/json",
        "text/plain;version=1.0.0;escaping=allow-utf-8",
        f"{OPENMETRICS};q=0",
        f"{OPENMETRICS};version=1.0.0;q=0.0, text/plain",
        f"{OPENMETRICS};q=0.000",
        f"{OPENMETRICS};q=nonsense",
        f"{OPENMETRICS};q=nan",
        f"{OPENMETRICS};q=-1",
        f"{OPENMETRICS};q=0.3, text/plain;q=0.4",
        f"{OPENMETRICS};q=0.3, text/*;q=0.4",
        f"{OPENMETRICS};q=0.3, */*;q=0.4",
        f"{OPENMETRICS}x",
        ";;,,=;q",
    ],
)
def test_plain_text_is_the_format_for_any_other_accept_header(accept: str) -> None:
    assert not prefers_openmetrics(accept)

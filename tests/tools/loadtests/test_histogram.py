"""The service's histogram of a time window, calculated from two scrapes."""

from math import inf

import pytest

from loadtests.histogram import Histogram, RestartedError, between, read

ITEMS = ("GET", "/api/mylist/items")
STATS = ("GET", "/api/mylist/stats")


def exposition(started: float, **routes: dict[str, int]) -> str:
    """Return the text of `/metrics`; buckets are cumulative, by their bound as text, and of status 200 unless named."""
    lines = ["# TYPE process_start_time_seconds gauge", f"process_start_time_seconds {started}"]
    lines += ["# TYPE http_server_request_duration_seconds histogram"]
    for route, buckets in routes.items():
        name, _, status = route.partition("_")
        labels = f'http_request_method="GET",http_route="/api/mylist/{name}"'
        labels += f',http_response_status_code="{status or 200}"'
        lines += [
            f'http_server_request_duration_seconds_bucket{{{labels},le="{bound}"}} {count}'
            for bound, count in buckets.items()
        ]
        lines += [f"http_server_request_duration_seconds_count{{{labels}}} {max(buckets.values())}"]
        lines += [f"http_server_request_duration_seconds_sum{{{labels}}} 1.0"]
    return "\n".join(lines) + "\n"


def test_the_window_has_the_requests_between_two_scrapes() -> None:
    before = exposition(5, items={"0.001": 10, "0.01": 15, "+Inf": 15})
    after = exposition(5, items={"0.001": 40, "0.01": 65, "+Inf": 66}, stats={"0.001": 7, "0.01": 7, "+Inf": 7})

    window = between([read(before)], [read(after)])

    assert window[ITEMS].buckets == {0.001: 30, 0.01: 50, inf: 51}
    assert window[STATS].count == 7


def test_a_route_without_requests_in_the_window_is_left_out() -> None:
    both = exposition(5, items={"0.001": 10, "+Inf": 15})

    assert between([read(both)], [read(both)]) == {}


def test_statuses_and_replicas_are_added_up() -> None:
    one = exposition(5, items={"0.01": 10, "+Inf": 10}, items_503={"0.01": 1, "+Inf": 2})
    other = exposition(6, items={"0.01": 20, "+Inf": 21})
    nothing = [read(exposition(5)), read(exposition(6))]

    window = between(nothing, [read(one), read(other)])

    assert window[ITEMS].buckets == {0.01: 31, inf: 33}


def test_another_process_at_the_second_scrape_is_detected() -> None:
    with pytest.raises(RestartedError):
        between([read(exposition(5))], [read(exposition(6))])


def test_metrics_of_another_program_are_refused() -> None:
    with pytest.raises(ValueError, match="process_start_time_seconds"):
        read("# TYPE something gauge\nsomething 1\n")


# The values of Prometheus' histogram_quantile for the same buckets.
@pytest.mark.parametrize(
    ("percent", "milliseconds"),
    [(25, 0.5), (50, 1.0), (75, 5.5), (90, 8.2), (95, 9.1), (99, 9.82), (100, 10.0)],
)
def test_percentiles_are_interpolated_within_their_bucket(percent: float, milliseconds: float) -> None:
    histogram = Histogram({0.001: 50, 0.01: 100, inf: 100})

    assert histogram.percentile(percent) == pytest.approx(milliseconds)


def test_empty_buckets_are_skipped() -> None:
    histogram = Histogram({0.001: 0, 0.01: 0, 0.1: 4, inf: 4})

    assert histogram.percentile(50) == pytest.approx(55)


def test_a_percentile_beyond_the_last_bound_is_that_bound() -> None:
    assert Histogram({0.001: 1, 10: 2, inf: 100}).percentile(99) == 10_000


def test_without_requests_there_is_no_percentile() -> None:
    with pytest.raises(ValueError, match="no requests"):
        Histogram({0.001: 0, inf: 0}).percentile(50)

"""Panels on requests: how many, how many fail, how long they take, which are turned away."""

from observability.dashboards.panels import Panel, Query, Row, graph, heatmap, high_is_bad
from observability.dashboards.promql import (
    API,
    FAILED,
    READS,
    WRITES,
    aggregate,
    buckets,
    quantile,
    rate,
    service,
    share,
)

COUNT = "http_server_request_duration_seconds_count"
BUCKET = "http_server_request_duration_seconds_bucket"
_ROUTE = ("http_request_method", "http_route")
_ROUTE_LEGEND = "{{http_request_method}} {{http_route}}"


def _duration(title: str, part: float, description: str) -> Panel:
    return graph(
        title=title,
        description=f"{description} Requests to the list API, from their head to the response handed to the network.",
        unit="s",
        queries=(Query(quantile(part, service(BUCKET, API), *_ROUTE), _ROUTE_LEGEND),),
        exemplars=True,
        width=8,
    )


def _durations(title: str, kind: str) -> Panel:
    return heatmap(
        title=title,
        description="How many requests a second took how long. The points are single requests that were traced.",
        unit="s",
        queries=(Query(buckets(service(BUCKET, kind)), "{{le}}"),),
    )


BY_ROUTE = graph(
    title="Requests by route",
    description="Requests a second, probes and paths that do not exist (unmatched) among them.",
    unit="reqps",
    queries=(Query(rate(service(COUNT), *_ROUTE), _ROUTE_LEGEND),),
    stacked=True,
)
BY_STATUS = graph(
    title="Responses by status",
    description="Responses a second. 409 and 404 are everyday answers of the list; 5xx are counted as errors.",
    unit="reqps",
    queries=(Query(rate(service(COUNT), "http_response_status_code"), "{{http_response_status_code}}"),),
    stacked=True,
)
ERRORS = graph(
    title="Errors by route",
    description="Share of the requests to the list API that were answered with 5xx.",
    unit="percentunit",
    queries=(
        Query(share(rate(service(COUNT, API, FAILED), *_ROUTE), rate(service(COUNT, API), *_ROUTE)), _ROUTE_LEGEND),
    ),
    thresholds=high_is_bad(0.001, 0.01),
)
ACTIVE = graph(
    title="Requests under way",
    description="Requests that have begun and not ended. It rises with the load, and when answers take longer.",
    unit="short",
    queries=(Query(aggregate("sum", service("http_server_active_requests"), "http_route"), "{{http_route}}"),),
    stacked=True,
)
MEDIAN = _duration("Half of the requests take at most (p50)", 0.5, "The usual duration.")
P95 = _duration("95 % of the requests take at most (p95)", 0.95, "One request of twenty takes longer.")
P99 = _duration("99 % of the requests take at most (p99)", 0.99, "One request of a hundred takes longer.")
SHED = graph(
    title="Requests turned away, by cause",
    description="503 a second: overloaded (too many requests or imports under way), database_busy (every MongoDB "
    "connection is in use), database_unavailable, outcome_unknown and partly_applied (MongoDB does not answer), "
    "cache_unavailable (a change could not be fenced in Redis), keys_unavailable (no key to verify tokens with), "
    "database_refused (MongoDB lacks a right or a feature). "
    "429 a second: too_many_requests and too_many_imports (a user asks for more than one user may have).",
    unit="reqps",
    queries=(Query(rate(service("mylist_shed_total"), "cause"), "{{cause}}"),),
    stacked=True,
)

ROW = Row(
    "Requests",
    (
        BY_ROUTE,
        BY_STATUS,
        MEDIAN,
        P95,
        P99,
        ERRORS,
        SHED,
        _durations("How long reads take", READS),
        _durations("How long changes take", WRITES),
    ),
)

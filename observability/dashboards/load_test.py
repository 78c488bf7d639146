"""The dashboard to watch while a load test runs."""

from observability.dashboards import cache, capacity, requests, stores
from observability.dashboards.panels import Query, Row, dashboard, high_is_bad, low_is_bad, stat
from observability.dashboards.promql import (
    API,
    CLUSTER,
    DEPLOYMENT,
    FAILED,
    JOB,
    NAMESPACE,
    POD,
    aggregate,
    quantile,
    rate,
    service,
    share,
)

_REQUESTS = rate(service(requests.COUNT, API))

DASHBOARD = dashboard(
    uid="mylist-load-test",
    title="My List: load test",
    description="What a load test does to the My List service, seen from the service.",
    since="now-30m",
    variables=(CLUSTER, NAMESPACE, JOB, POD, DEPLOYMENT),
    rows=(
        Row(
            "Now",
            (
                stat(
                    title="Requests",
                    description="Requests to the list API that the service answers a second.",
                    unit="reqps",
                    queries=(Query(_REQUESTS, "requests"),),
                    width=5,
                ),
                stat(
                    title="99 % of requests within",
                    description="Requests to the list API, reads and changes alike.",
                    unit="s",
                    queries=(Query(quantile(0.99, service(requests.BUCKET, API)), "requests"),),
                    thresholds=high_is_bad(0.1, 0.25),
                    width=5,
                ),
                stat(
                    title="Errors",
                    description="Share of the requests to the list API that were answered with 5xx.",
                    unit="percentunit",
                    queries=(Query(share(rate(service(requests.COUNT, API, FAILED)), _REQUESTS), "errors"),),
                    thresholds=high_is_bad(0.001, 0.01),
                    decimals=3,
                    width=5,
                ),
                stat(
                    title="Hits",
                    description="Share of the reads of lists that Redis answered. A test begins with an empty cache.",
                    unit="percentunit",
                    queries=(Query(cache.HIT_SHARE, "hits"),),
                    thresholds=low_is_bad(0.8, 0.5),
                    width=5,
                ),
                stat(
                    title="Processes",
                    description="Processes of the service that answer Prometheus.",
                    unit="short",
                    queries=(Query(aggregate("sum", service("up")), "processes"),),
                    width=4,
                ),
            ),
        ),
        Row(
            "The load and the answers",
            (
                requests.BY_ROUTE,
                requests.BY_STATUS,
                requests.MEDIAN,
                requests.P95,
                requests.P99,
                requests.ERRORS,
                requests.SHED,
            ),
        ),
        Row("The cache", (cache.HIT_RATIO, cache.READS)),
        Row(
            "What it costs",
            (capacity.CPU, capacity.REPLICAS, capacity.USED, capacity.LAG, requests.ACTIVE, capacity.MEMORY),
        ),
        Row(
            "The stores",
            (*stores.operations("mongodb", "MongoDB"), *stores.operations("redis", "Redis")),
        ),
    ),
)

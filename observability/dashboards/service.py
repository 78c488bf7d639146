"""The dashboard to open first: is the service well, and if not, where to look."""

from observability.dashboards import cache, capacity, events, requests, stores
from observability.dashboards.panels import (
    ANY_IS_BAD,
    Panel,
    Query,
    Row,
    at_least,
    dashboard,
    graph,
    high_is_bad,
    low_is_bad,
    stat,
)
from observability.dashboards.promql import (
    API,
    CLUSTER,
    DEPLOYMENT,
    FAILED,
    JOB,
    NAMESPACE,
    POD,
    WRITES,
    aggregate,
    objective,
    quantile,
    rate,
    service,
    share,
)

_FAILED = share(rate(service(requests.COUNT, API, FAILED)), rate(service(requests.COUNT, API)))

_AT_A_GLANCE = Row(
    "At a glance",
    (
        stat(
            title="Is it up? Processes that answer",
            description="Share of the processes that answer Prometheus.",
            unit="percentunit",
            queries=(Query(aggregate("avg", service("up")), "up"),),
            thresholds=low_is_bad(1, 0.5),
        ),
        stat(
            title="Does it serve? Requests without 5xx",
            description="Share of the requests to the list API that were not answered with 5xx. 99.9 % are promised.",
            unit="percentunit",
            queries=(Query(f"1 - {_FAILED}", "served"),),
            thresholds=low_is_bad(0.999, 0.99),
            decimals=3,
        ),
        stat(
            title="Is it fast? 99 % of reads within",
            description="Reads of lists that succeeded. 100 ms are promised, 10 ms where the cache has the list.",
            unit="s",
            queries=(Query(quantile(0.99, service("mylist_read_duration_seconds_bucket")), "reads"),),
            thresholds=high_is_bad(0.05, 0.1),
        ),
        stat(
            title="Is it fast? 99 % of changes within",
            description="Additions and removals, whatever their outcome. 250 ms are promised.",
            unit="s",
            queries=(Query(quantile(0.99, service(requests.BUCKET, WRITES)), "changes"),),
            thresholds=high_is_bad(0.1, 0.25),
        ),
        stat(
            title="Is the cache right? Stale hits",
            description="Share of the hits compared with MongoDB that were out of date, at the worst moment of the "
            "period shown. It has to be 0.",
            unit="percentunit",
            queries=(Query(cache.STALE_SHARE, "stale"),),
            thresholds=ANY_IS_BAD,
            reduce="max",
            width=4,
            height=7,
        ),
        stat(
            title="Does the cache help? Hits",
            description="Share of the reads of lists that Redis answered. The others load from MongoDB.",
            unit="percentunit",
            queries=(Query(cache.HIT_SHARE, "hits"),),
            thresholds=low_is_bad(0.8, 0.5),
            width=4,
            height=7,
        ),
        stat(
            title="Are the stores there?",
            description="Whether MongoDB and Redis answered the last check of every process.",
            unit="none",
            queries=(Query(aggregate("min", service("mylist_dependency_up"), "dependency"), "{{dependency}}"),),
            thresholds=at_least(1),
            states=stores.AWAY_OR_THERE,
            width=4,
            height=7,
        ),
        capacity.NEAR_LIMIT,
    ),
)

_OBJECTIVES = (
    ("mylist_availability", "Requests without 5xx", 0.999),
    ("mylist_cached_reads", "Reads from the cache within 10 ms", 0.99),
    ("mylist_reads", "Reads within 100 ms", 0.99),
    ("mylist_writes", "Changes within 250 ms", 0.99),
)


def _kept(name: str, title: str, goal: float) -> Panel:
    return stat(
        title=title,
        description=f"Over the last 30 days. The objective is {100 * goal:g} %.",
        unit="percentunit",
        queries=(Query(f"1 - {objective(name, '30d')}", "kept"),),
        thresholds=at_least(goal),
        decimals=3,
    )


def _budget(name: str, title: str, goal: float) -> Panel:
    return stat(
        title=f"Budget left: {title[0].lower()}{title[1:]}",
        description=f"Of the {100 * (1 - goal):g} % that may fail in 30 days. Below 0 the objective is missed.",
        unit="percentunit",
        queries=(Query(f"1 - {objective(name, '30d')} / {1 - goal:g}", "left"),),
        thresholds=low_is_bad(0.25, 0),
        decimals=1,
    )


def _burn(name: str, title: str, goal: float) -> Panel:
    windows = {"1h": "1 hour", "6h": "6 hours", "1d": "1 day", "3d": "3 days"}
    return graph(
        title=f"Burn rate: {title[0].lower()}{title[1:]}",
        description="How fast the budget is spent: at 1 it lasts the 30 days, at 6 five days, at 14.4 two days.",
        unit="none",
        queries=tuple(
            Query(f"{objective(name, window)} / {1 - goal:g}", f"over {words}") for window, words in windows.items()
        ),
        thresholds=((None, "green"), (1, "yellow"), (6, "orange"), (14.4, "red")),
    )


DASHBOARD = dashboard(
    uid="mylist-service",
    title="My List: service",
    description="Whether the My List service is up, fast, right and within its limits.",
    since="now-3h",
    variables=(CLUSTER, NAMESPACE, JOB, POD, DEPLOYMENT),
    rows=(
        _AT_A_GLANCE,
        Row(
            "Objectives, over 30 days",
            tuple(panel(*each) for panel in (_kept, _budget, _burn) for each in _OBJECTIVES),
        ),
        requests.ROW,
        cache.ROW,
        Row("Changes and stores", (cache.CHANGES, requests.ACTIVE, stores.BREAKERS, stores.REACHED)),
        events.ROW,
        capacity.ROW,
        capacity.VERSIONS,
    ),
)

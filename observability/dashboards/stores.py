"""Panels on MongoDB and Redis as the service sees them."""

from observability.dashboards.panels import Panel, Query, State, graph, high_is_bad, timeline
from observability.dashboards.promql import aggregate, quantile, rate, service, share, worst

_COUNT = "db_client_operation_duration_seconds_count"
_BUCKET = "db_client_operation_duration_seconds_bucket"
_OPERATION = "db_operation_name"

AWAY_OR_THERE = (State(0, "away", "red"), State(1, "there", "green"))
_BREAKER = "mylist_breaker_state"

BREAKERS = timeline(
    title="Does the service ask the stores?",
    description="The worst of the processes. closed: all goes through. half open: Redis is asked and not trusted. "
    "open: the store is away and not asked.",
    unit="none",
    queries=(
        Query(
            worst(
                f"""{service(_BREAKER, 'state="half_open"')} or 2 * {service(_BREAKER, 'state="open"')}""", "dependency"
            ),
            "{{dependency}}",
        ),
    ),
    states=(State(0, "closed", "green"), State(1, "half open", "yellow"), State(2, "open", "red")),
)
REACHED = graph(
    title="Processes that reach the stores",
    description="Share of the processes whose last check MongoDB and Redis answered.",
    unit="percentunit",
    queries=(Query(aggregate("avg", service("mylist_dependency_up"), "dependency"), "{{dependency}}"),),
)


MAJORITY_LAG = graph(
    title="MongoDB: age of what no majority has",
    description="Time since a process first saw the oldest write that no majority of the replica set has. Changes wait "
    "for a majority: what takes longer than MONGODB_TIMEOUT is OUTCOME_UNKNOWN.",
    unit="s",
    queries=(Query(worst(service("mylist_mongodb_majority_lag_seconds")), "no majority for"),),
    thresholds=high_is_bad(1, 5),
)
INDEXES_MISSING = graph(
    title="MongoDB: indexes that are missing",
    description="Indexes that the service wants and could not get. Each makes some requests slow.",
    unit="short",
    queries=(Query(worst(service("mylist_index_missing"), "collection", "index"), "{{collection}} {{index}}"),),
)


def slowest(system: str) -> str:
    """Return the 99th percentile of the durations of all operations of `mongodb` or `redis`, in seconds."""
    return quantile(0.99, service(_BUCKET, f'db_system_name="{system}"'))


def operations(system: str, name: str) -> tuple[Panel, Panel, Panel]:
    """Return the panels on the operations of `mongodb` or `redis`: their rate, their durations, their failures."""
    of_system = f'db_system_name="{system}"'
    count = service(_COUNT, of_system)
    return (
        graph(
            title=f"{name}: operations",
            description=f"Operations of {name} a second, by the service's name for them.",
            unit="ops",
            queries=(Query(rate(count, _OPERATION), "{{db_operation_name}}"),),
            stacked=True,
            width=8,
        ),
        graph(
            title=f"{name}: 99 % of the operations take at most",
            description=f"Measured in the service: the network, {name} and the wait for the event loop are in it.",
            unit="s",
            queries=(Query(quantile(0.99, service(_BUCKET, of_system), _OPERATION), "{{db_operation_name}}"),),
            exemplars=True,
            width=8,
        ),
        graph(
            title=f"{name}: operations that fail",
            description=f"Share of the operations that {name} did not carry out, or not in time.",
            unit="percentunit",
            queries=(
                Query(
                    share(rate(service(_COUNT, of_system, 'outcome="error"'), _OPERATION), rate(count, _OPERATION)),
                    "{{db_operation_name}}",
                ),
            ),
            width=8,
        ),
    )

"""The row on `mylist events`, by which other systems hear of changes."""

from observability.dashboards.panels import Query, Row, graph
from observability.dashboards.promql import aggregate, events, rate

ROW = Row(
    "Other systems",
    (
        graph(
            title="mylist events: behind by",
            description="How far the consumer is behind the changes of lists.",
            unit="s",
            queries=(Query(aggregate("max", events("mylist_events_lag_seconds")), "behind"),),
            width=8,
        ),
        graph(
            title="mylist events: lines",
            description="Lines handed to the consumer, a second.",
            unit="ops",
            queries=(Query(rate(events("mylist_events_written_total")), "lines"),),
            width=8,
        ),
        graph(
            title="mylist events: streams opened again",
            description="How often, a second, the change stream was opened again after an error.",
            unit="ops",
            queries=(Query(rate(events("mylist_events_stream_restarts_total")), "restarts"),),
            width=8,
        ),
    ),
)

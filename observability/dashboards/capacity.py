"""Panels on the processes' use of their limits, their number and their versions."""

from observability.dashboards.panels import Query, Row, bars, graph, high_is_bad, table
from observability.dashboards.promql import (
    aggregate,
    autoscaler,
    deployment,
    memory_limit,
    quantile,
    rate,
    service,
    worst,
)

_PROCESS = ("pod", "instance")
_PROCESS_LEGEND = "{{pod}} {{instance}}"
_USED = f"{service('mylist_in_use')} / {service('mylist_capacity')}"
_MEMORY = service("process_resident_memory_bytes")
_DESCRIPTORS = f"{service('process_open_fds')} / {service('process_max_fds')}"
_REPLICAS = autoscaler("kube_horizontalpodautoscaler_status_current_replicas")
_MOST_REPLICAS = autoscaler("kube_horizontalpodautoscaler_spec_max_replicas")
_SCALED = ("namespace", "horizontalpodautoscaler")
_SCALED_LEGEND = "{{namespace}} {{horizontalpodautoscaler}}"

NEAR_LIMIT = bars(
    title="What is near its limit?",
    description="In use, of what there is, in the process that uses most of it. CPU: of the one core that an event "
    "loop can use. Replicas: of those that the autoscaler may start.",
    unit="percentunit",
    queries=(
        Query(worst(_USED, "resource"), "{{resource}}"),
        Query(worst(rate(service("process_cpu_seconds_total"), *_PROCESS)), "CPU"),
        Query(worst(f"{worst(_MEMORY, 'namespace', 'pod')} / on (cluster, namespace, pod) {memory_limit()}"), "memory"),
        Query(worst(_DESCRIPTORS), "descriptors"),
        Query(worst(f"{_REPLICAS} / {_MOST_REPLICAS}"), "replicas"),
    ),
    thresholds=high_is_bad(0.7, 0.9),
    height=7,
)
USED = graph(
    title="In use, of the limit",
    description="What the fullest process has in use of each limit above which requests are turned away: requests, "
    "imports, the bytes of their bodies, MongoDB operations, and invalidations owed.",
    unit="percentunit",
    queries=(Query(worst(_USED, "resource"), "{{resource}}"),),
    thresholds=high_is_bad(0.7, 0.9),
)
LAG = graph(
    title="Event loop lag (p99)",
    description="How late the event loop wakes a task. Every request in the process waits as long.",
    unit="s",
    queries=(Query(quantile(0.99, service("mylist_event_loop_lag_seconds_bucket"), *_PROCESS), _PROCESS_LEGEND),),
    thresholds=high_is_bad(0.025, 0.1),
)
CPU = graph(
    title="CPU",
    description="Of one core, which is what one event loop can use: near 100 % only more replicas help.",
    unit="percentunit",
    queries=(Query(rate(service("process_cpu_seconds_total"), *_PROCESS), _PROCESS_LEGEND),),
    thresholds=high_is_bad(0.7, 0.9),
)
MEMORY = graph(
    title="Memory",
    description="Resident memory of each process, how much of it are rendered pages that it keeps (PAGE_MEMORY), and "
    "the limit of its pod where Kubernetes sets one.",
    unit="bytes",
    queries=(
        Query(aggregate("sum", _MEMORY, *_PROCESS), _PROCESS_LEGEND),
        Query(aggregate("max", service("mylist_page_memory_bytes")), "pages, at most"),
        Query(
            aggregate("min", f"{memory_limit()} and on (cluster, namespace, pod) {service('mylist_build_info')}"),
            "limit",
        ),
    ),
)
REPLICAS = graph(
    title="Replicas",
    description="Processes that Prometheus reaches; pods that are available; and how many the autoscaler has, wants, "
    "and may have at least and at most.",
    unit="short",
    queries=(
        Query(aggregate("sum", service("up"), "namespace", "job"), "reached {{namespace}} {{job}}"),
        Query(
            aggregate("sum", deployment("kube_deployment_status_replicas_available"), "namespace", "deployment"),
            "available {{namespace}} {{deployment}}",
        ),
        Query(worst(_REPLICAS, *_SCALED), f"current {_SCALED_LEGEND}"),
        Query(
            worst(autoscaler("kube_horizontalpodautoscaler_status_desired_replicas"), *_SCALED),
            f"wanted {_SCALED_LEGEND}",
        ),
        Query(
            worst(autoscaler("kube_horizontalpodautoscaler_spec_min_replicas"), *_SCALED), f"at least {_SCALED_LEGEND}"
        ),
        Query(worst(_MOST_REPLICAS, *_SCALED), f"at most {_SCALED_LEGEND}"),
    ),
)

ROW = Row(
    "Capacity",
    (
        USED,
        LAG,
        CPU,
        MEMORY,
        graph(
            title="Descriptors",
            description="Open files and connections of each process.",
            unit="short",
            queries=(Query(aggregate("sum", service("process_open_fds"), *_PROCESS), _PROCESS_LEGEND),),
        ),
        REPLICAS,
    ),
)
VERSIONS = Row(
    "Versions",
    (
        graph(
            title="Age of the processes",
            description="Time since each process began. A line that starts again is a restart.",
            unit="s",
            queries=(
                Query(
                    aggregate("max", f"time() - {service('process_start_time_seconds')}", *_PROCESS), _PROCESS_LEGEND
                ),
            ),
        ),
        table(
            title="What runs",
            description="Version, revision and Python of each process. Two versions outside a rollout are wrong.",
            unit="none",
            queries=(
                Query(
                    worst(service("mylist_build_info"), *_PROCESS, "version", "revision", "python"),
                    "{{pod}} {{instance}} {{version}} {{revision}} {{python}}",
                ),
            ),
        ),
    ),
)

"""The dashboard on MongoDB and Redis, from the service's own metrics and from their exporters."""

from observability.dashboards import cache, capacity, stores
from observability.dashboards.panels import (
    Panel,
    Query,
    Row,
    State,
    dashboard,
    graph,
    high_is_bad,
    low_is_bad,
    stat,
    timeline,
)
from observability.dashboards.promql import (
    CLUSTER,
    JOB,
    MONGODB_JOB,
    NAMESPACE,
    POD,
    REDIS_JOB,
    aggregate,
    mongodb,
    rate,
    redis,
    service,
    share,
    worst,
)

_BY_INSTANCE = "{{instance}}"
_CACHED = mongodb("mongodb_ss_wt_cache_bytes_currently_in_the_cache")
_DIRTY = mongodb("mongodb_ss_wt_cache_tracked_dirty_bytes_in_the_cache")
_CACHE_SIZE = mongodb("mongodb_ss_wt_cache_maximum_bytes_configured")
_WRITTEN = worst(mongodb("mongodb_rs_members_optimeDate", 'member_state!="ARBITER"'), "rs_nm", "member_idx")
_REDIS_MEMORY = redis("redis_memory_used_bytes")
_REDIS_MOST_MEMORY = redis("redis_memory_max_bytes")


def _reached(store: str, name: str) -> Panel:
    return stat(
        title=f"Processes that reach {name}",
        description=f"Share of the service's processes whose last check {name} answered.",
        unit="percentunit",
        queries=(Query(aggregate("avg", service("mylist_dependency_up", f'dependency="{store}"')), "reach it"),),
        thresholds=low_is_bad(1, 0.5),
    )


def _slowest(store: str, name: str, warning: float, bad: float) -> Panel:
    return stat(
        title=f"{name}: 99 % of operations within",
        description=f"All operations of {name}, measured in the service.",
        unit="s",
        queries=(Query(stores.slowest(store), "operations"),),
        thresholds=high_is_bad(warning, bad),
    )


def _up(name: str, expression: str) -> Panel:
    return stat(
        title=f"{name} servers that answer",
        description=f"Share of the servers that the {name} exporter reaches.",
        unit="percentunit",
        queries=(Query(aggregate("avg", expression), "answer"),),
        thresholds=low_is_bad(1, 0.5),
    )


def _connections(types: str) -> str:
    return mongodb("mongodb_ss_connections", f'conn_type=~"{types}"')


_AT_A_GLANCE = Row(
    "At a glance",
    (
        _reached("mongodb", "MongoDB"),
        _slowest("mongodb", "MongoDB", 0.05, 0.25),
        _up("MongoDB", mongodb("mongodb_up")),
        stat(
            title="MongoDB connections in use",
            description="Of those that MongoDB accepts, in the server that has most.",
            unit="percentunit",
            queries=(
                Query(
                    worst(
                        f"{aggregate('sum', _connections('current'), 'instance')}"
                        f" / {aggregate('sum', _connections('current|available'), 'instance')}"
                    ),
                    "in use",
                ),
            ),
            thresholds=high_is_bad(0.7, 0.9),
        ),
        _reached("redis", "Redis"),
        _slowest("redis", "Redis", 0.01, 0.05),
        _up("Redis", redis("redis_up")),
        stat(
            title="Redis memory in use",
            description="Of what Redis may use, in the server that uses most; nothing where it has no limit. A full "
            "cache evicts lists, which are then loaded again.",
            unit="percentunit",
            queries=(Query(worst(f"{_REDIS_MEMORY} / ({_REDIS_MOST_MEMORY} > 0)"), "in use"),),
            thresholds=high_is_bad(0.9, 0.98),
        ),
    ),
)

_MONGODB_SERVER = Row(
    "MongoDB itself",
    (
        graph(
            title="MongoDB: operations by type",
            description="Operations a second that each kind of client command asked for, replication not counted.",
            unit="ops",
            queries=(Query(rate(mongodb("mongodb_ss_opcounters"), "legacy_op_type"), "{{legacy_op_type}}"),),
            stacked=True,
            width=8,
        ),
        graph(
            title="MongoDB: mean time of an operation",
            description="Time that an operation takes within MongoDB, by type.",
            unit="µs",
            queries=(
                Query(
                    f"{rate(mongodb('mongodb_ss_opLatencies_latency'), 'op_type')}"
                    f" / ({rate(mongodb('mongodb_ss_opLatencies_ops'), 'op_type')} > 0)",
                    "{{op_type}}",
                ),
            ),
            width=8,
        ),
        graph(
            title="MongoDB: connections",
            description="Open connections of each server. Each process of the service has up to MONGODB_POOL_SIZE.",
            unit="short",
            queries=(Query(aggregate("sum", _connections("current"), "instance"), _BY_INSTANCE),),
            width=8,
        ),
        graph(
            title="MongoDB: cache in use",
            description="Share of WiredTiger's cache. It fills to about 80 % and stays; at 95 % clients have to evict.",
            unit="percentunit",
            queries=(Query(worst(f"{_CACHED} / {_CACHE_SIZE}", "instance"), _BY_INSTANCE),),
            thresholds=high_is_bad(0.85, 0.95),
        ),
        graph(
            title="MongoDB: cache not yet written",
            description="Share of WiredTiger's cache that is changed and not on disk. At 20 % clients have to evict.",
            unit="percentunit",
            queries=(Query(worst(f"{_DIRTY} / {_CACHE_SIZE}", "instance"), _BY_INSTANCE),),
            thresholds=high_is_bad(0.1, 0.2),
        ),
        timeline(
            title="MongoDB: members of the replica set",
            description="State of each member, as the member sees it that thinks worst of it.",
            unit="none",
            queries=(
                Query(worst(mongodb("mongodb_rs_members_state"), "rs_nm", "member_idx"), "{{rs_nm}} {{member_idx}}"),
            ),
            states=(
                State(0, "starting", "yellow"),
                State(1, "primary", "green"),
                State(2, "secondary", "blue"),
                State(3, "recovering", "yellow"),
                State(5, "starting", "yellow"),
                State(6, "unknown", "orange"),
                State(7, "arbiter", "blue"),
                State(8, "down", "red"),
                State(9, "rollback", "red"),
                State(10, "removed", "orange"),
            ),
        ),
        graph(
            title="MongoDB: replication lag",
            description="How far each member is behind the one that has most. Changes are acknowledged by a majority, "
            "so one that lags makes them slow.",
            unit="ms",
            queries=(
                Query(
                    f"{worst(_WRITTEN, 'rs_nm')} - on (cluster, rs_nm) group_right () {_WRITTEN}",
                    "{{rs_nm}} {{member_idx}}",
                ),
            ),
            thresholds=high_is_bad(2_000, 10_000),
        ),
    ),
)

_REDIS_SERVER = Row(
    "Redis itself",
    (
        graph(
            title="Redis: commands",
            description="Commands a second.",
            unit="ops",
            queries=(Query(rate(redis("redis_commands_total"), "cmd"), "{{cmd}}"),),
            stacked=True,
            width=8,
        ),
        graph(
            title="Redis: mean time of a command",
            description="Time that a command takes within Redis, which does one after the other.",
            unit="s",
            queries=(
                Query(
                    f"{rate(redis('redis_commands_duration_seconds_total'), 'cmd')}"
                    f" / ({rate(redis('redis_commands_total'), 'cmd')} > 0)",
                    "{{cmd}}",
                ),
            ),
            width=8,
        ),
        graph(
            title="Redis: lookups that find a key",
            description="Share of all lookups. It is not the service's hit ratio: leases and fences are found as well.",
            unit="percentunit",
            queries=(
                Query(
                    share(
                        rate(redis("redis_keyspace_hits_total"), "instance"),
                        f"({rate(redis('redis_keyspace_hits_total'), 'instance')}"
                        f" + {rate(redis('redis_keyspace_misses_total'), 'instance')})",
                    ),
                    _BY_INSTANCE,
                ),
            ),
            width=8,
        ),
        graph(
            title="Redis: memory",
            description="Memory that each server uses, and may use where it has a limit.",
            unit="bytes",
            queries=(
                Query(aggregate("sum", _REDIS_MEMORY, "instance"), "used {{instance}}"),
                Query(aggregate("sum", f"{_REDIS_MOST_MEMORY} > 0", "instance"), "limit {{instance}}"),
            ),
        ),
        graph(
            title="Redis: keys that go",
            description="Keys a second that lapsed, which is usual, and that were evicted because memory is full.",
            unit="ops",
            queries=(
                Query(rate(redis("redis_expired_keys_total"), "instance"), "lapsed {{instance}}"),
                Query(rate(redis("redis_evicted_keys_total"), "instance"), "evicted {{instance}}"),
            ),
        ),
        graph(
            title="Redis: keys",
            description="Keys of each database: a list, a lease or a fence for each user lately seen.",
            unit="short",
            queries=(Query(aggregate("sum", redis("redis_db_keys"), "instance", "db"), "{{instance}} {{db}}"),),
            width=8,
        ),
        graph(
            title="Redis: clients",
            description="Open connections of each server.",
            unit="short",
            queries=(Query(aggregate("sum", redis("redis_connected_clients"), "instance"), _BY_INSTANCE),),
            width=8,
        ),
        graph(
            title="Redis: replicas attached",
            description="Replicas that follow each server; 0 on a replica itself and where there is one server.",
            unit="short",
            queries=(Query(aggregate("sum", redis("redis_connected_slaves"), "instance"), _BY_INSTANCE),),
            width=8,
        ),
    ),
)

DASHBOARD = dashboard(
    uid="mylist-dependencies",
    title="My List: MongoDB and Redis",
    description="How the My List service sees MongoDB and Redis, and how they see themselves.",
    since="now-3h",
    variables=(CLUSTER, NAMESPACE, JOB, POD, MONGODB_JOB, REDIS_JOB),
    rows=(
        _AT_A_GLANCE,
        Row(
            "As the service sees MongoDB",
            (*stores.operations("mongodb", "MongoDB"), stores.MAJORITY_LAG, stores.INDEXES_MISSING),
        ),
        Row("As the service sees Redis", stores.operations("redis", "Redis")),
        Row("What the service does about it", (stores.BREAKERS, stores.REACHED, cache.INVALIDATIONS, capacity.USED)),
        _MONGODB_SERVER,
        _REDIS_SERVER,
    ),
)

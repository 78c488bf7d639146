"""Panels on what is cached: lists in Redis, and movies and shows in the process."""

from observability.dashboards.panels import ANY_IS_BAD, Query, Row, graph
from observability.dashboards.promql import aggregate, quantile, rate, service, share

_READS = "mylist_cache_requests_total"
_CHECKS = "mylist_cache_freshness_checks_total"
_TITLES = "mylist_catalogue_requests_total"

HIT_SHARE = share(rate(service(_READS, 'result="hit"')), rate(service(_READS)))
STALE_SHARE = share(rate(service(_CHECKS, 'result="stale"')), rate(service(_CHECKS, 'result=~"fresh|stale"')))

HIT_RATIO = graph(
    title="Hit ratio",
    description="Share of the reads of lists that Redis answered.",
    unit="percentunit",
    queries=(Query(HIT_SHARE, "hits"),),
)
READS = graph(
    title="Reads by result",
    description="Reads of lists a second: hit came from Redis; miss was loaded and cached; fenced was loaded because a "
    "change or another load was under way; bypassed was loaded because Redis is away or not trusted.",
    unit="reqps",
    queries=(Query(rate(service(_READS), "result"), "{{result}}"),),
    stacked=True,
)
INVALIDATIONS = graph(
    title="Invalidations owed",
    description="Lists that were changed while Redis was away, and that Redis may still hold as they were. "
    "They are delivered when it is back, so that this falls to 0.",
    unit="short",
    queries=(
        Query(
            aggregate("sum", service("mylist_cache_invalidations_pending"), "pod", "instance"), "{{pod}} {{instance}}"
        ),
    ),
    stacked=True,
)
WITHHELD = graph(
    title="Lists not served from Redis",
    description="Processes that serve no list from Redis, though they reach it, because of the others: one may change "
    "lists and cannot reach Redis; some use another Redis; or this process is not in the registry of processes.",
    unit="short",
    queries=(Query(aggregate("sum", service("mylist_cache_withheld"), "cause"), "{{cause}}"),),
    thresholds=ANY_IS_BAD,
)

ROW = Row(
    "Cache",
    (
        HIT_RATIO,
        READS,
        graph(
            title="99 % of the reads take at most, by result",
            description="Reads that succeeded. A hit is one round trip to Redis, everything else loads from MongoDB.",
            unit="s",
            queries=(Query(quantile(0.99, service("mylist_read_duration_seconds_bucket"), "result"), "{{result}}"),),
            exemplars=True,
        ),
        graph(
            title="Loaded lists offered to Redis",
            description="Offers a second: stored; refused by the fence, because a change came in between; failed.",
            unit="ops",
            queries=(Query(rate(service("mylist_cache_fills_total"), "result"), "{{result}}"),),
            stacked=True,
        ),
        graph(
            title="Hits compared with MongoDB",
            description="Comparisons a second of sampled hits: fresh; stale, which must not happen, confirmed by a "
            "second look; undecided, because a change was under way or a store did not answer.",
            unit="ops",
            queries=(Query(rate(service(_CHECKS), "result"), "{{result}}"),),
            stacked=True,
        ),
        graph(
            title="Stale hits",
            description="Share of the compared hits that were out of date. It has to be 0.",
            unit="percentunit",
            queries=(Query(STALE_SHARE, "stale"),),
            thresholds=ANY_IS_BAD,
        ),
        INVALIDATIONS,
        WITHHELD,
        graph(
            title="Movies and shows looked up",
            description="Titles a second: hit was in the process, miss was fetched from MongoDB, absent is not there.",
            unit="ops",
            queries=(Query(rate(service(_TITLES), "result"), "{{result}}"),),
            stacked=True,
        ),
        graph(
            title="Pages given",
            description="Pages a second: rendered; reused, because the list is the one that a page kept was rendered "
            "from. Few are reused where users seldom come to the same pod twice; PAGE_MEMORY says how many are kept.",
            unit="ops",
            queries=(Query(rate(service("mylist_pages_total"), "result"), "{{result}}"),),
            stacked=True,
        ),
    ),
)

CHANGES = graph(
    title="Changes by outcome",
    description="Additions and removals a second: ok, or the code of the error. item_already_in_list and "
    "item_not_in_list are everyday answers.",
    unit="ops",
    queries=(
        Query(rate(service("mylist_list_mutations_total"), "operation", "outcome"), "{{operation}}: {{outcome}}"),
    ),
    stacked=True,
)

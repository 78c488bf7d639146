"""The order in which the workers of a parallel run take the files: the slowest first.

Each file goes to one worker, because its tests share servers; a slow file that began last would run on alone.
"""

from pathlib import Path

import pytest

_HERE = Path(__file__).parent
# Those that take ten seconds of the processor, or half a minute, in one of the tiers, about longest first.
_SLOWEST_FIRST = [
    _HERE / name
    for name in (
        "chart/test_any_values.py",
        "faults/test_start.py",
        "faults/test_freshness_distributed.py",
        "faults/test_freshness.py",
        "faults/test_freshness_checker.py",
        "integration/test_devserver.py",
        "contract/test_auth.py",
        "integration/test_change_feed_interleavings.py",
        "contract/test_two_processes.py",
        "integration/test_catalogue_files.py",
        "contract/test_idle_connections.py",
        "faults/test_mongodb_outages.py",
        "faults/test_redis_outages.py",
        "chart/test_checkov.py",
        "integration/test_events.py",
        "integration/test_adopt.py",
        "integration/test_unknown_names.py",
        "integration/test_reign.py",
        "contract/test_whole_list.py",
        "contract/test_client.py",
        "contract/test_tracing.py",
        "faults/test_shutdown.py",
        "contract/test_slow_clients.py",
        "faults/test_lists_not_adopted.py",
        "faults/test_overload.py",
        "chart/test_helm_test.py",
        "chart/test_replicas.py",
        "observability/test_prometheus.py",
        "tools/bench/test_measuring.py",
        "contract/test_changes.py",
        "contract/test_headers.py",
        "contract/test_reading.py",
        "contract/test_metrics.py",
        "unit/test_diagrams.py",
    )
]


def pytest_configure(config: pytest.Config) -> None:
    config.option.loadscopereorder = False  # by the number of tests, which says little


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        rank = {path: number for number, path in enumerate(_SLOWEST_FIRST)}
        items.sort(key=lambda item: rank.get(item.path, len(rank)))

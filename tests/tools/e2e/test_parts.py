"""The functions that the steps use: for leftovers, nodes, Locust's verdict and summaries."""

import json
from typing import Any

import pytest

from tests.e2e import locust_job
from tests.e2e.background_load import failures_last, summary
from tests.e2e.cluster import Object, is_ready
from tests.e2e.leftovers import left, undocumented
from tests.e2e.steps import drainable


def made(kind: str, name: str, instance: str = "mylist") -> Object:
    return {"kind": kind, "metadata": {"name": name, "labels": {"app.kubernetes.io/instance": instance}}}


def on(node: str) -> Object:
    return {"spec": {"nodeName": node}}


def test_an_object_from_before_the_release_is_not_a_leftover() -> None:
    certificate = made("ConfigMap", "kube-root-ca.crt")
    volume = made("PersistentVolumeClaim", "data-mylist-mongodb-0")

    assert left([certificate, volume], before=[certificate]) == [volume]


def test_the_volume_and_the_passwords_are_documented_leftovers() -> None:
    kept = [made("PersistentVolumeClaim", "data-mylist-mongodb-0"), made("Secret", "mylist-redis")]

    assert undocumented(kept, "mylist") == []


@pytest.mark.parametrize(
    "other",
    [
        made("ConfigMap", "mylist"),
        made("Job", "mylist-seed-1"),
        made("Secret", "sh.helm.release.v1.mylist.v1", instance="another"),
        {"kind": "Secret", "metadata": {"name": "unlabelled"}},
    ],
)
def test_any_other_object_is_an_undocumented_leftover(other: Object) -> None:
    assert undocumented([other], "mylist") == [f"{other['kind']}/{other['metadata']['name']}"]


def test_a_node_with_neither_stores_nor_load_is_drained() -> None:
    assert drainable([on("a"), on("b"), on("c")], stores=[on("a")], busy="b") == "c"


def test_the_drain_names_its_requirement_if_no_node_is_suitable() -> None:
    with pytest.raises(AssertionError, match="three workers"):
        drainable([on("a"), on("b")], stores=[on("a")], busy="b")


@pytest.mark.parametrize(
    ("conditions", "leaving", "ready"),
    [
        ([{"type": "Ready", "status": "True"}], False, True),
        ([{"type": "Ready", "status": "False"}], False, False),
        ([{"type": "Ready", "status": "True"}], True, False),
        ([], False, False),
    ],
)
def test_a_pod_is_not_ready_once_its_deletion_begins(conditions: list[Any], *, leaving: bool, ready: bool) -> None:
    metadata = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if leaving else {}

    assert is_ready({"metadata": metadata, "status": {"conditions": conditions}}) is ready


def test_the_load_test_gets_the_namespace_settings_and_image_of_the_run() -> None:
    job = {"spec": {"template": {"spec": {"containers": [{"name": "locust", "image": "mylist-loadtest:1.0.0"}]}}}}
    objects = [
        made("ConfigMap", "settings") | {"data": {"LOCUST_USERS": "240", "LOADTEST_LEEWAY": "1"}},
        made("RoleBinding", "account") | {"subjects": [{"kind": "ServiceAccount", "namespace": "default"}]},
        made("Job", locust_job.MASTER) | job,
    ]

    settings, binding, master = locust_job.adjusted(objects, {"LOCUST_USERS": "9"}, "registry/loadtest:2", "e2e")

    assert {each["metadata"]["namespace"] for each in (settings, binding, master)} == {"e2e"}
    assert settings["data"] == {"LOCUST_USERS": "9", "LOADTEST_LEEWAY": "1"}
    assert binding["subjects"][0]["namespace"] == "e2e"
    assert master["spec"]["template"]["spec"]["containers"][0]["image"] == "registry/loadtest:2"


def test_an_unknown_setting_of_the_load_test_is_refused() -> None:
    objects = [made("ConfigMap", "settings") | {"data": {"LOCUST_USERS": "240"}}]

    with pytest.raises(AssertionError, match="LOCUST_USRES"):
        locust_job.adjusted(objects, {"LOCUST_USRES": "9"}, "registry/loadtest:2", "e2e")


def test_the_verdict_is_the_last_line_of_the_log() -> None:
    assert locust_job.read_verdict('a table\n{"missed": []}\n') == {"missed": []}


def test_the_summary_of_a_verdict_counts_requests_failures_and_missed_thresholds() -> None:
    routes = {"GET /items": {"requests": 900, "failures": 1}, "POST /add": {"requests": 200, "failures": 2}}
    failures = {"GET /items: 503 DATABASE_BUSY": 1, "POST /add: 503 OVERLOADED": 1, "POST /add: connection reset": 1}
    verdict = {"routes": routes, "failures": failures, "missed": ["reads: p99"], "thresholds": [{}, {}, {}, {}]}

    assert locust_job.lost(verdict) == 1
    assert locust_job.summary(verdict) == "Locust: 1,100 requests, 3 failed, 1 not by a 503, 1 of 4 thresholds missed"


def report(**other: object) -> dict[str, Any]:
    whole = {"requests": 1000, "seconds": 9.6, "failed": [], "stale_count": 0, "p99": 0.0123, "longest": 0.456}
    return json.loads(json.dumps(whole | {"longest_refusal": 0.0} | other))  # type: ignore[no-any-return]


def test_a_load_without_failures_is_summed_up() -> None:
    assert summary(report()) == (
        "1,000 requests in 10 s, failed: none, stale: 0, p99 12 ms, longest 0.46 s, changes refused for 0.0 s at most"
    )


def test_failures_are_summed_up_by_reason() -> None:
    failed = [(1.0, "connection lost"), (1.5, "connection refused"), (3.25, "connection lost")]
    seen = report(failed=failed, stale_count=2, longest_refusal=2.34)

    assert "failed: 2 connection lost, 1 connection refused, stale: 2" in summary(seen)
    assert summary(seen).endswith("changes refused for 2.3 s at most")
    assert failures_last(seen) == 2.25


def test_without_failures_the_duration_of_failures_is_zero() -> None:
    assert failures_last(report()) == 0

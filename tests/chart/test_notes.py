"""Helm's notes after an installation and after an upgrade: they describe the state at that moment only."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chart.fake_cluster import FakeCluster, fake_cluster
from tests.chart.rendering import CHART, NAMESPACE, RELEASE, Object
from tests.chart.tools.helm import helm

SEED = "helm upgrade mylist CHART -n ott --reset-then-reuse-values --set seed.enabled=true"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[FakeCluster]:
    with fake_cluster(tmp_path) as made:
        yield made


def installed(*arguments: str) -> str:
    """Return the notes of an installation in one line, without the text before them."""
    said = helm("install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--dry-run=client", *arguments)
    return " ".join(said.partition("NOTES:")[2].split())


def upgraded(cluster: FakeCluster, given: Object, scaled_to: int, *arguments: str) -> str:
    """Return the notes of an upgrade after `kubectl scale`."""
    cluster.note_release(given)
    cluster.install("--set", "replicas=2")
    cluster.scale(scaled_to)
    return " ".join(cluster.upgrade(*arguments)[1].split())


def test_the_notes_call_mongodb_empty_only_without_a_volume() -> None:
    with_volume, without = installed(), installed("--set", "mongodb.persistence.enabled=false")

    assert f"MongoDB has the data of its volume; a new volume has none. To add the sample data: {SEED}" in with_volume
    assert f"MongoDB is empty. To add the sample data: {SEED}" in without


def test_the_notes_warn_if_all_data_is_lost_with_the_pod() -> None:
    with_volume, without = installed(), installed("--set", "mongodb.persistence.enabled=false")

    assert "stays when the release is uninstalled, and so does its volume." in with_volume
    assert "WARNING" not in with_volume
    assert "stays when the release is uninstalled. " in without
    assert "WARNING: mongodb.persistence.enabled is false: all lists are lost when MongoDB's pod ends." in without


def test_the_notes_name_the_kind_of_seeded_data() -> None:
    assert "The sample data comes from a Job." in installed("--set", "seed.enabled=true")
    assert "The load-test data comes from a Job." in installed("--set", "seed.enabled=true,seed.users=9")


def test_the_notes_report_a_kept_number_of_pods_and_how_to_change_it(cluster: FakeCluster) -> None:
    notes = upgraded(cluster, {"replicas": 2}, 3)

    assert (
        "The Deployment keeps 3 pods, the number that `kubectl scale` or an autoscaler has set. The value `replicas` "
        "is 2. To scale to this number: kubectl -n ott scale deployment/mylist --replicas=2 "
        "To set another number with the value `replicas`, add `--force-conflicts` to one `helm upgrade`."
    ) in notes
    assert "is empty" not in notes
    assert "seed.enabled" not in notes


def test_the_notes_warn_after_scaling_to_one_pod(cluster: FakeCluster) -> None:
    notes = upgraded(cluster, {"replicas": 2}, 1)

    assert "The Deployment keeps 1 pod, " in notes
    assert "WARNING: there is one replica" in notes


def test_the_notes_warn_after_scaling_to_zero_pods(cluster: FakeCluster) -> None:
    assert "WARNING: the Deployment is scaled to zero pods: no request is served." in upgraded(
        cluster, {"replicas": 2}, 0
    )


def test_the_notes_do_not_report_a_number_of_pods_that_helm_has_set() -> None:
    notes = installed("--set", "replicas=1")

    assert "keeps" not in notes
    assert "WARNING: there is one replica" in notes


def test_the_notes_do_not_warn_of_one_replica_if_autoscaling_is_enabled() -> None:
    assert "WARNING" not in installed("--set", "replicas=1,autoscaling.enabled=true")

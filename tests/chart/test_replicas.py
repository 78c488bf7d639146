"""The number of pods after an upgrade: the same as before, unless an operator sets another number."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chart.fake_cluster import ConflictError, FakeCluster, fake_cluster
from tests.chart.rendering import render

SCALERS = ["autoscaling.enabled=true", "keda.enabled=true,keda.prometheus=http://prometheus.monitoring:9090"]
of_scalers = pytest.mark.parametrize("scaler", SCALERS, ids=["autoscaling", "keda"])
CONTROLLER = "kube-controller-manager"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[FakeCluster]:
    with fake_cluster(tmp_path) as made:
        yield made


@of_scalers
def test_turning_a_scaler_on_keeps_the_number_of_pods(cluster: FakeCluster, scaler: str) -> None:
    cluster.install("--set", "replicas=5")
    cluster.install("--set", scaler)

    assert cluster.replicas == 5


def test_an_upgrade_keeps_the_number_that_a_scaler_has_set(cluster: FakeCluster) -> None:
    cluster.install("--set", "replicas=5")
    cluster.install("--set", SCALERS[0])
    cluster.scale(7, CONTROLLER)
    upgraded = cluster.install("--set", SCALERS[0], "--set", "settings.cacheTtl=200")

    assert cluster.replicas == 7
    assert "replicas" not in upgraded.deployment()["spec"]


def test_turning_a_scaler_off_keeps_the_number_of_pods(cluster: FakeCluster) -> None:
    cluster.install("--set", SCALERS[0])
    cluster.scale(9, CONTROLLER)
    cluster.install("--set", "replicas=2")

    assert cluster.replicas == 9


def test_the_chart_sets_no_number_if_a_scaler_is_on_from_the_first_installation(cluster: FakeCluster) -> None:
    installed = cluster.install("--set", SCALERS[0])
    upgraded = cluster.install("--set", SCALERS[0])

    assert "replicas" not in installed.deployment()["spec"]
    assert "replicas" not in upgraded.deployment()["spec"]


@pytest.mark.parametrize(
    ("number", "by", "subresource"),
    [(3, "kubectl", "scale"), (0, "kubectl", "scale"), (3, "kubectl-edit", ""), (1, "kubectl-patch", "")],
)
def test_a_manually_set_number_survives_upgrades(cluster: FakeCluster, number: int, by: str, subresource: str) -> None:
    cluster.install("--set", "replicas=2")
    cluster.scale(number, by, subresource=subresource)
    for ttl in ("200", "201"):
        cluster.install("--set", f"replicas=2,settings.cacheTtl={ttl}")

    assert cluster.replicas == number


def test_a_manually_set_number_survives_an_upgrade_without_the_charts_annotation(
    cluster: FakeCluster,
) -> None:
    cluster.install("--set", "replicas=2")
    cluster.scale(3)
    del cluster.deployment["metadata"]["annotations"]["mylist/replicas"]
    cluster.install("--set", "replicas=2")

    assert cluster.replicas == 3


def test_the_values_apply_again_after_a_manual_scaling_to_their_number(cluster: FakeCluster) -> None:
    cluster.install("--set", "replicas=2")
    cluster.scale(3)
    cluster.install("--set", "replicas=2")
    cluster.scale(2)
    upgraded = cluster.install("--set", "replicas=2")

    assert cluster.replicas == upgraded.deployment()["spec"]["replicas"] == 2


def test_a_changed_number_in_the_values_conflicts_with_a_manually_set_one(cluster: FakeCluster) -> None:
    """Kubernetes reports the conflict, and `--force-conflicts` resolves it."""
    cluster.install("--set", "replicas=2")
    cluster.scale(3)
    cluster.install("--set", "replicas=2")

    with pytest.raises(ConflictError, match="kubectl"):
        cluster.install("--set", "replicas=4")


def test_the_values_apply_if_only_helm_has_set_the_number(cluster: FakeCluster) -> None:
    for number in (2, 4, 1):
        cluster.install("--set", f"replicas={number}")

        assert cluster.replicas == number


def test_a_release_of_helm_3_keeps_its_number(cluster: FakeCluster) -> None:
    """Helm 3 does not use server-side apply. It would reset a number that is no longer in the manifest."""
    cluster.install("--set", "replicas=5")
    [entry] = cluster.deployment["metadata"]["managedFields"]
    entry["operation"] = "Update"
    scaled = cluster.install("--set", SCALERS[0])

    assert scaled.deployment()["spec"]["replicas"] == 5


def test_the_values_apply_if_the_chart_cannot_query_the_cluster() -> None:
    assert render(replicas=3).deployment()["spec"]["replicas"] == 3
    assert "replicas" not in render(replicas=3, autoscaling__enabled=True).deployment()["spec"]

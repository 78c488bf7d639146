"""How many pods there are after an upgrade: as many as before, unless an operator says another number."""

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
def test_a_scaler_that_is_turned_on_finds_as_many_as_before(cluster: FakeCluster, scaler: str) -> None:
    cluster.install("--set", "replicas=5")
    cluster.install("--set", scaler)

    assert cluster.replicas == 5


def test_what_a_scaler_sets_is_left_to_it(cluster: FakeCluster) -> None:
    cluster.install("--set", "replicas=5")
    cluster.install("--set", SCALERS[0])
    cluster.scale(7, CONTROLLER)
    upgraded = cluster.install("--set", SCALERS[0], "--set", "settings.cacheTtl=200")

    assert cluster.replicas == 7
    assert "replicas" not in upgraded.deployment()["spec"]


def test_a_scaler_that_is_turned_off_leaves_as_many_as_there_are(cluster: FakeCluster) -> None:
    cluster.install("--set", SCALERS[0])
    cluster.scale(9, CONTROLLER)
    cluster.install("--set", "replicas=2")

    assert cluster.replicas == 9


def test_a_scaler_from_the_first_installation_on_decides_alone(cluster: FakeCluster) -> None:
    installed = cluster.install("--set", SCALERS[0])
    upgraded = cluster.install("--set", SCALERS[0])

    assert "replicas" not in installed.deployment()["spec"]
    assert "replicas" not in upgraded.deployment()["spec"]


@pytest.mark.parametrize(
    ("number", "by", "subresource"),
    [(3, "kubectl", "scale"), (0, "kubectl", "scale"), (3, "kubectl-edit", ""), (1, "kubectl-patch", "")],
)
def test_a_number_that_was_set_by_hand_outlives_upgrades(
    cluster: FakeCluster, number: int, by: str, subresource: str
) -> None:
    cluster.install("--set", "replicas=2")
    cluster.scale(number, by, subresource=subresource)
    for ttl in ("200", "201"):
        cluster.install("--set", f"replicas=2,settings.cacheTtl={ttl}")

    assert cluster.replicas == number


def test_a_number_that_was_set_by_hand_before_the_chart_remembered_its_own_outlives_upgrades(
    cluster: FakeCluster,
) -> None:
    cluster.install("--set", "replicas=2")
    cluster.scale(3)
    del cluster.deployment["metadata"]["annotations"]["mylist/replicas"]
    cluster.install("--set", "replicas=2")

    assert cluster.replicas == 3


def test_after_the_number_of_the_values_was_set_by_hand_the_values_count(cluster: FakeCluster) -> None:
    cluster.install("--set", "replicas=2")
    cluster.scale(3)
    cluster.install("--set", "replicas=2")
    cluster.scale(2)
    upgraded = cluster.install("--set", "replicas=2")

    assert cluster.replicas == upgraded.deployment()["spec"]["replicas"] == 2


def test_another_number_in_the_values_is_never_passed_over(cluster: FakeCluster) -> None:
    """It ends in Kubernetes' own conflict, which `--force-conflicts` is for."""
    cluster.install("--set", "replicas=2")
    cluster.scale(3)
    cluster.install("--set", "replicas=2")

    with pytest.raises(ConflictError, match="kubectl"):
        cluster.install("--set", "replicas=4")


def test_without_anybody_else_the_values_count(cluster: FakeCluster) -> None:
    for number in (2, 4, 1):
        cluster.install("--set", f"replicas={number}")

        assert cluster.replicas == number


def test_a_release_of_helm_3_keeps_its_number_too(cluster: FakeCluster) -> None:
    """Which applies nothing by the server, and would take a number away that is no longer there."""
    cluster.install("--set", "replicas=5")
    [entry] = cluster.deployment["metadata"]["managedFields"]
    entry["operation"] = "Update"
    scaled = cluster.install("--set", SCALERS[0])

    assert scaled.deployment()["spec"]["replicas"] == 5


def test_where_nothing_can_be_asked_the_values_decide() -> None:
    assert render(replicas=3).deployment()["spec"]["replicas"] == 3
    assert "replicas" not in render(replicas=3, autoscaling__enabled=True).deployment()["spec"]

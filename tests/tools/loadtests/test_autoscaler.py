"""The figures of an autoscaler, from a fake Kubernetes API."""

from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from devtools.ports import free_port
from loadtests import autoscaler
from loadtests.autoscaler import AutoscalerWatch, Sample, Scaling
from tests.tools.loadtests.fake_kubernetes import NAME, Kubernetes, kubernetes


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kubernetes]:
    with kubernetes(tmp_path) as stand_in:
        for name, value in stand_in.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(autoscaler, "ACCOUNT", stand_in.account)
        yield stand_in


def seen(name: str = NAME) -> Scaling:
    """Watch the autoscaler for a moment."""
    watch = AutoscalerWatch(name)
    watch.begin()
    return watch.end()


def test_replicas_are_sampled_throughout_the_window(cluster: Kubernetes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autoscaler, "INTERVAL_S", 0.01)
    watch = AutoscalerWatch(NAME)

    watch.begin()
    with gevent.Timeout(10):
        for current, desired in ((3, 5), (5, 5)):
            asked = cluster.asked
            while cluster.asked < asked + 3:
                gevent.sleep(0.005)
            cluster.status = {"currentReplicas": current, "desiredReplicas": desired}
    scaling = watch.end()

    assert (scaling.name, scaling.min_replicas, scaling.max_replicas, scaling.remark) == (NAME, 3, 20, "")
    assert [(each.current, each.desired) for each in scaling.changes[:3]] == [(3, 3), (3, 5), (5, 5)]
    seconds = [each.second for each in scaling.samples]
    assert seconds == sorted(seconds)
    assert len(seconds) > 4


def test_only_changes_and_the_first_and_last_samples_are_reported() -> None:
    numbers = [(3, 3), (3, 3), (3, 5), (5, 5), (5, 5), (5, 5)]
    samples = tuple(Sample(second, *each) for second, each in enumerate(numbers))

    assert [each.second for each in Scaling(NAME, 3, 20, samples).changes] == [0, 2, 3, 5]
    assert Scaling(NAME).changes == []


def test_an_autoscaler_without_a_status_is_read(cluster: Kubernetes) -> None:
    cluster.status = {}
    cluster.spec = {"maxReplicas": 4}

    scaling = seen()

    assert (scaling.min_replicas, scaling.max_replicas) == (1, 4)
    assert {(each.current, each.desired) for each in scaling.samples} == {(0, 0)}


def test_a_renewed_token_is_read_again(cluster: Kubernetes) -> None:
    watch = AutoscalerWatch(NAME)
    watch.begin()
    gevent.sleep(0.05)
    cluster.token = "another"
    (cluster.account / "token").write_text("another\n")

    scaling = watch.end()

    assert len(scaling.samples) == 2
    assert not scaling.remark


@pytest.mark.parametrize("wrong", ["name", "token", "certificate", "address", "answer", "account", "outside"])
def test_an_unreadable_autoscaler_is_reported_in_a_remark(
    cluster: Kubernetes, wrong: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    says = {
        "name": "404",
        "token": "401",
        "certificate": "CERTIFICATE_VERIFY_FAILED",
        "address": "refused",
        "answer": "maxReplicas",
        "account": "No such file",
        "outside": "KUBERNETES_SERVICE_HOST",
    }
    match wrong:
        case "token":
            cluster.token = "another"
        case "certificate":
            (tmp_path / "another").mkdir()
            with kubernetes(tmp_path / "another") as other:
                (cluster.account / "ca.crt").write_text((other.account / "ca.crt").read_text())
        case "address":
            monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(free_port()))
        case "answer":
            cluster.spec = {}
        case "account":
            (cluster.account / "namespace").unlink()
        case "outside":
            monkeypatch.delenv("KUBERNETES_SERVICE_HOST")

    scaling = seen("another" if wrong == "name" else NAME)

    assert scaling.samples == ()
    assert scaling.remark.startswith(f"the autoscaler {scaling.name} could not be read: ")
    assert says[wrong] in scaling.remark

"""Upgrades from each released chart, and back, keep immutable fields, passwords and the number of pods."""

import json
from base64 import b64encode
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.chart.fake_cluster import FakeCluster, fake_cluster
from tests.chart.immutable_fields import immutable_fields, is_hook
from tests.chart.rendering import NAMESPACE, Object, Rendered

RELEASED = {path.stem: json.loads(path.read_text()) for path in Path(__file__).with_name("released").glob("*.json")}
WITHOUT_DATA = {
    *("ConfigMap", "Deployment", "HorizontalPodAutoscaler", "HTTPRoute", "Ingress", "Job", "NetworkPolicy"),
    *("PodDisruptionBudget", "PrometheusRule", "ScaledObject", "Service", "ServiceAccount", "ServiceMonitor"),
}


class Upgrade(NamedTuple):
    """A release of a released chart, and its upgrade to this chart."""

    given: dict[str, Any]
    before: list[Object]
    after: Rendered
    notes: str
    cluster: FakeCluster


def restored(each: Object) -> Object:
    """Rebuild an object from its record, with made-up passwords."""
    immutable = deepcopy(each["immutable"])
    metadata = {"name": each["name"], "namespace": NAMESPACE, "labels": {"app.kubernetes.io/managed-by": "Helm"}}
    made = {"apiVersion": each["apiVersion"], "kind": each["kind"], "metadata": metadata}
    if each["kind"] == "Secret":
        data = {key: b64encode(f"that of {key}".encode()).decode() for key in immutable["keys"]}
        return {**made, "type": immutable["type"], "data": data}
    replicas = {"replicas": each["replicas"]} if "replicas" in each else {}
    return {**made, "spec": {**immutable, **replicas}}


@pytest.fixture(
    scope="module",
    params=[(version, case) for version, released in RELEASED.items() for case in released["cases"]],
    ids="-".join,
)
def upgrade(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgrade]:
    version, case = request.param
    released: dict[str, Any] = RELEASED[version]["cases"][case]
    with fake_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        cluster.note_release(released["values"])
        for each in released["objects"]:
            if each["kind"] in {"Secret", "Deployment", "StatefulSet"}:
                cluster.keep(restored(each))
        after, notes = cluster.upgrade()
        yield Upgrade(released["values"], released["objects"], after, notes, cluster)


def test_an_upgrade_keeps_every_object(upgrade: Upgrade) -> None:
    after = {(each["kind"], each["metadata"]["name"]) for each in upgrade.after.objects}

    # The name of a seed Job changes whenever its pod changes.
    assert {(each["kind"], each["name"]) for each in upgrade.before if each["kind"] != "Job"} <= after


def test_an_upgrade_changes_no_immutable_field(upgrade: Upgrade) -> None:
    before = {(each["kind"], each["name"]): each["immutable"] for each in upgrade.before}
    after = {(each["kind"], each["metadata"]["name"]): immutable_fields(each) for each in upgrade.after.objects}

    common = before.keys() & after.keys()
    assert len(common) > 4
    assert {key: after[key] for key in common} == {key: before[key] for key in common}


def test_an_upgrade_keeps_generated_passwords(upgrade: Upgrade) -> None:
    for each in upgrade.before:
        store = each["name"].rpartition("-")[2]
        is_made_up = each["kind"] == "Secret" and not upgrade.given.get(store, {}).get("auth")
        if is_made_up and store in {"mongodb", "redis"}:
            assert upgrade.after.one("Secret", each["name"])["data"] == restored(each)["data"]


def test_an_upgrade_keeps_the_number_of_pods(upgrade: Upgrade) -> None:
    [before] = [each for each in upgrade.before if each["kind"] == "Deployment"]

    assert upgrade.after.deployment()["spec"].get("replicas") == before.get("replicas")


def test_a_rollback_deletes_no_data_and_keeps_the_number_of_pods(upgrade: Upgrade) -> None:
    """`helm rollback` applies the old objects and removes the new ones."""
    before = {(each["kind"], each["name"]) for each in upgrade.before}
    added = [each for each in upgrade.after.objects if not is_hook(each)]
    added = [each for each in added if (each["kind"], each["metadata"]["name"]) not in before]
    [deployment] = [each for each in upgrade.before if each["kind"] == "Deployment"]
    replicas = upgrade.cluster.replicas
    upgrade.cluster.keep(restored(deployment))

    assert {each["kind"] for each in added} <= WITHOUT_DATA
    assert upgrade.cluster.replicas == replicas


def test_the_notes_of_an_upgrade_do_not_describe_a_first_installation(upgrade: Upgrade) -> None:
    assert "rollout status deployment/" in upgrade.notes
    assert "is empty" not in upgrade.notes
    assert "a new volume has none" not in upgrade.notes

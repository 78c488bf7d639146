"""A change of an immutable field is refused before the upgrade, with the commands that make the change."""

import shlex
from collections.abc import Iterator
from copy import deepcopy

import pytest

from tests.chart.fake_cluster import FakeCluster, fake_cluster
from tests.chart.rendering import NAMESPACE, Object
from tests.chart.tools.helm import HelmError

STORES = ["mongodb", "redis"]
GIVEN = [
    *("mongodb.persistence.enabled=true", "mongodb.persistence.size=8Gi"),
    *("redis.persistence.enabled=true", "redis.persistence.size=2Gi"),
]
of_stores = pytest.mark.parametrize("store", STORES)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeCluster]:
    """A cluster with a release whose stores have volumes."""
    with fake_cluster(tmp_path_factory.mktemp("cluster")) as made:
        made.install("--set", ",".join(GIVEN))
        yield made


@pytest.fixture
def cluster(running: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    monkeypatch.setattr(running, "objects", deepcopy(running.objects))
    return running


def upgrade(cluster: FakeCluster, *changes: str) -> None:
    cluster.install("--set", ",".join([*GIVEN, *changes]))


def refusals(cluster: FakeCluster, *changes: str) -> list[str]:
    """Return the messages with which an upgrade is refused."""
    with pytest.raises(HelmError) as refused:
        upgrade(cluster, *changes)
    return [line.strip()[2:] for line in str(refused.value).splitlines() if line.startswith("  - ")]


def stateful_set(cluster: FakeCluster, store: str) -> Object:
    return cluster.objects["statefulsets", NAMESPACE, f"mylist-{store}"]


def test_an_upgrade_without_changes_is_accepted(cluster: FakeCluster) -> None:
    upgrade(cluster)


def test_a_larger_volume_is_refused_and_the_message_has_the_commands_that_enlarge_it(cluster: FakeCluster) -> None:
    [message] = refusals(cluster, "mongodb.persistence.size=16Gi")

    assert message == (
        "mongodb.persistence.size is 16Gi and the volume data-mylist-mongodb-0 has 8Gi: `helm upgrade` cannot make it "
        "larger; run `kubectl --namespace ott patch pvc data-mylist-mongodb-0 --patch "
        """'{"spec":{"resources":{"requests":{"storage":"16Gi"}}}}'`, then """
        "`kubectl --namespace ott delete statefulset mylist-mongodb --cascade=orphan`, and upgrade again"
    )
    patch, delete = (shlex.split(each) for each in message.split("`")[3:6:2])
    assert patch[:2] == delete[:2] == ["kubectl", "--namespace"]
    assert patch[-1] == '{"spec":{"resources":{"requests":{"storage":"16Gi"}}}}'


def test_a_larger_volume_is_accepted_once_the_commands_of_the_message_have_run(cluster: FakeCluster) -> None:
    del cluster.objects["statefulsets", NAMESPACE, "mylist-mongodb"]
    upgrade(cluster, "mongodb.persistence.size=16Gi")

    [claim] = stateful_set(cluster, "mongodb")["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "16Gi"


@of_stores
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("persistence.size=9.5Gi", "cannot make it larger"),
        ("persistence.size=20000M", "cannot make it larger"),
        ("persistence.size=1Gi", "a volume cannot be made smaller; set it back"),
        ("persistence.size=100k", "a volume cannot be made smaller; set it back"),
        ("persistence.storageClass=fast", 'is "fast" and the volume data-mylist-{store}-0 has "", which cannot change'),
        ("persistence.enabled=false", "has the volume data-mylist-{store}-0: it would start without data"),
        ("nameOverride=other,{store}.fullnameOverride=mylist-{store}", "changes the selector of StatefulSet"),
    ],
)
def test_a_change_of_an_immutable_field_is_refused(cluster: FakeCluster, store: str, change: str, words: str) -> None:
    [message] = refusals(cluster, f"{store}.{change.format(store=store)}")

    assert message.startswith(f"{store}.{change.partition('=')[0]} ")
    assert words.format(store=store) in message
    assert "set it" in message or f"delete statefulset mylist-{store}" in message


def test_all_refusals_are_reported_at_once(cluster: FakeCluster) -> None:
    messages = refusals(cluster, "mongodb.persistence.size=1Ti,redis.persistence.size=1Ti,ingress.enabled=true")

    assert [each.partition(" ")[0] for each in messages] == [
        "ingress",
        "mongodb.persistence.size",
        "redis.persistence.size",
    ]


@pytest.mark.parametrize(("size", "live"), [("8192Mi", "8Gi"), ("8589934592", "8Gi"), ("1.5Gi", "1536Mi")])
def test_an_equal_size_in_another_notation_is_accepted(cluster: FakeCluster, size: str, live: str) -> None:
    [claim] = stateful_set(cluster, "mongodb")["spec"]["volumeClaimTemplates"]
    claim["spec"]["resources"]["requests"]["storage"] = live

    upgrade(cluster, f"mongodb.persistence.size={size}")


def test_removing_the_storage_class_of_a_volume_is_refused(cluster: FakeCluster) -> None:
    [claim] = stateful_set(cluster, "mongodb")["spec"]["volumeClaimTemplates"]
    claim["spec"]["storageClassName"] = "fast"

    [message] = refusals(cluster)
    assert 'mongodb.persistence.storageClass is "" and the volume data-mylist-mongodb-0 has "fast"' in message
    upgrade(cluster, "mongodb.persistence.storageClass=fast")


@of_stores
def test_a_volume_for_a_store_without_one_is_refused(cluster: FakeCluster, store: str) -> None:
    del stateful_set(cluster, store)["spec"]["volumeClaimTemplates"]

    [message] = refusals(cluster)
    assert message.startswith(f"{store}.persistence.enabled is true and StatefulSet mylist-{store} has no volume")


def test_a_changed_selector_of_the_deployment_is_refused(cluster: FakeCluster) -> None:
    [message] = refusals(cluster, "nameOverride=other,fullnameOverride=mylist")

    assert message.startswith("nameOverride changes the selector of Deployment mylist, ")
    assert "kubectl --namespace ott delete deployment mylist" in message


@of_stores
def test_a_store_that_is_switched_off_is_not_checked(cluster: FakeCluster, store: str) -> None:
    elsewhere = {
        "mongodb": "externalMongodb.uri=mongodb://a:27017/mylist-ott",
        "redis": "externalRedis.hosts={a:6379}",
    }

    upgrade(cluster, f"{store}.enabled=false,{store}.persistence.size=1Ti", elsewhere[store])

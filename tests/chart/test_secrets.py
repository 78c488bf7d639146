"""Passwords: the chart generates them once and then keeps them. It generates none if a Secret exists."""

from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from tests.chart.fake_cluster import FakeCluster, fake_cluster
from tests.chart.rendering import EXTERNAL_CASES, NAMESPACE, Rendered, case, render, rendered_case, template

MADE_UP = {
    "mylist-mongodb": {"mongodb-root-password", "mongodb-password", "mongodb-exporter-password"},
    "mylist-redis": {"redis-password"},
}
OF_SECRETS_THAT_ARE_THERE = ("--set", "mongodb.auth.existingSecret=a,redis.auth.existingSecret=b")


@pytest.fixture
def empty_cluster(tmp_path: Path) -> Iterator[FakeCluster]:
    with fake_cluster(tmp_path) as made:
        yield made


def passwords(rendered: Rendered) -> dict[str, str]:
    return {
        f"{secret['metadata']['name']}/{key}": b64decode(value).decode()
        for secret in rendered.of_kind("Secret")
        for key, value in secret["data"].items()
    }


def checksums(rendered: Rendered) -> dict[str, str]:
    return {
        f"{name} {annotation}": value
        for name, pod in rendered.templates()
        for annotation, value in pod["metadata"].get("annotations", {}).items()
        if annotation.startswith("checksum/")
    }


class TestGeneratedPasswords:
    def test_are_long_and_differ(self) -> None:
        made = passwords(rendered_case("default"))

        assert made.keys() == {f"{name}/{key}" for name, keys in MADE_UP.items() for key in keys}
        assert len(set(made.values())) == len(made)
        assert all(len(password) == 32 for password in made.values())

    def test_differ_from_one_release_to_another(self) -> None:
        assert not set(passwords(render()).values()) & set(passwords(render()).values())

    def test_survive_an_upgrade(self, empty_cluster: FakeCluster) -> None:
        installed = empty_cluster.install()
        upgraded = empty_cluster.install("--set", "replicas=5")

        assert passwords(upgraded) == passwords(installed)
        assert checksums(upgraded) == checksums(installed)
        assert f"/api/v1/namespaces/{NAMESPACE}/secrets/mylist-mongodb" in empty_cluster.asked

    def test_survive_an_uninstallation(self, empty_cluster: FakeCluster) -> None:
        installed = empty_cluster.install()
        for name in MADE_UP:
            assert installed.one("Secret", name)["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"

        assert passwords(empty_cluster.install()) == passwords(installed)

    def test_are_added_only_for_keys_that_the_cluster_lacks(self, empty_cluster: FakeCluster) -> None:
        installed = passwords(empty_cluster.install())
        del empty_cluster.objects["secrets", NAMESPACE, "mylist-mongodb"]["data"]["mongodb-exporter-password"]
        upgraded = passwords(empty_cluster.install())

        assert {name for name in installed if installed[name] != upgraded[name]} == {
            "mylist-mongodb/mongodb-exporter-password"
        }

    def test_are_overridden_by_a_given_password(self, empty_cluster: FakeCluster) -> None:
        installed = empty_cluster.install()
        upgraded = empty_cluster.install("--set", "redis.auth.password=chosen")

        assert passwords(upgraded) == {**passwords(installed), "mylist-redis/redis-password": "chosen"}
        changed = {name for name, value in checksums(upgraded).items() if checksums(installed)[name] != value}
        assert changed == {"Deployment/mylist checksum/secret", "StatefulSet/mylist-redis checksum/secret"}
        assert passwords(empty_cluster.install()) == passwords(upgraded)


class TestExistingSecrets:
    def test_make_two_renderings_equal(self) -> None:
        assert template(*OF_SECRETS_THAT_ARE_THERE) == template(*OF_SECRETS_THAT_ARE_THERE)

    @pytest.mark.parametrize("name", EXTERNAL_CASES)
    def test_two_renderings_with_external_stores_are_equal(self, name: str) -> None:
        assert template("--values", str(case(name))) == template("--values", str(case(name)))

    def test_without_existing_secrets_two_renderings_differ(self) -> None:
        assert template() != template()

    def test_are_used_and_no_secret_is_created(self) -> None:
        rendered = render({"mongodb.auth.existingSecret": "a", "redis.auth.existingSecret": "b"})
        used = {
            each["valueFrom"]["secretKeyRef"]["name"]
            for _, container, _ in rendered.containers()
            for each in container.get("env", [])
            if "secretKeyRef" in each.get("valueFrom", {})
        }

        assert rendered.of_kind("Secret") == []
        assert used == {"a", "b"}


def test_a_given_password_is_stored_unchanged() -> None:
    given = 'with $pecial: characters, %20 and "quotes"'

    assert passwords(rendered_case("ha")) == {"mylist/redis-password": given}


def test_the_token_secret_comes_from_the_release_or_from_an_existing_secret() -> None:
    external = {"redis.enabled": False, "externalRedis.hosts": ["a:6379"], "settings.authMode": "jwt"}
    secret = "x" * 32
    given, there = render({**external, "jwt.secret": secret}), render({**external, "jwt.existingSecret": "a"})

    assert passwords(given)["mylist/jwt-secret"] == secret
    assert variable(given, "JWT_SECRET") == {"name": "mylist", "key": "jwt-secret"}
    assert "mylist/jwt-secret" not in passwords(there)
    assert variable(there, "JWT_SECRET") == {"name": "a", "key": "jwt-secret"}


def variable(rendered: Rendered, name: str) -> object:
    """Return the Secret and the key from which the service gets a variable."""
    [container] = rendered.deployment()["spec"]["template"]["spec"]["containers"]
    [found] = [each["valueFrom"]["secretKeyRef"] for each in container["env"] if each["name"] == name]
    return found


@pytest.mark.parametrize("change", [{"settings.cacheTtl": 301}, {"mongodb.auth.username": "other"}], ids=str)
def test_pods_restart_when_their_configuration_changes(change: dict[str, object]) -> None:
    before, after = (
        render({"mongodb.auth.password": "a", "redis.auth.password": "b", **each}) for each in ({}, change)
    )
    changed = {name for name, value in checksums(after).items() if checksums(before)[name] != value}

    assert changed == {"Deployment/mylist checksum/config"}


def test_the_mongodb_user_has_only_the_rights_that_it_needs() -> None:
    script = rendered_case("default").one("ConfigMap", "mylist-mongodb")["data"]["users.js"]
    container = rendered_case("default").one("StatefulSet", "mylist-mongodb")["spec"]["template"]["spec"]["containers"][
        0
    ]
    variables = {each["name"] for each in container["env"]}

    assert 'roles: [{ role: "readWrite", db: process.env.MYLIST_DATABASE }]' in script
    assert script.count("role:") == 2
    assert {"MYLIST_USER", "MYLIST_PASSWORD", "MYLIST_DATABASE", "EXPORTER_PASSWORD"} <= variables
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert mounts["users"] == "/docker-entrypoint-initdb.d"


class TestSecretKeys:
    """The keys of an existing Secret can have any names, and a component that does not run needs none."""

    KEYS: ClassVar = {
        "mongodb.auth.existingSecret": "of-mongodb",
        "mongodb.auth.passwordKey": "app",
        "mongodb.auth.rootPasswordKey": "admin",
        "mongodb.auth.exporterPasswordKey": "metrics",
        "redis.auth.existingSecret": "of-redis",
        "redis.auth.passwordKey": "requirepass",
    }

    def test_of_an_existing_secret_are_configurable(self) -> None:
        exporters = {"mongodb.exporter.enabled": True, "redis.exporter.enabled": True}

        assert wanted(render({**self.KEYS, **exporters, "seed.enabled": True})) == {
            ("of-mongodb", "app"),
            ("of-mongodb", "admin"),
            ("of-mongodb", "metrics"),
            ("of-redis", "requirepass"),
        }

    def test_of_a_disabled_exporter_are_not_required(self) -> None:
        assert wanted(render(self.KEYS)) == {
            ("of-mongodb", "app"),
            ("of-mongodb", "admin"),
            ("of-redis", "requirepass"),
        }

    def test_have_default_names(self) -> None:
        secrets = {"mongodb.auth.existingSecret": "a", "redis.auth.existingSecret": "b"}

        assert wanted(render(secrets)) == {
            ("a", "mongodb-password"),
            ("a", "mongodb-root-password"),
            ("b", "redis-password"),
        }

    def test_do_not_apply_to_secrets_of_the_chart(self) -> None:
        plain = {name: value for name, value in self.KEYS.items() if not name.endswith("existingSecret")}
        made = render(plain)
        there = {(secret["metadata"]["name"], key) for secret in made.of_kind("Secret") for key in secret["data"]}

        assert wanted(made) <= there


def wanted(rendered: Rendered) -> set[tuple[str, str]]:
    """Return the Secret and the key of every variable that comes from a Secret."""
    sources = [
        each["valueFrom"]["secretKeyRef"]
        for _, container, _ in rendered.containers()
        for each in container.get("env", [])
        if "secretKeyRef" in each.get("valueFrom", {})
    ]
    return {(each["name"], each["key"]) for each in sources}


def test_a_changed_mongodb_user_restarts_the_service_but_not_mongodb() -> None:
    """A second user makes it possible to change the password without refused logins. MongoDB must keep running."""
    before = render(redis__auth__password="same")
    after = render(redis__auth__password="same", mongodb__auth__username="second", mongodb__auth__password="new")
    changed = {name for name, pod in after.templates() if pod != dict(before.templates())[name]}

    assert after.one("StatefulSet", "mylist-mongodb")["spec"] == before.one("StatefulSet", "mylist-mongodb")["spec"]
    assert changed == {"Deployment/mylist"}
    assert after.configuration()["MONGODB_USER"] == "second"
    assert after.one("ConfigMap", "mylist-mongodb")["data"]["username"] == "second"


@pytest.mark.parametrize(
    "stores",
    [
        {},
        {"redis.enabled": False, "externalRedis": {"hosts": ["redis:6379"], "existingSecret": "of-redis"}},
        {"redis.enabled": False, "externalRedis": {"existingSecret": "of-redis", "urlKey": "url", "ports": [6379]}},
        {"redis.enabled": False, "externalRedis": {"hosts": ["redis:6379"], "password": "secret"}},
    ],
    ids=["own", "password in a Secret", "address in a Secret", "password in the values"],
)
def test_the_seed_job_gets_the_same_redis_secret_as_the_service(stores: dict[str, object]) -> None:
    """The Job changes lists, so it must invalidate their cached copies."""
    rendered = render({"seed.enabled": True, **stores})
    of_redis = {
        name: [each for each in container["env"] if each["name"].startswith("REDIS_")]
        for name, container, _ in rendered.containers()
        if name.startswith(("Deployment/", "Job/"))
    }

    [service, seed] = of_redis.values()
    assert seed == service
    assert len(seed) == 1

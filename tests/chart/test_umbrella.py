"""The chart as a dependency of an umbrella chart: alias, condition, tags, anchors, globals, neighbours."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.network_policies import Port, allows
from tests.chart.rendering import RELEASE, Object, Rendered, parse, render
from tests.chart.umbrella import template, umbrella

MIRROR = "registry.example:5000/mirror"
# A pod of another chart of the umbrella, with labels like those of our pods.
NEIGHBOUR: Object = {
    "metadata": {
        "labels": {
            "app.kubernetes.io/name": "shop",
            "app.kubernetes.io/instance": RELEASE,
            "app.kubernetes.io/component": "api",
            "app.kubernetes.io/part-of": "shop",
        }
    }
}
EVERYTHING_ON = {
    "seed.enabled": True,
    "mongodb.exporter.enabled": True,
    "redis.exporter.enabled": True,
}


def rendered(chart: Path, name: str = "mylist", *arguments: str) -> Rendered:
    return Rendered([each for manifest in template(chart, *arguments)[name] for each in parse(manifest)])


def images(of: Rendered) -> set[str]:
    return {container["image"] for _, container, _ in of.containers()}


class TestUmbrella:
    def test_renders_the_same_objects_as_the_chart_alone(self, tmp_path: Path) -> None:
        alone = {(each["kind"], each["metadata"]["name"]) for each in render().objects}

        inside = rendered(umbrella(tmp_path / "u"))
        assert {(each["kind"], each["metadata"]["name"]) for each in inside.objects} == alone

    @pytest.mark.parametrize("name", ["mylist", "lists"])
    @pytest.mark.parametrize("enabled", [True, False])
    def test_turns_the_chart_on_and_off_by_a_condition(self, tmp_path: Path, name: str, enabled: bool) -> None:
        dependency = {"condition": f"{name}.enabled"} | ({} if name == "mylist" else {"alias": name})
        made = template(umbrella(tmp_path / "u", dependency, values={name: {"enabled": enabled}}))

        assert list(made) == ([name] if enabled else [])

    @pytest.mark.parametrize("on", [True, False])
    def test_turns_the_chart_on_and_off_by_a_tag(self, tmp_path: Path, on: bool) -> None:
        made = template(umbrella(tmp_path / "u", {"tags": ["front"]}, values={"tags": {"front": on}}))

        assert list(made) == (["mylist"] if on else [])

    def test_uses_the_alias_in_the_names_of_objects(self, tmp_path: Path) -> None:
        made = rendered(umbrella(tmp_path / "u", {"alias": "lists"}), "lists")

        assert made.deployment()["metadata"]["name"] == f"{RELEASE}-lists"

    def test_values_can_have_yaml_anchors_anywhere(self, tmp_path: Path) -> None:
        text = """
        mylist:
          x-common: &common {team: lists}
          podLabels: *common
          mongodb: {x-own: 1, podLabels: *common}
          redis: {x-own: [1], podLabels: *common}
        """
        made = rendered(umbrella(tmp_path / "u", values=yaml.safe_load(text)))

        assert [pod["metadata"]["labels"].get("team") for name, pod in made.templates() if "Pod/" not in name] == [
            "lists"
        ] * 3

    def test_can_remove_defaults_of_the_chart_with_its_own_values(self, tmp_path: Path) -> None:
        """Null cannot remove them, because Helm restores the defaults of a subchart."""
        none: dict[str, Any] = {"requests": {"cpu": ""}, "limits": {"memory": ""}}
        values = {
            **{name: {"resources": none} for name in ("tests", "seed")},
            **{name: {"resources": none, "exporter": {"resources": none}} for name in ("mongodb", "redis")},
            "resources": none,
            "strategy": {"type": "Recreate"},
        }
        made = rendered(umbrella(tmp_path / "u", values={"mylist": values}), "mylist", *sets("mylist"))

        assert made.deployment()["spec"]["strategy"] == {"type": "Recreate"}
        assert len(list(made.containers())) == 7
        for name, container, _ in made.containers():
            assert list(container["resources"]) == ["requests"], name
            assert list(container["resources"]["requests"]) == ["memory"], name


def sets(prefix: str) -> list[str]:
    return [part for name in EVERYTHING_ON for part in ("--set", f"{prefix}.{name}=true")]


class TestGlobal:
    def test_registry_applies_to_every_image(self) -> None:
        plain = images(render(EVERYTHING_ON))
        mirrored = images(render(EVERYTHING_ON, **{"global.imageRegistry": MIRROR}))

        assert len(plain) == 5
        assert mirrored == {f"{MIRROR}/{image}" for image in plain}

    @pytest.mark.parametrize(
        ("repository", "mirrored"),
        [
            ("ghcr.io/acme/mylist", f"{MIRROR}/acme/mylist"),
            ("localhost/mylist", f"{MIRROR}/mylist"),
            ("localhost:5000/mylist", f"{MIRROR}/mylist"),
            ("acme/mylist", f"{MIRROR}/acme/mylist"),
        ],
    )
    def test_registry_replaces_the_registry_of_each_repository(self, repository: str, mirrored: str) -> None:
        charts = ("", "mongodb.", "redis.", "mongodb.exporter.", "redis.exporter.")
        named = {f"{of}image.repository": repository for of in charts}
        found = images(render({**EVERYTHING_ON, "global.imageRegistry": f"{MIRROR}/", **named}))

        assert len(found) == 5
        assert {image.rpartition(":")[0] for image in found} == {mirrored}

    def test_registry_keeps_the_digest(self) -> None:
        digest = f"sha256:{64 * '0'}"
        made = render({"global.imageRegistry": MIRROR, "image.digest": digest})

        assert f"{MIRROR}/mylist@{digest}" in images(made)

    def test_pull_secrets_are_merged_with_those_of_each_component(self, tmp_path: Path) -> None:
        values = {
            "global": {"imageRegistry": MIRROR, "imagePullSecrets": ["a", {"name": "b"}]},
            "mylist": {
                "imagePullSecrets": [{"name": "b"}, {"name": "c"}],
                "redis": {"imagePullSecrets": [{"name": "d"}]},
            },
        }
        made = rendered(umbrella(tmp_path / "u", values=values), "mylist", *sets("mylist"))
        named = {
            name.partition("/")[2].partition("-seed")[0]: [each["name"] for each in pod["spec"]["imagePullSecrets"]]
            for name, pod in made.templates()
        }

        assert all(image.startswith(MIRROR) for image in images(made))
        assert len(list(made.templates())) == 5
        assert named.pop(f"{RELEASE}-mongodb") == ["a", "b"]
        assert named.pop(f"{RELEASE}-redis") == ["a", "b", "d"]
        assert set(map(tuple, named.values())) == {("a", "b", "c")}

    def test_values_of_other_charts_are_accepted(self) -> None:
        assert render({"global.storageClass": "fast", "global.postgresql.auth": {"a": 1}}).objects


class TestNeighbours:
    def test_are_not_cut_off(self) -> None:
        made = render(EVERYTHING_ON)

        assert allows(made, NEIGHBOUR, "ingress", "anywhere", Port(80))
        assert allows(made, NEIGHBOUR, "egress", "anywhere", Port(443))

    @pytest.mark.parametrize("store", ["mongodb", "redis"])
    def test_cannot_reach_the_stores(self, store: str) -> None:
        made = render(EVERYTHING_ON)
        [pod] = [pod for name, pod in made.templates() if name == f"StatefulSet/{RELEASE}-{store}"]

        assert not allows(made, pod, "ingress", NEIGHBOUR, Port({"mongodb": 27017, "redis": 6379}[store], name=store))

    def test_are_not_mistaken_for_the_stores_by_the_egress_rules(self) -> None:
        made = render()
        stranger = {"metadata": {"labels": {**NEIGHBOUR["metadata"]["labels"], "app.kubernetes.io/component": "redis"}}}
        pod = made.deployment()["spec"]["template"]

        assert not allows(made, pod, "egress", stranger, Port(6379))

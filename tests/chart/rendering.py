"""The chart as Helm renders it, and functions that inspect the result."""

import functools
import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.chart.tools.helm import helm

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "mylist"
CASES = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").iterdir())
KUBERNETES = ("1.30", "1.33", "1.37")
# The cases that are about a kind of cluster; docs/clusters.md has a row for each.
CLUSTERS = (
    *("air-gapped", "argocd", "dual-stack", "external-secrets", "ipv6", "istio", "istio-ambient", "linkerd"),
    *("node-local-dns", "openshift", "read-only-catalogue", "restricted-quota", "umbrella"),
)
RELEASE, NAMESPACE = "mylist", "ott"

Object = dict[str, Any]


def case(name: str) -> Path:
    """Return the file with the values of a case."""
    return CHART / "ci" / f"{name}-values.yaml"


def values(path: Path) -> Any:
    """Return the content of a YAML file."""
    return yaml.load(path.read_text(), Loader=yaml.CSafeLoader)


def _is_external(given: Any) -> bool:
    return not any(given.get(store, {}).get("enabled", True) for store in ("mongodb", "redis"))


# The cases in which the chart generates no password, so that each rendering is equal.
EXTERNAL_CASES = [name for name in CASES if _is_external(values(case(name)) or {})]


@dataclass
class Rendered:
    """The manifests of a release, and the values that it was given."""

    objects: list[Object]
    given: dict[str, Any] = field(default_factory=dict)

    def of_kind(self, *kinds: str) -> list[Object]:
        """Return the objects of these kinds."""
        return [each for each in self.objects if each["kind"] in kinds]

    def one(self, kind: str, name: str = RELEASE) -> Object:
        """Return the one object of a kind that has this name."""
        [found] = [each for each in self.of_kind(kind) if each["metadata"]["name"] == name]
        return found

    def templates(self) -> Iterator[tuple[str, Object]]:
        """Yield every pod or pod template, with the name of the object that creates it."""
        for each in self.objects:
            if each["kind"] == "Pod":
                yield f"Pod/{each['metadata']['name']}", each
            elif "template" in each.get("spec", {}):
                yield f"{each['kind']}/{each['metadata']['name']}", each["spec"]["template"]

    def containers(self) -> Iterator[tuple[str, Object, Object]]:
        """Return every container with its name and the specification of its pod."""
        for name, template in self.templates():
            for container in (*template["spec"].get("initContainers", []), *template["spec"]["containers"]):
                yield f"{name}/{container['name']}", container, template["spec"]

    def configuration(self) -> dict[str, str]:
        """Return the variables of the service that are not secrets."""
        [container] = self.deployment()["spec"]["template"]["spec"]["containers"][:1]
        name = container["envFrom"][0]["configMapRef"]["name"]
        data: dict[str, str] = self.one("ConfigMap", name)["data"]
        return data

    def deployment(self) -> Object:
        """Return the Deployment of the service."""
        named = (
            (each, each["metadata"]["labels"].get("app.kubernetes.io/component")) for each in self.of_kind("Deployment")
        )
        [found] = [each for each, component in named if component in {"api", None}]
        return found

    def copy(self) -> "Rendered":
        """Return a copy that the caller may change."""
        return deepcopy(self)


def parse(manifests: str) -> list[Object]:
    """Return the objects of a rendering."""
    return [each for each in yaml.load_all(manifests, Loader=yaml.CSafeLoader) if each]


def template(
    *arguments: str, release: str = RELEASE, namespace: str = NAMESPACE, environment: dict[str, str] | None = None
) -> str:
    """Return what `helm template` writes of the chart.

    Raises:
        HelmError: Helm refuses.
    """
    return helm("template", release, str(CHART), "--namespace", namespace, *arguments, environment=environment)


@functools.cache
def manifests_of_case(name: str, kubernetes: str = KUBERNETES[-1]) -> str:
    """Return a case as Helm writes it for a version of Kubernetes."""
    return template("--values", str(case(name)), "--kube-version", kubernetes)


@functools.cache
def rendered_case(name: str, kubernetes: str = KUBERNETES[-1]) -> Rendered:
    """Return a case, rendered for a version of Kubernetes; the caller must not change it."""
    return Rendered(parse(manifests_of_case(name, kubernetes)), values(case(name)) or {})


def render(given: Mapping[str, Any] | None = None, *, of: str = "default", **changes: Any) -> Rendered:
    """Return the chart with the values of a case, `given` over them; `a__b=c` stands for a value within one.

    Raises:
        HelmError: Helm refuses.
    """
    arguments = ["--values", str(case(of))]
    for name, value in {**(given or {}), **changes}.items():
        arguments += ["--set-json", f"{name.replace('__', '.')}={json.dumps(value)}"]
    return Rendered(parse(template(*arguments)), values(case(of)) or {})

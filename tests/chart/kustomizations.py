"""The output of `kubectl kustomize` for k8s/, and the values there."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.chart.rendering import KUBERNETES, ROOT, Object, Rendered, parse, template, values
from tests.chart.tools.kubectl import kustomize

K8S = ROOT / "k8s"
KUSTOMIZATIONS = sorted(path.parent.name for path in K8S.glob("*/kustomization.yaml"))
VALUES = sorted(path.stem for path in (K8S / "values").iterdir())
# Groups that Kubernetes itself does not serve, despite their names.
_FOREIGN = {"gateway.networking.k8s.io"}
_TYPES = {"string": str, "integer": int, "boolean": bool, "map": dict}
OPERATORS = values(Path(__file__).with_name("operators.yaml"))


@functools.cache
def built(name: str) -> Rendered:
    """Return the objects of a kustomization; the caller must not change them."""
    return Rendered(parse(kustomize(K8S / name)))


def is_foreign(each: Object) -> bool:
    """Return whether an object is of an operator's kind, for which Kubernetes has no schema."""
    group = each["apiVersion"].rpartition("/")[0]
    return group in _FOREIGN or ("." in group and not group.endswith(".k8s.io"))


@functools.cache
def rendered_values(name: str, kubernetes: str = KUBERNETES[-1]) -> Rendered:
    """Return the chart with one of the files in k8s/values; the caller must not change it."""
    path = K8S / "values" / f"{name}.yaml"
    return Rendered(parse(template("--values", str(path), "--kube-version", kubernetes)), values(path))


def unknown(value: Any, known: Any, path: str = "spec") -> Iterator[str]:
    """Yield the differences between a value and `known`, the fields and types of tests/chart/operators.yaml."""
    if isinstance(known, list) and isinstance(value, list):
        for number, each in enumerate(value):
            yield from unknown(each, known[0], f"{path}[{number}]")
    elif isinstance(known, dict) and isinstance(value, dict):
        yield from (f"{path}.{name} is not known" for name in value.keys() - known.keys())
        for name in value.keys() & known.keys():
            yield from unknown(value[name], known[name], f"{path}.{name}")
    elif isinstance(known, str):
        if type(value) is not _TYPES[known]:
            yield f"{path} is no {known}"
    else:
        yield f"{path} is of another shape"


def assert_restricted(name: str, security: Object, containers: list[Object]) -> None:
    """Assert that a pod meets the Pod Security Standard `restricted`."""
    assert security.get("runAsNonRoot") is True, name
    assert security.get("runAsUser", 1) != 0, name
    assert security.get("seccompProfile") == {"type": "RuntimeDefault"}, name
    for each in containers:
        assert each.get("allowPrivilegeEscalation") is False, name
        assert each.get("capabilities") == {"drop": ["ALL"]}, name
        assert not each.get("privileged"), name
        assert each.get("runAsNonRoot", True), name

"""A fake Kubernetes API that keeps the objects that Helm's `lookup` reads, and serves them over HTTP.

`helm template --dry-run=server` renders against it, so tests see how templates treat existing objects. It implements
server-side apply for `.spec.replicas` alone: the field's managers, and conflicts between them.
"""

import gzip
import json
import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from tests.chart.rendering import CHART, KUBERNETES, NAMESPACE, RELEASE, Object, Rendered, parse, template
from tests.chart.tools.helm import helm
from tests.fake_http_server import FakeHttpHandler, fake_http_server

_VERSION = {"major": "1", "minor": KUBERNETES[-1].partition(".")[2], "gitVersion": f"v{KUBERNETES[-1]}.0"}
# The kinds of the chart, by group and version.
_KINDS = {
    "v1": ("ConfigMap", "Pod", "Secret", "Service", "ServiceAccount"),
    "apps/v1": ("Deployment", "StatefulSet"),
    "autoscaling/v2": ("HorizontalPodAutoscaler",),
    "batch/v1": ("Job",),
    "gateway.networking.k8s.io/v1": ("HTTPRoute",),
    "keda.sh/v1alpha1": ("ScaledObject",),
    "monitoring.coreos.com/v1": ("PrometheusRule", "ServiceMonitor"),
    "networking.k8s.io/v1": ("Ingress", "NetworkPolicy"),
    "policy/v1": ("PodDisruptionBudget",),
}


_KEPT = {"Secret": "secrets", "Deployment": "deployments", "StatefulSet": "statefulsets"}
_Owner = tuple[str, str, str]
"""The owner of a field: the manager, the operation, the subresource."""
_HELM = ("helm", "Apply", "")


def _owners(deployment: Object | None) -> set[_Owner]:
    """Return the owners of the number of pods."""
    fields = deployment["metadata"]["managedFields"] if deployment else []
    return {
        (each["manager"], each["operation"], each.get("subresource", ""))
        for each in fields
        if "f:replicas" in each["fieldsV1"].get("f:spec", {})
    }


def _own(deployment: Object, number: int, owners: set[_Owner]) -> None:
    """Set the number of pods and its owners."""
    deployment["spec"]["replicas"] = number
    deployment["metadata"]["managedFields"] = [
        {
            "manager": manager,
            "operation": operation,
            **({"subresource": subresource} if subresource else {}),
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {"f:replicas": {}} if (manager, operation, subresource) in owners else {}},
        }
        # Helm has applied the rest, no matter which manager has set the number.
        for manager, operation, subresource in sorted(owners | {_HELM})
    ]


def _resources(group_version: str, kinds: tuple[str, ...]) -> dict[str, Any]:
    names = [re.sub("y$", "ie", re.sub("s$", "se", kind.lower())) + "s" for kind in kinds]
    return {
        "kind": "APIResourceList",
        "groupVersion": group_version,
        "resources": [
            {"name": name, "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": ["get"]}
            for name, kind in zip(names, kinds, strict=True)
        ],
    }


def _group(group_version: str) -> dict[str, Any]:
    name, _, version = group_version.partition("/")
    versions = {"groupVersion": group_version, "version": version}
    return {"name": name, "versions": [versions], "preferredVersion": versions}


_DISCOVERY: dict[str, dict[str, Any]] = {
    "/version": _VERSION,
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(each) for each in _KINDS if "/" in each]},
    **{f"/{'apis' if '/' in each else 'api'}/{each}": _resources(each, kinds) for each, kinds in _KINDS.items()},
}


class ConflictError(Exception):
    """A manager other than Helm has set a field to another value."""


class FakeCluster:
    """The objects of the cluster, by kind (in the plural), namespace and name, and how to render against it."""

    def __init__(self, kubeconfig: Path) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.asked: list[str] = []
        self.kubeconfig = kubeconfig

    def install(self, *arguments: str) -> Rendered:
        """Render an installation or upgrade, and keep the objects that `lookup` reads, as a cluster would.

        Raises:
            HelmError: Helm refuses.
            ConflictError: the cluster refuses.
        """
        environment = {"KUBECONFIG": str(self.kubeconfig)}
        manifests = template("--dry-run=server", "--disable-openapi-validation", *arguments, environment=environment)
        rendered = Rendered(parse(manifests))
        for each in rendered.of_kind(*_KEPT):
            self.keep(each)
        return rendered

    def note_release(self, given: Object) -> None:
        """Remember a release with these values, as Helm does in a Secret, so that it can be upgraded."""
        stamp = "2026-01-01T00:00:00Z"
        release = {
            "name": RELEASE,
            "namespace": NAMESPACE,
            "version": 1,
            "info": {"first_deployed": stamp, "last_deployed": stamp, "status": "deployed"},
            "chart": {"metadata": {"name": "mylist", "version": "1.0.0", "apiVersion": "v2"}, "values": {}},
            "config": given,
            "manifest": "",
            "apply_method": "ssa",
        }
        labels = {"name": RELEASE, "owner": "helm", "status": "deployed", "version": "1"}
        name = f"sh.helm.release.v1.{RELEASE}.v1"
        packed = b64encode(b64encode(gzip.compress(json.dumps(release).encode())))
        self.objects["secrets", NAMESPACE, name] = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
            "type": "helm.sh/release.v1",
            "data": {"release": packed.decode()},
        }

    def upgrade(self, *arguments: str) -> tuple[Rendered, str]:
        """Upgrade the noted release; return the objects that Helm applies, which the cluster then has, and the notes.

        Raises:
            HelmError: Helm refuses.
            ConflictError: the cluster refuses.
        """
        options = ("--dry-run=server", "--disable-openapi-validation", "--reset-then-reuse-values", "--output=json")
        said = helm(
            *("upgrade", RELEASE, str(CHART), "--namespace", NAMESPACE, *options, *arguments),
            environment={"KUBECONFIG": str(self.kubeconfig)},
        )
        told = json.loads(said)
        rendered = Rendered(parse(told["manifest"]))
        for each in rendered.of_kind(*_KEPT):
            self.keep(each)
        return rendered, told["info"]["notes"]

    def keep(self, applied: Object) -> None:
        """Keep an object that Helm applies.

        Raises:
            ConflictError: another manager has set the number of pods to another value.
        """
        metadata = applied["metadata"]
        key = _KEPT[applied["kind"]], metadata["namespace"], metadata["name"]
        kept = deepcopy(applied)
        # Helm marks its own objects, and refuses those of another owner.
        owner = {"meta.helm.sh/release-name": RELEASE, "meta.helm.sh/release-namespace": NAMESPACE}
        kept["metadata"]["annotations"] = metadata.get("annotations", {}) | owner
        if applied["kind"] == "Deployment":
            before = self.objects.get(key)
            number, others = before["spec"]["replicas"] if before else 1, _owners(before) - {_HELM}
            given = applied["spec"].get("replicas")
            if given is None:
                # A field without a manager returns to its default.
                _own(kept, number if others else 1, others)
            elif others and given != number:
                raise ConflictError(f"conflict with {sorted(others)}: .spec.replicas is {number}, not {given}")
            else:
                _own(kept, given, others | {_HELM})
        self.objects[key] = kept

    def scale(self, number: int, by: str = "kubectl", *, subresource: str = "scale") -> None:
        """Set the number of pods as others do: `kubectl scale`, `kubectl edit`, an autoscaler's controller."""
        if self.replicas != number:
            _own(self.deployment, number, {(by, "Update", subresource)})

    @property
    def replicas(self) -> int:
        """How many pods the service has."""
        number: int = self.deployment["spec"]["replicas"]
        return number

    @property
    def deployment(self) -> Object:
        """The Deployment of the service."""
        [found] = [each for (kind, *_), each in self.objects.items() if kind == "deployments"]
        return found

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        """Return the status and the body for a path."""
        self.asked.append(path)
        if path in _DISCOVERY:
            return 200, _DISCOVERY[path]
        match path.strip("/").split("/"):
            case ["api", "v1", "namespaces", namespace, "secrets"]:
                # Helm lists its own Secrets only.
                found = [
                    each
                    for (kind, where, _), each in self.objects.items()
                    if (kind, where) == ("secrets", namespace) and each["type"] == "helm.sh/release.v1"
                ]
                return 200, {"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": found}
            case ["api" | "apis", *_, "namespaces", namespace, kind, name] if (kind, namespace, name) in self.objects:
                return 200, self.objects[kind, namespace, name]
        return 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}


@contextmanager
def fake_cluster(folder: Path) -> Iterator[FakeCluster]:
    """Run an empty cluster."""

    class Handler(FakeHttpHandler):
        def do_GET(self) -> None:  # noqa: N802 - as http.server calls it
            status, content = made.answer(self.path.partition("?")[0])
            self.answer(json.dumps(content).encode(), "application/json", status)

    with fake_http_server(Handler) as port:
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
                    "users": [{"name": "test", "user": {}}],
                    "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
                    "current-context": "test",
                }
            )
        )
        made = FakeCluster(kubeconfig)
        yield made

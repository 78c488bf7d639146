"""A Kubernetes API that keeps Secrets and nothing else: what Helm's `lookup` asks, by HTTP as a cluster answers it.

`helm template --dry-run=server` renders against it, which shows what templates do with what is there already.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.chart.rendering import KUBERNETES, NAMESPACE, RELEASE, Object, Rendered, parse, template
from tests.fake_http_server import FakeHttpHandler, fake_http_server

_VERSION = {"major": "1", "minor": KUBERNETES[-1].partition(".")[2], "gitVersion": f"v{KUBERNETES[-1]}.0"}
# What the default installation consists of, by group and version.
_KINDS = {
    "v1": ("ConfigMap", "Pod", "Secret", "Service", "ServiceAccount"),
    "apps/v1": ("Deployment", "StatefulSet"),
    "networking.k8s.io/v1": ("NetworkPolicy",),
    "policy/v1": ("PodDisruptionBudget",),
}


def _resources(group_version: str, kinds: tuple[str, ...]) -> dict[str, Any]:
    names = [re.sub("y$", "ie", kind.lower()) + "s" for kind in kinds]
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


class FakeCluster:
    """The Secrets of the cluster by namespace and name, and how to render against them."""

    def __init__(self, kubeconfig: Path) -> None:
        self.secrets: dict[tuple[str, str], Object] = {}
        self.asked: list[str] = []
        self._environment = {"KUBECONFIG": str(kubeconfig)}

    def install(self, *arguments: str) -> Rendered:
        """Render as an installation or upgrade would, and keep the Secrets as the cluster would."""
        manifests = template(
            "--dry-run=server", "--disable-openapi-validation", *arguments, environment=self._environment
        )
        rendered = Rendered(parse(manifests))
        for each in rendered.of_kind("Secret"):
            # Helm marks what is its own, and refuses what is somebody else's.
            owner = {"meta.helm.sh/release-name": RELEASE, "meta.helm.sh/release-namespace": NAMESPACE}
            each["metadata"]["annotations"] |= owner
            self.secrets[each["metadata"]["namespace"], each["metadata"]["name"]] = each
        return rendered

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        """Return the status and the body for a path."""
        self.asked.append(path)
        if path in _DISCOVERY:
            return 200, _DISCOVERY[path]
        match path.strip("/").split("/"):
            case ["api", "v1", "namespaces", namespace, "secrets", name] if (namespace, name) in self.secrets:
                return 200, self.secrets[namespace, name]
        return 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}


@contextmanager
def fake_cluster(folder: Path) -> Iterator[FakeCluster]:
    """Run one that is empty."""

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

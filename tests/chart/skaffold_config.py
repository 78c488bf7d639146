"""The fields of skaffold.yaml that the project uses, as skaffold reads them.

Names, types and required fields are those of schema v4beta14, docs-v2/content/en/schemas in
github.com/GoogleContainerTools/skaffold 2.24.0. All other fields are refused, as skaffold refuses unknown fields.
"""

from copy import deepcopy
from typing import Annotated, Any, Literal

import msgspec
import yaml

from tests.chart.rendering import ROOT

FILE = ROOT / "skaffold.yaml"
Text = Annotated[str, msgspec.Meta(min_length=1)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class _Part(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """A part of the file."""


class Metadata(_Part):
    """The name of the configuration."""

    name: Text


class TagPolicy(_Part):
    """How images are tagged."""

    input_digest: dict[str, Any]


class LocalBuild(_Part):
    """Building by the local Docker."""

    push: bool
    use_buildkit: bool


class Docker(_Part):
    """An image's Dockerfile, relative to its context, and the stage."""

    dockerfile: Text
    target: str = ""


class SyncRule(_Part):
    """Files of the context, and the folder of the container below which they keep their paths."""

    src: Text
    dest: Text


class Sync(_Part):
    """Files that skaffold copies into containers without a new build."""

    manual: list[SyncRule]


class Artifact(_Part):
    """An image."""

    image: Text
    docker: Docker
    context: str = "."
    sync: Sync | None = None


class Build(_Part):
    """What is built."""

    tag_policy: TagPolicy
    local: LocalBuild
    artifacts: list[Artifact]


class Kustomize(_Part):
    """Directories."""

    paths: list[Text]


class Manifests(_Part):
    """The deployments beside Helm's releases."""

    kustomize: Kustomize


class Release(_Part):
    """A release of a chart that is here (`chart_path`) or elsewhere."""

    name: Text
    namespace: Text
    values_files: list[Text]
    chart_path: str = ""
    remote_chart: str = ""
    version: str = ""
    create_namespace: bool = False
    skip_build_dependencies: bool = False
    wait: bool = False
    set_value_templates: dict[str, Any] = {}
    depends_on: list[Text] = []


class HostHook(_Part):
    """A command on this machine."""

    command: list[Text]


class Hook(_Part):
    """An action before a deployment."""

    host: HostHook


class Hooks(_Part):
    """The actions before a deployment."""

    before: list[Hook]


class HelmFlags(_Part):
    """Additional flags for Helm."""

    install: list[Text]
    upgrade: list[Text]


class Helm(_Part):
    """Helm's releases."""

    releases: list[Release]
    hooks: Hooks
    flags: HelmFlags | None = None


class Kubectl(_Part):
    """The part that kubectl deploys."""

    default_namespace: str | None = None
    hooks: Hooks | None = None


class Deploy(_Part):
    """By Helm first, then by kubectl."""

    helm: Helm
    kubectl: Kubectl


class Forward(_Part):
    """A port of this machine that leads into the cluster."""

    resource_type: Literal["service"]
    resource_name: Text
    namespace: Text
    port: Port
    local_port: Port


class Container(_Part):
    """What `skaffold verify` runs."""

    name: Text
    image: Text
    command: list[Text]
    args: list[Text]


class InCluster(_Part):
    """As a Job."""

    job_manifest_path: Text


class ExecutionMode(_Part):
    """Where."""

    kubernetes_cluster: InCluster


class Verification(_Part):
    """A test of `skaffold verify`."""

    name: Text
    container: Container
    timeout: int
    execution_mode: ExecutionMode


class Patch(_Part):
    """A change to the rest of the file, as JSON Patch has it."""

    op: Literal["add", "remove", "replace"]
    path: Annotated[str, msgspec.Meta(pattern="^/")]
    value: Any = msgspec.UNSET


class Profile(_Part):
    """Named changes to the file."""

    name: Text
    patches: list[Patch]


class Config(_Part):
    """The file."""

    api_version: Literal["skaffold/v4beta14"]
    kind: Literal["Config"]
    metadata: Metadata
    build: Build
    manifests: Manifests
    deploy: Deploy
    port_forward: list[Forward]
    verify: list[Verification]
    profiles: list[Profile]

    @property
    def release(self) -> Release:
        """The release of My List."""
        [found] = [each for each in self.deploy.helm.releases if each.name == "mylist"]
        return found

    def artifact(self, image: str) -> Artifact:
        """Return what an image is built from."""
        [found] = [each for each in self.build.artifacts if each.image == image]
        return found


def load(*profiles: str) -> Config:
    """Return the configuration with profiles applied, in this order.

    Raises:
        msgspec.ValidationError: skaffold would refuse the file.
    """
    raw = yaml.safe_load(FILE.read_text())
    known = {each.name: each for each in msgspec.convert(raw, Config).profiles}
    for name in profiles:
        for patch in known[name].patches:
            _apply(raw, patch)
    return msgspec.convert(raw, Config)


def _apply(raw: Any, patch: Patch) -> None:
    """Change the value at a path. An index may only be replaced, because another profile may refer to the others."""
    *parents, last = patch.path[1:].split("/")
    for part in parents:
        raw = raw[int(part)] if isinstance(raw, list) else raw[part]
    if isinstance(raw, list) and patch.op == "add":
        assert last == "-", patch.path
        raw.append(deepcopy(patch.value))
    elif isinstance(raw, list):
        assert patch.op == "replace", patch.path
        assert int(last) < len(raw), f"{patch.path} is not there"
        raw[int(last)] = deepcopy(patch.value)
    elif patch.op == "add":
        raw[last] = deepcopy(patch.value)
    else:
        assert last in raw, f"{patch.path} is not there"
        before = raw.pop(last)
        if patch.op == "replace":
            assert patch.value != before, f"{patch.path} is so already"
            raw[last] = deepcopy(patch.value)

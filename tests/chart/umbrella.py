"""An umbrella chart that has this one as a dependency, once or under many names, and its rendered manifests."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.chart.rendering import CHART, NAMESPACE, RELEASE
from tests.chart.tools.helm import helm

_SOURCE = re.compile(r"^---\n# Source: umbrella/charts/([^/\n]+)/.*\n", re.MULTILINE)


def umbrella(folder: Path, *dependencies: Mapping[str, Any], values: Mapping[str, Any] | None = None) -> Path:
    """Write an umbrella chart with these dependencies on the chart, each as Chart.yaml has it, and its own values."""
    (folder / "charts").mkdir(parents=True)
    (folder / "charts" / "mylist").symlink_to(CHART)
    of_chart = {"name": "mylist", "version": ">=0.0.0-0"}
    chart = {"apiVersion": "v2", "name": "umbrella", "version": "1.0.0"}
    chart["dependencies"] = [{**of_chart, **each} for each in dependencies]  # type: ignore[assignment]
    (folder / "Chart.yaml").write_text(yaml.safe_dump(chart))
    (folder / "values.yaml").write_text(yaml.safe_dump(values or {}))
    return folder


def template(chart: Path, *arguments: str) -> dict[str, list[str]]:
    """Return the manifests of each dependency, by its name in the umbrella.

    Raises:
        HelmError: Helm refuses.
    """
    _, *parts = _SOURCE.split(helm("template", RELEASE, str(chart), "--namespace", NAMESPACE, *arguments))
    manifests: dict[str, list[str]] = {}
    for name, manifest in zip(parts[::2], parts[1::2], strict=True):
        manifests.setdefault(name, []).append(manifest)
    return manifests

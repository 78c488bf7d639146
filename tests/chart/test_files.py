"""The chart installs its rules, dashboards and scripts unchanged, also from a package."""

import json
import re
from collections.abc import Iterator
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
from tests.observability.rules import promtool

FILES = CHART / "files"
RULES = {path.stem: values(path) for path in (FILES / "rules").glob("*.yaml")}
RUNBOOKS = "https://git.ott.example/mylist/blob/main"


def rules(case_name: str) -> dict[str, Any]:
    """Return the groups of each PrometheusRule, by its name without the name of the release."""
    made = rendered_case(case_name).of_kind("PrometheusRule")
    prefix = rendered_case(case_name).deployment()["metadata"]["name"]
    return {each["metadata"]["name"].removeprefix(f"{prefix}-"): each["spec"] for each in made}


def test_the_chart_has_no_symbolic_links() -> None:
    assert not [
        path for path in CHART.rglob("*") if path.is_symlink()
    ]  # not every tool follows a link out of the chart


def of_rules(groups: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return every rule of every group of every file."""
    return (rule for name in sorted(groups) for group in groups[name]["groups"] for rule in group["rules"])


def changed(**how: Any) -> dict[str, Any]:
    """Return the groups of each PrometheusRule that these values render."""
    made = render(prometheusRule__enabled=True, **{f"prometheusRule__{name}": value for name, value in how.items()})
    return {
        each["metadata"]["name"].removeprefix(f"{RELEASE}-"): each["spec"] for each in made.of_kind("PrometheusRule")
    }


MONITORS = ("serviceMonitor", "mongodb.exporter.serviceMonitor", "redis.exporter.serviceMonitor")
EXPORTERS = {"mongodb.exporter.enabled": True, "redis.exporter.enabled": True}
# All objects for Prometheus and Grafana, in the namespaces that their operators watch.
WATCHED = {
    **EXPORTERS,
    "prometheusRule": {"enabled": True, "namespace": "monitoring", "annotations": {"a": "b"}},
    "dashboards": {"enabled": True, "namespace": "grafana"},
    **{of: {"enabled": True, "namespace": "monitoring", "annotations": {"a": "b"}} for of in MONITORS},
}


class TestMonitors:
    @pytest.mark.parametrize("of", MONITORS)
    def test_append_the_given_relabelings_and_set_the_given_limits(self, of: str) -> None:
        given = {
            "enabled": True,
            "interval": "1m",
            "scrapeTimeout": "20s",
            "sampleLimit": 2000000,
            "relabelings": [{"targetLabel": "cluster", "replacement": "eu"}],
            "metricRelabelings": [{"action": "drop", "sourceLabels": ["__name__"], "regex": "go_.*"}],
        }
        [monitor] = render({**EXPORTERS, of: given}).of_kind("ServiceMonitor")
        [endpoint] = monitor["spec"]["endpoints"]

        assert monitor["spec"]["sampleLimit"] == 2000000
        assert (endpoint["interval"], endpoint["scrapeTimeout"]) == ("1m", "20s")
        assert endpoint["relabelings"][0]["targetLabel"] == "job"
        assert endpoint["relabelings"][1:] == given["relabelings"]
        assert endpoint["metricRelabelings"] == given["metricRelabelings"]


class TestRules:
    def test_are_installed_unchanged(self) -> None:
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

    def test_link_to_runbooks_in_the_configured_repository(self) -> None:
        text = json.dumps(RULES).replace('"runbook_url": "', f'"runbook_url": "{RUNBOOKS}/')

        assert rules("prod") == json.loads(text)

    @pytest.mark.parametrize("url", [RUNBOOKS, f"{RUNBOOKS}/"])
    def test_accept_the_runbook_url_with_or_without_a_trailing_slash(self, url: str) -> None:
        made = render(prometheusRule__enabled=True, prometheusRule__runbookUrl=url).of_kind("PrometheusRule")
        urls = {
            rule["annotations"]["runbook_url"]
            for each in made
            for group in each["spec"]["groups"]
            for rule in group["rules"]
            if "alert" in rule
        }

        assert all(each.startswith(f"{RUNBOOKS}/observability/runbooks/MyList") for each in urls)

    def test_every_alert_can_be_disabled(self) -> None:
        names = sorted({rule["alert"] for rule in of_rules(RULES) if "alert" in rule})
        left = changed(alerts={name: {"enabled": False} for name in names})

        assert len(names) > 35
        assert [rule for rule in of_rules(left) if "alert" in rule] == []
        assert [*of_rules(left)] == [rule for rule in of_rules(RULES) if "record" in rule]
        assert set(left) == {"slo"}  # no PrometheusRule is empty

    def test_disabling_an_alert_leaves_the_others_unchanged(self) -> None:
        left = changed(alerts={"MyListVersionSkew": {"enabled": False}, "MyListDown": {"enabled": True}})

        gone = [rule for rule in of_rules(RULES) if rule not in [*of_rules(left)]]
        assert [rule["alert"] for rule in gone] == ["MyListVersionSkew"]
        assert sum(1 for _ in of_rules(left)) == sum(1 for _ in of_rules(RULES)) - 1

    @pytest.mark.parametrize(
        ("change", "of_rule"),
        [
            ({"for": "1h30m"}, {"for": "1h30m"}),
            ({"severity": "critical"}, {"labels": {"severity": "critical"}}),
            ({"labels": {"team": "lists"}}, {"labels": {"severity": "ticket", "team": "lists"}}),
            ({"threshold": 0.75}, {"expr": 0.75}),
            ({"threshold": 2}, {"expr": 2}),
            ({"threshold": 1000000}, {"expr": 1000000}),
            (
                {
                    "threshold": None,
                    "for": None,
                    "severity": None,
                    "enabled": None,
                    "labels": None,
                    "annotations": None,
                },
                {},
            ),
            (None, {}),
        ],
        ids=str,
    )
    def test_duration_severity_labels_and_threshold_of_an_alert_can_be_changed(
        self, change: dict[str, Any] | None, of_rule: dict[str, Any]
    ) -> None:
        [plain] = [each for each in of_rules(RULES) if each.get("alert") == "MyListRedisMemoryNearLimit"]
        [made] = [
            each
            for each in of_rules(changed(alerts={"MyListRedisMemoryNearLimit": change}))
            if each.get("alert") == "MyListRedisMemoryNearLimit"
        ]
        if "expr" in of_rule:
            of_rule = {"expr": plain["expr"].replace("> 0.9", f"> {of_rule['expr']}")}

        assert {**made, "expr": made["expr"].strip()} == {
            **plain,
            **of_rule,
            "expr": {**plain, **of_rule}["expr"].strip(),
        }

    def test_a_threshold_replaces_the_number_at_the_end_of_the_expression(self) -> None:
        ends = {
            rule["alert"]: found[1]
            for rule in of_rules(RULES)
            if "alert" in rule and (found := re.search(r"[<>]=? ([\d.]+)\s*$", rule["expr"])) and float(found[1])
        }
        made = {
            rule.get("alert"): rule for rule in of_rules(changed(alerts={name: {"threshold": 77} for name in ends}))
        }

        assert len(ends) > 15
        assert [name for name in ends if not re.search(r"[<>]=? 77\s*$", made[name]["expr"])] == []

    def test_severities_labels_and_annotations_of_all_alerts_can_be_changed(self) -> None:
        made = changed(
            severities={"page": "critical"},
            alertLabels={"team": "lists", "severity_of": "mylist"},
            alertAnnotations={"dashboard": "https://grafana.example"},
            alerts={"MyListDown": {"labels": {"team": "sre"}, "annotations": {"summary": "Down"}}},
        )
        for plain, rule in zip(of_rules(RULES), of_rules(made), strict=True):
            if "alert" in plain:
                down = rule["alert"] == "MyListDown"
                named = {"page": "critical"}.get(plain["labels"]["severity"], plain["labels"]["severity"])
                assert rule["labels"] == {
                    **plain["labels"],
                    "severity": named,
                    "severity_of": "mylist",
                    "team": "sre" if down else "lists",
                }
                assert rule["annotations"]["dashboard"] == "https://grafana.example"
                assert rule["annotations"]["description"] == plain["annotations"]["description"]
                assert (rule["annotations"]["summary"] == "Down") is down
            else:
                assert rule == plain

    @pytest.mark.extended
    def test_stay_valid_for_promtool_after_changes(self, tmp_path: Path) -> None:
        names = {rule["alert"] for rule in of_rules(RULES) if "alert" in rule}
        made = changed(
            severities={"page": "critical", "ticket": "warning"},
            alertLabels={"a": "{{ $labels.job }}"},
            alerts={name: {"for": "3m", "annotations": {"b": 'it\'s "so": {{ $value }}'}} for name in names},
        )
        for name, spec in made.items():
            path = tmp_path / f"{name}.yaml"
            path.write_text(yaml.safe_dump(spec))
            promtool("check", "rules", str(path))

    def test_rules_monitors_and_dashboards_are_created_in_the_configured_namespaces(self) -> None:
        rendered = render(WATCHED)
        moved = rendered.of_kind("PrometheusRule", "ServiceMonitor")

        assert len(moved) == len(RULES) + 3
        for each in moved:
            assert each["metadata"]["namespace"] == "monitoring"
            assert each["metadata"]["annotations"] == {"a": "b"}
        for each in rendered.of_kind("ServiceMonitor"):
            assert each["spec"]["namespaceSelector"] == {"matchNames": [NAMESPACE]}
        dashboards = [each for each in rendered.of_kind("ConfigMap") if "dashboard" in each["metadata"]["name"]]
        assert {each["metadata"]["namespace"] for each in dashboards} == {"grafana"}
        assert {each["metadata"]["namespace"] for each in rendered.objects} == {NAMESPACE, "monitoring", "grafana"}

    def test_match_the_jobs_and_the_container_of_the_release(self) -> None:
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
    def test_are_installed_unchanged(self) -> None:
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
    def test_renders_the_same_objects_as_the_chart(self, package: Path, name: str) -> None:
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
def test_notes_have_no_template_text_and_warn_only_in_the_minimal_case(name: str) -> None:
    said = helm(
        *("install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--dry-run=client", "--values", str(case(name)))
    )
    notes = said.partition("NOTES:")[2]

    assert notes.strip()
    assert "<no value>" not in notes
    assert "{{" not in notes
    assert ("WARNING" in notes) is (name == "minimal")


def test_extra_objects_are_rendered_as_templates() -> None:
    rendered = render(
        extraObjects=["apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}-x'}\ndata: {}"]
    )

    assert rendered.one("ConfigMap", "mylist-x")


def test_other_values_are_not_rendered_as_templates() -> None:
    rendered = render({"settings.corsOrigins": "{{ .Release.Name }}"})

    assert rendered.configuration()["CORS_ORIGINS"] == "{{ .Release.Name }}"
    assert yaml.safe_load(json.dumps(rendered.configuration()))

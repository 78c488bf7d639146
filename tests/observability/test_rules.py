"""Recording rules, alerts and runbooks: each alert fires in one test and not in another, and has a runbook."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mylist.cache.health import RedisState
from mylist.config.settings import explain
from tests.observability import recorded
from tests.observability.rules import (
    FOLDER,
    ROOT,
    RULE_FILES,
    RUNBOOKS,
    TEST_FILES,
    alert_tests,
    as_rules,
    documented,
    documented_words,
    load,
    matchers,
    metrics,
    promql,
    promtool,
    rules,
)

ALERTS = rules("alert")
RECORDED = [rule["record"] for rule in rules("record")]
LOOKS = alert_tests()
NAMES = sorted({alert["alert"] for alert in ALERTS})
METRICS = documented()
WORDS = documented_words()
# The limit of rules in one group in a ruler of Mimir or Cortex, by default.
MOST_IN_GROUP = 20
CLUSTERS = ("eu", "us")
OF_ONE_CLUSTER = [path for path in TEST_FILES if path.name != "clusters.yaml"]
OBJECTIVES = ("availability", "cached_reads", "reads", "writes")
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d")
BURNS = {
    ("14.4", "1h", "5m", "page"),
    ("6", "6h", "30m", "page"),
    ("3", "1d", "2h", "ticket"),
    ("1", "3d", "6h", "ticket"),
}

OF_PROMETHEUS = {"up"}
# Metrics of the Python client, which are not in the table of docs/metrics.md.
OF_LIBRARY = {
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "python_gc_objects_uncollectable_total",
}
# oliver006/redis_exporter
OF_REDIS = {
    "redis_connected_slaves",
    "redis_evicted_keys_total",
    "redis_master_link_up",
    "redis_memory_max_bytes",
    "redis_memory_used_bytes",
    "redis_rejected_connections_total",
    "redis_up",
}
# kube-state-metrics, cAdvisor and percona/mongodb_exporter
OF_OTHERS = recorded.labels("kubernetes") | recorded.labels("mongodb")
FOREIGN = OF_PROMETHEUS | OF_LIBRARY | OF_REDIS | OF_OTHERS.keys()
TARGET_LABELS = {"cluster", "job", "namespace", "instance", "pod"}

_BLOCK = re.compile(r"^ *```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`]+)`")
_COMMAND = re.compile(
    r"(?:kubectl|helm|redis-cli|mongosh|make|mylist|rollout|grep|config set)\b|\w+(?:\.\w+)*\(|sum by "
)
_LOG_SEARCH = re.compile(
    r"(?:kubectl [^|\n]*logs (?!\"\$REPLICA)|mylist config)[^|\n]*\| grep (?:-\w+ )*(\"[^\"]+\"|'[^']+'|\w+)"
)
_SHELL_VARIABLE = re.compile(r"\$([A-Z][A-Z_]*)\b")
_VARIABLE_ROW = re.compile(r"^\| ((?:`[A-Z_]+`(?:, )?)+) \|", re.MULTILINE)
_GLUED_ITEM = re.compile(r"[.:;)`] (?:-|\d\.) [A-Z`*\"]|[.:;)`] -$", re.MULTILINE)
# Phrases from the logs of other programs, and settings, expressions and fields of other programs.
OF_OTHER_PROGRAMS = {
    "too stale",
    "E11000 duplicate key error",
    'level":"error',  # the form of a line, not its text
    "client-output-buffer-limit replica",
    "votes: 0, priority: 0",
    "userId, addedAt, contentId, contentType",
}


def prose(text: str) -> str:
    """Return a runbook without its code blocks."""
    return _BLOCK.sub("", text)


def quoted_log_texts(text: str) -> set[str]:
    """Return what a runbook quotes from the log of the service, or searches for in it."""
    searched = {
        part for each in _LOG_SEARCH.findall(text) for part in re.sub(r"\((.*)\)", "", each.strip("\"'")).split("|")
    }
    spans = {" ".join(span.split()) for span in _SPAN.findall(prose(text))}
    quoted = {span for span in spans if " " in span and not _COMMAND.match(span) and "{" not in span}
    return (searched | quoted) - OF_OTHER_PROGRAMS


def service_texts() -> str:
    """Return all texts in the code of the service, without numbers; the variable parts of each are `…`."""
    found = [f"is {state.value}" for state in RedisState] + [each.variable for each in explain()]
    for path in (ROOT / "service" / "mylist").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                found.append(
                    "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return without_numbers("\0".join(found))


def without_numbers(text: str) -> str:
    return re.sub(r"%[sdg]|\d+", "…", text)


def called(alert: dict[str, Any]) -> str:
    return " ".join([alert["alert"], *alert["labels"].values()])


def of_alerts(argument: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(argument, ALERTS, ids=called)


def check_expression(expression: str) -> None:
    """Check that every metric exists, and every label and value by which the expression selects it."""
    assert metrics(expression) <= METRICS.keys() | FOREIGN | set(RECORDED)
    for metric, label, values in matchers(expression):
        if metric in OF_OTHERS:
            assert label in OF_OTHERS[metric] | TARGET_LABELS, metric
        if metric not in METRICS:
            continue
        assert label in METRICS[metric] | TARGET_LABELS | ({"le"} if metric.endswith("_bucket") else set()), metric
        if label in METRICS[metric] and not label.startswith("http_"):
            assert set(values) <= WORDS, f"{metric} has no {label} of these: {values}"


def mixing_clusters(expression: str) -> list[str]:
    """Return the aggregations and matchings of an expression that mix clusters; `on ()` matches all on purpose."""
    aggregated = re.findall(r"\b(?:sum|min|max|avg|count|group|topk|quantile)\b(?! by \()[^(]*\(", expression)
    return aggregated + re.findall(r"\b(?:by|on) \((?!cluster\b|\))[^)]*\)|\b(?:without|ignoring)\b", expression)


def double(test: dict[str, Any]) -> None:
    """Change a test of one cluster into a test of two clusters in which the same happens."""
    test["input_series"] = [
        {**each, "series": each["series"].replace("{", f'{{cluster="{cluster}", ', 1)}
        for each in test["input_series"]
        for cluster in CLUSTERS
    ]
    for look in test.get("alert_rule_test", []):
        look["exp_alerts"] = [
            {**each, "exp_labels": {**each["exp_labels"], "cluster": cluster}} if cluster else each
            for each in look["exp_alerts"]
            # A target that was never scraped has no cluster or namespace.
            for cluster in (CLUSTERS if "namespace" in each["exp_labels"] else ("",))
        ]
    for look in test.get("promql_expr_test", []):
        look["exp_samples"] = [
            {**each, "labels": each["labels"].replace("{", f'{{cluster="{cluster}", ', 1)}
            for each in look["exp_samples"]
            for cluster in CLUSTERS
        ]


class TestRules:
    @pytest.mark.extended
    @pytest.mark.parametrize("path", RULE_FILES, ids=lambda path: path.name)
    def test_are_accepted_by_promtool(self, path: Path) -> None:
        promtool("check", "rules", str(path))

    @pytest.mark.extended
    @pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: path.name)
    def test_pass_their_rule_tests(self, path: Path) -> None:
        promtool("test", "rules", str(path))

    def test_have_tests(self) -> None:
        tested = {(path.parent / name).resolve() for path in TEST_FILES for name in load(path)["rule_files"]}

        assert tested == set(RULE_FILES)

    @pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: path.name)
    def test_are_tested_only_with_labels_that_the_exporters_have(self, path: Path) -> None:
        given = [each["series"] for test in load(path)["tests"] for each in test["input_series"]]

        for metric, label, _ in (matcher for series in given for matcher in matchers(series)):
            if metric in OF_OTHERS:
                assert label in OF_OTHERS[metric] | TARGET_LABELS, metric

    @pytest.mark.parametrize("rule", [*rules("record"), *ALERTS], ids=lambda rule: rule.get("record") or called(rule))
    def test_use_only_existing_metrics_labels_and_values(self, rule: dict[str, Any]) -> None:
        check_expression(rule["expr"])

    def test_record_the_objectives_over_every_window(self) -> None:
        ratios = [name for name in RECORDED if "error_ratio" in name]

        assert ratios == [
            f"slo:mylist_{objective}:error_ratio_rate{window}" for objective in OBJECTIVES for window in WINDOWS
        ]

    def test_groups_are_within_the_limit_of_a_ruler(self) -> None:
        groups = [group for path in RULE_FILES for group in load(path)["groups"]]

        assert len(groups) == len({group["name"] for group in groups})
        assert [group["name"] for group in groups if len(group["rules"]) > MOST_IN_GROUP] == []


class TestSeveralClusters:
    """One Prometheus may scrape several clusters. They differ in the label `cluster`; a single cluster has no label."""

    @pytest.mark.parametrize("rule", [*rules("record"), *ALERTS], ids=lambda rule: rule.get("record") or called(rule))
    def test_no_rule_mixes_them(self, rule: dict[str, Any]) -> None:
        assert not mixing_clusters(rule["expr"])

    @pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
    def test_no_runbook_mixes_them(self, path: Path) -> None:
        assert [query for query in promql(path) if mixing_clusters(query)] == []

    @pytest.mark.extended
    @pytest.mark.parametrize("path", OF_ONE_CLUSTER, ids=lambda path: path.name)
    def test_rule_tests_of_one_cluster_also_pass_with_two(self, path: Path, tmp_path: Path) -> None:
        tests = load(path)
        tests["rule_files"] = [str((path.parent / name).resolve()) for name in tests["rule_files"]]
        for test in tests["tests"]:
            double(test)
        doubled = tmp_path / path.name
        doubled.write_text(yaml.safe_dump(tests, width=10_000))

        promtool("test", "rules", str(doubled))


class TestAlerts:
    @of_alerts("alert")
    def test_fire_in_one_test_and_stay_silent_in_another(self, alert: dict[str, Any]) -> None:
        looks = [look["exp_alerts"] for look in LOOKS if look["alertname"] == alert["alert"]]
        fired = [each["exp_labels"] for look in looks for each in look]

        assert any(alert["labels"].items() <= labels.items() for labels in fired), "no test shows it"
        assert [] in looks, "no test shows that it can keep quiet"

    @of_alerts("alert")
    def test_have_a_severity_a_summary_and_a_description(self, alert: dict[str, Any]) -> None:
        assert alert["labels"]["severity"] in {"page", "ticket"}
        assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
        assert not alert["annotations"]["summary"].endswith(".")
        assert alert["annotations"]["description"].endswith(".")

    @of_alerts("alert")
    def test_lead_to_their_runbooks(self, alert: dict[str, Any]) -> None:
        assert alert["annotations"]["runbook_url"] == f"observability/runbooks/{alert['alert']}.md"

    @pytest.mark.parametrize("objective", OBJECTIVES)
    def test_exist_for_four_burn_rates_of_each_objective(self, objective: str) -> None:
        burns = set()
        for alert in ALERTS:
            if alert["labels"].get("slo") == objective:
                long, short = re.findall(rf"slo:mylist_{objective}:error_ratio_rate(\w+) > ([\d.]+) \* ", alert["expr"])
                assert long[1] == short[1] == alert["labels"]["burn"]
                burns.add((long[1], long[0], short[0], alert["labels"]["severity"]))

        assert burns == BURNS


@pytest.fixture(scope="module")
def texts_of_service() -> str:
    return service_texts()


class TestRunbooks:
    def test_there_is_one_for_each_alert_and_no_other(self) -> None:
        assert [path.name for path in RUNBOOKS] == [f"{name}.md" for name in NAMES]

    @pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
    def test_have_the_four_parts(self, path: Path) -> None:
        title, *parts = re.split(r"^## ", path.read_text(), flags=re.MULTILINE)

        assert title == f"# {path.stem}\n\n"
        assert [part.partition("\n")[0] for part in parts] == ["Meaning", "Impact", "Diagnosis", "Mitigation"]
        assert all(part.partition("\n")[2].strip() for part in parts)

    @pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
    def test_refer_only_to_existing_files_metrics_and_labels(self, path: Path) -> None:
        text = path.read_text()

        assert all((path.parent / link).exists() for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text))
        assert all((ROOT / "docs" / name).exists() for name in re.findall(r"docs/([\w/]+\.md)", text))
        for query in promql(path):
            check_expression(query)

    @pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
    def test_quote_only_log_lines_that_the_service_writes(self, path: Path, texts_of_service: str) -> None:
        for quoted in quoted_log_texts(path.read_text()):
            parts = [part.strip(" ;:,.'") for part in without_numbers(quoted).split("…")]
            assert [part for part in parts if part not in texts_of_service] == [], quoted

    @pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
    def test_say_where_the_variables_of_their_commands_are_explained(self, path: Path) -> None:
        text, readme = path.read_text(), (FOLDER / "README.md").read_text()
        used = set(_SHELL_VARIABLE.findall(text))

        assert used <= {name for row in _VARIABLE_ROW.findall(readme) for name in _SPAN.findall(row)}
        assert ("(../README.md#variables-of-the-runbooks)" in text) is bool(used)

    @pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
    def test_can_be_read_and_copied_as_plain_text(self, path: Path) -> None:
        """Each item begins a line, and no line break divides a command."""
        text = prose(path.read_text())

        assert _GLUED_ITEM.findall(text) == []
        assert [span for span in _SPAN.findall(text) if "\n" in span] == []

    @pytest.mark.extended
    def test_queries_are_promql(self, tmp_path: Path) -> None:
        queries = [query for path in RUNBOOKS for query in promql(path)]

        assert queries
        promtool("check", "rules", str(as_rules(queries, tmp_path)))


def test_rules_and_prometheus_use_the_same_job_names() -> None:
    in_rules = {
        value
        for rule in [*rules("record"), *ALERTS]
        for _, label, values in matchers(rule["expr"])
        for value in values
        if label == "job"
    }
    scraped = {each["job_name"] for each in load(FOLDER / "prometheus.yaml")["scrape_configs"]}

    # Compose has one MongoDB server, which `mylist events` cannot follow.
    assert in_rules == scraped | {"mylist-events"}

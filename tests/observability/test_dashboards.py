"""The dashboards are the generated ones, are readable without the code, and query only what exists."""

import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from observability.dashboards import build
from tests.observability import recorded
from tests.observability.dashboards import dashboards, expressions, panels

ROOT = Path(__file__).parents[2]
DASHBOARDS = dashboards()
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

# Labels that Prometheus adds to every series that it scrapes.
OF_TARGET = {"cluster", "job", "instance", "namespace", "pod"}
OBJECTIVE = re.compile(
    r"slo:mylist_(availability|cached_reads|reads|writes):error_ratio_rate(5m|30m|1h|2h|6h|1d|3d|30d)"
)
FOREIGN = re.compile(r"up$|(process|python|redis)_")
RECORDED = recorded.labels("kubernetes") | recorded.labels("mongodb")

SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\{([^{}]*)\}")
MATCHER = re.compile(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"')
AGGREGATION = re.compile(r"\b(?:sum|min|max|avg|count)(?: by \(([^)]*)\) )?\(")
GROUPING = re.compile(r"\b(?:by|on|group_right) \([^)]*\)")


class Documented(NamedTuple):
    """A metric of docs/metrics.md: its labels, and the words in code style in its meaning."""

    labels: set[str]
    words: set[str]


def documented() -> dict[str, Documented]:
    """Return every metric of docs/metrics.md under the names that Prometheus has for it."""
    table = (ROOT / "docs/metrics.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\| (.*) \|$", table, re.MULTILINE)
    names: dict[str, Documented] = {}
    for name, kind, labels, meaning in rows:
        metric = Documented(set(re.findall(r"`(\w+)`", labels)), set(re.findall(r"`(\w+)`", meaning)))
        if kind == "histogram":
            names |= {f"{name}_sum": metric, f"{name}_count": metric}
            names[f"{name}_bucket"] = Documented(metric.labels | {"le"}, metric.words)
        else:
            names[name] = metric
    return names


METRICS = documented()


def selectors(expression: str) -> list[tuple[str, str]]:
    """Return the metrics that an expression selects, each with its matchers."""
    return SELECTOR.findall(expression)


PLACE = {'cluster=~"$cluster"', 'namespace=~"$namespace"'}
OF_SERVICE = PLACE | {'job=~"$job"', 'pod=~"$pod"'}


def needed(metric: str) -> set[str]:
    """Return the matchers that every selector of a metric needs, so that it selects only what the reader chose."""
    if metric.startswith("mylist_events_"):  # another process exports it, with one pod
        return PLACE | {'job="mylist-events"'}
    match metric.partition("_")[0]:
        case "kube" | "container":
            return PLACE
        case "mongodb" | "redis" as store:
            return PLACE | {f'job=~"${store}_job"'}
        case objective if objective.startswith("slo:"):
            return OF_SERVICE - {'pod=~"$pod"'}  # recorded for all pods together
        case _:
            return OF_SERVICE


def aggregations(expression: str) -> Iterator[tuple[set[str], str, int]]:
    """Yield, for each aggregation, the labels that it keeps, its argument, and its end."""
    for found in AGGREGATION.finditer(expression):
        end, depth = found.end(), 1
        while depth:
            depth += {"(": 1, ")": -1}.get(expression[end], 0)
            end += 1
        yield set(re.findall(r"\w+", found[1] or "")), expression[found.end() : end - 1], end


def labels_of_result(expression: str) -> set[str]:
    """Return the labels that distinguish the series of an expression: those that its outermost aggregations keep."""
    labels: set[str] = set()
    end = 0
    for kept, argument, ends in aggregations(expression):
        if ends > end:  # not within the one before
            labels |= kept
            expression = expression.replace(argument, " " * len(argument))
            end = ends
    assert not selectors(expression), "nothing aggregates it"
    return labels


def everything(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in a JSON value, at any depth."""
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from everything(each)
    elif isinstance(value, list):
        for each in value:
            yield from everything(each)


@pytest.fixture(params=list(DASHBOARDS))
def dashboard(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each of the dashboards."""
    return DASHBOARDS[request.param]


def asked(dashboard: dict[str, Any]) -> list[tuple[str, str]]:
    """Return every expression of a dashboard, with the title of its panel."""
    return [(panel["title"], target["expr"]) for panel in panels(dashboard) for target in panel["targets"]]


class TestFiles:
    def test_are_the_ones_generated(self) -> None:
        generated = build.files()

        assert {path.name for path in generated} == set(DASHBOARDS)
        for path, content in generated.items():
            assert path.read_text(encoding="utf-8") == content, "run .venv/bin/python -m observability.dashboards.build"

    def test_have_the_uids_that_other_files_refer_to(self) -> None:
        assert {name: each["uid"] for name, each in DASHBOARDS.items()} == {
            "service.json": "mylist-service",
            "dependencies.json": "mylist-dependencies",
            "load-test.json": "mylist-load-test",
        }


class TestDashboard:
    def test_opens_with_live_data_in_the_time_zone_of_the_reader(self, dashboard: dict[str, Any]) -> None:
        assert (dashboard["timezone"], dashboard["refresh"]) == ("browser", "30s")
        assert re.fullmatch(r"now-\d+[mh]", dashboard["time"]["from"])
        assert dashboard["time"]["to"] == "now"

    def test_is_for_grafana_11_and_not_editable(self, dashboard: dict[str, Any]) -> None:
        assert dashboard["schemaVersion"] >= 39
        assert dashboard["editable"] is False
        assert "id" not in dashboard  # Grafana assigns it

    def test_links_to_the_others_and_keeps_the_variables_and_the_time(self, dashboard: dict[str, Any]) -> None:
        [link] = dashboard["links"]

        assert (link["type"], link["tags"]) == ("dashboards", dashboard["tags"])
        assert dashboard["tags"] == ["mylist"]
        assert link["includeVars"]
        assert link["keepTime"]
        assert "placement" not in link  # which would put it into a menu
        assert not [each for each in everything(dashboard) if each.get("url")]

    def test_uses_only_the_datasource_that_the_reader_chooses(self, dashboard: dict[str, Any]) -> None:
        first = dashboard["templating"]["list"][0]
        named = [each["datasource"] for each in everything(dashboard) if "datasource" in each]
        ought = [*panels(dashboard), *(target for panel in panels(dashboard) for target in panel["targets"])]

        assert (first["name"], first["type"], first["query"]) == ("datasource", "datasource", "prometheus")
        assert all(each == DATASOURCE for each in named)
        assert all("datasource" in each for each in ought)

    def test_variables_select_all_values_by_default(self, dashboard: dict[str, Any]) -> None:
        choices = {each["name"]: each for each in dashboard["templating"]["list"][1:]}

        assert list(choices)[:4] == ["cluster", "namespace", "job", "pod"]
        for choice in choices.values():
            assert choice["label"]
            assert choice["datasource"] == DATASOURCE
            assert choice["refresh"] == 2
            assert choice["includeAll"]
            assert choice["multi"]
            assert choice["current"]["value"] == ["$__all"]

    def test_includes_series_without_cluster_namespace_or_pod_labels_but_not_of_other_jobs(
        self, dashboard: dict[str, Any]
    ) -> None:
        everywhere = {each["name"]: each.get("allValue") for each in dashboard["templating"]["list"]}

        assert (
            everywhere["cluster"] == everywhere["namespace"] == everywhere["pod"] == ".*"
        )  # also matches series without the label
        assert everywhere["job"] is None  # all means the jobs that Grafana finds

    def test_variables_offer_only_values_of_the_chosen_cluster(self, dashboard: dict[str, Any]) -> None:
        first, *others = (each["query"] for each in dashboard["templating"]["list"][1:])

        assert first == "label_values(mylist_build_info, cluster)"
        assert [query for query in others if 'cluster=~"$cluster"' not in query] == []

    def test_defines_exactly_the_variables_that_it_uses(self, dashboard: dict[str, Any]) -> None:
        choices = {each["name"] for each in dashboard["templating"]["list"]}
        used = set(re.findall(r"\$\{?(\w+)", str(dashboard))) - {"__all", "__rate_interval"}

        assert used == choices

    def test_panel_ids_are_unique(self, dashboard: dict[str, Any]) -> None:
        ids = [panel["id"] for panel in dashboard["panels"]]

        assert len(set(ids)) == len(ids)

    def test_panel_titles_are_unique(self, dashboard: dict[str, Any]) -> None:
        titles = [panel["title"] for panel in dashboard["panels"]]

        assert len(set(titles)) == len(titles)

    def test_no_panel_overlaps_another_or_exceeds_the_grid(self, dashboard: dict[str, Any]) -> None:
        places = [(panel["title"], panel["gridPos"]) for panel in dashboard["panels"]]

        for title, place in places:
            assert place["x"] >= 0, title
            assert place["x"] + place["w"] <= 24, title
        for (one, a), (other, b) in combinations(places, 2):
            beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
            above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
            assert beside or above, f"{one}, {other}"


class TestPanel:
    def test_has_a_title_a_description_and_a_unit(self, dashboard: dict[str, Any]) -> None:
        for panel in panels(dashboard):
            assert panel["title"].strip(), panel["id"]
            assert panel["description"].endswith("."), panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]

    def test_has_queries_with_unique_names(self, dashboard: dict[str, Any]) -> None:
        for panel in panels(dashboard):
            names = [target["refId"] for target in panel["targets"]]
            assert names, panel["title"]
            assert len(set(names)) == len(names), panel["title"]

    def test_legend_distinguishes_the_series(self, dashboard: dict[str, Any]) -> None:
        for panel in panels(dashboard):
            for target in panel["targets"]:
                labels = labels_of_result(target["expr"])
                if panel["type"] != "heatmap":  # whose series are the buckets
                    labels -= {"le"}
                assert target["legendFormat"].strip(), panel["title"]
                assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) == labels, panel["title"]

    def test_heatmaps_show_exemplars(self, dashboard: dict[str, Any]) -> None:
        for panel in panels(dashboard):
            if panel["type"] == "heatmap":
                assert all(target["exemplar"] for target in panel["targets"]), panel["title"]


class TestExpression:
    def test_distinguishes_the_clusters(self, dashboard: dict[str, Any]) -> None:
        """Except in a heatmap: its series are the buckets of all chosen clusters together."""
        for panel in panels(dashboard):
            for target in panel["targets"] if panel["type"] != "heatmap" else ():
                assert "cluster" in labels_of_result(target["expr"]), panel["title"]
                for grouping in GROUPING.findall(target["expr"]):
                    assert "cluster" in grouping or grouping == "group_right ()", panel["title"]

    def test_rates_and_increases_use_the_rate_interval_of_grafana(self, dashboard: dict[str, Any]) -> None:
        for title, expression in asked(dashboard):
            assert set(re.findall(r"\[([^]]*)\]", expression)) <= {"$__rate_interval"}, title
            assert len(re.findall(r"\b(?:rate|increase)\(", expression)) == expression.count("["), title

    def test_uses_counters_only_in_rates_or_increases(self, dashboard: dict[str, Any]) -> None:
        for title, expression in asked(dashboard):
            for selector in SELECTOR.finditer(expression):
                if selector[1].endswith(("_total", "_count", "_sum", "_bucket")):
                    assert expression[: selector.start()].endswith(("rate(", "increase(")), title

    def test_filters_every_metric_by_the_chosen_values(self, dashboard: dict[str, Any]) -> None:
        for title, expression in asked(dashboard):
            assert selectors(expression), title
            for metric, matchers in selectors(expression):
                assert needed(metric) <= set(matchers.split(",")), f"{title}: {metric}"

    def test_every_metric_has_a_selector(self, dashboard: dict[str, Any]) -> None:
        for title, expression in asked(dashboard):
            rest = re.sub(r"\[[^]]*\]", "", GROUPING.sub("", SELECTOR.sub("", expression)))
            assert set(re.findall(r"\b[a-zA-Z_:][\w:]*\b(?! *\()", rest)) <= {"and", "or"}, title

    def test_uses_only_existing_metrics(self, dashboard: dict[str, Any]) -> None:
        for title, expression in asked(dashboard):
            for metric, _ in selectors(expression):
                known = metric in METRICS or metric in RECORDED or FOREIGN.match(metric)
                assert known or OBJECTIVE.fullmatch(metric), f"{title}: {metric}"

    def test_selects_only_by_existing_labels_and_values(self, dashboard: dict[str, Any]) -> None:
        for title, expression in asked(dashboard):
            for metric, matchers in selectors(expression):
                assert ",".join(each[0] for each in MATCHER.finditer(matchers)) == matchers, title
                if metric in RECORDED:
                    assert {label for label, _ in MATCHER.findall(matchers)} <= RECORDED[metric] | OF_TARGET, title
                for label, value in MATCHER.findall(matchers) if metric in METRICS else ():
                    assert label in METRICS[metric].labels | OF_TARGET, f"{title}: {metric} has no {label}"
                    if label not in OF_TARGET and not label.startswith(
                        "http_"
                    ):  # the document does not list their values
                        assert set(value.split("|")) <= METRICS[metric].words, f"{title}: {metric} is never {value}"

    def test_groups_only_by_existing_labels(self, dashboard: dict[str, Any]) -> None:
        for title, expression in asked(dashboard):
            found = list(aggregations(expression))
            assert sum(bool(kept) for kept, _, _ in found) == expression.count(" by "), title
            for kept, argument, _ in found:
                for metric, _ in selectors(argument):
                    if metric in METRICS:
                        assert kept <= METRICS[metric].labels | OF_TARGET, f"{title}: {metric}"
                    elif metric in RECORDED:
                        assert kept <= RECORDED[metric] | OF_TARGET, f"{title}: {metric}"
                    elif needed(metric) == OF_SERVICE:
                        assert kept <= OF_TARGET, f"{title}: {metric}"


def test_every_metric_of_the_service_is_shown() -> None:
    part = re.compile(r"_(bucket|count|sum)$")
    shown = {
        part.sub("", metric)
        for dashboard in DASHBOARDS.values()
        for _, expression in asked(dashboard)
        for metric, _ in selectors(expression)
    }

    assert METRICS
    assert {part.sub("", metric) for metric in METRICS} <= shown


def test_expressions_returns_every_query_with_its_variables_replaced() -> None:
    given = expressions()

    assert len(given) == sum(len(asked(dashboard)) for dashboard in DASHBOARDS.values())
    assert {each.dashboard for each in given} == {each["title"] for each in DASHBOARDS.values()}
    assert not [each for each in given if "$" in each.expression]
    assert any('namespace=~".*",job=~".*"' in each.expression and "[1m]" in each.expression for each in given)

"""The monitoring configuration for Compose and for a cluster: its parts fit together with the rules and dashboards."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.observability.rules import FOLDER, ROOT, RULES, as_rules, documented, load, metrics, promtool, rules

COMPOSE = load(FOLDER / "compose.yaml")["services"]
SERVICES = load(ROOT / "compose.yaml")["services"] | COMPOSE
PROMETHEUS = load(FOLDER / "prometheus.yaml")
DATASOURCES = load(FOLDER / "grafana/provisioning/datasources/datasources.yaml")["datasources"]
COLLECTOR = load(FOLDER / "collector.yaml")
STACK = load(FOLDER / "values/kube-prometheus-stack.yaml")
ADAPTER = load(FOLDER / "values/prometheus-adapter.yaml")
KEDA = load(FOLDER / "keda.yaml")
JOBS = {"mylist", "mylist-redis", "mylist-mongodb"}


def mounts(service: str) -> dict[str, Path]:
    """Return the files that a container mounts, by their paths in the container."""
    volumes = [volume.split(":") for volume in COMPOSE[service]["volumes"]]
    assert all(mode == "ro" for _, _, mode in volumes)
    return {target: (FOLDER / source).resolve() for source, target, _ in volumes}


def here(service: str, path: str) -> Path:
    """Return the file of this repository for a path in a container."""
    [(target, source)] = [each for each in mounts(service).items() if path.startswith(each[0])]
    return source / path.removeprefix(target).removeprefix("/") if path != target else source


def parts_of(value: Any) -> set[str]:
    return set(re.findall(r"MyList\w+", str(value)))


class TestCompose:
    def test_is_included_by_the_root_file_and_reuses_none_of_its_service_names(self) -> None:
        whole = load(ROOT / "compose.yaml")

        assert whole["include"] == [str(FOLDER.relative_to(ROOT) / "compose.yaml")]
        assert not whole["services"].keys() & COMPOSE.keys()

    def test_starts_these_services_only_with_the_profile_observability(self) -> None:
        assert all(service["profiles"] == ["observability"] for service in COMPOSE.values())

    def test_images_are_pinned(self) -> None:
        for service in COMPOSE.values():
            assert re.fullmatch(r"[a-z0-9-]+/[a-z_-]+:v?\d+\.\d+\.\d+", service["image"])

    def test_ports_are_on_loopback_and_unique(self) -> None:
        ports = [port for service in COMPOSE.values() for port in service.get("ports", [])]
        outside = [port.split(":")[1] for port in ports]

        assert all(port.startswith("127.0.0.1:") for port in ports)
        assert len(set(outside)) == len(outside)
        assert "3000" not in outside  # the API's

    def test_nothing_gains_privileges(self) -> None:
        for service in COMPOSE.values():
            assert service["security_opt"] == ["no-new-privileges:true"]
            assert service["cap_drop"] == ["ALL"]

    def test_no_password_is_hard_coded_except_the_development_default(self) -> None:
        for service in COMPOSE.values():
            for name, value in service.get("environment", {}).items():
                if "PASSWORD" in name:
                    assert re.fullmatch(r"\$\{[A-Z_]+_PASSWORD:-development\}", value)

    @pytest.mark.parametrize("service", [name for name, service in COMPOSE.items() if "volumes" in service])
    def test_mounted_files_exist(self, service: str) -> None:
        assert all(source.exists() for source in mounts(service).values())

    def test_exporters_reach_the_stores(self) -> None:
        addresses = [
            COMPOSE["redis-exporter"]["environment"]["REDIS_ADDR"],
            COMPOSE["mongodb-exporter"]["environment"]["MONGODB_URI"],
        ]

        assert addresses == ["redis://redis:6379", "mongodb://mongodb:27017"]
        assert {"redis", "mongodb"} <= SERVICES.keys()


class TestPrometheus:
    @pytest.mark.extended
    def test_accepts_its_configuration_and_the_rules(self, tmp_path: Path) -> None:
        configuration = tmp_path / "prometheus.yaml"
        configuration.write_bytes((FOLDER / "prometheus.yaml").read_bytes())
        (tmp_path / "rules").symlink_to(RULES)

        said = promtool("check", "config", str(configuration))

        assert said.count("rules found") == len(list(RULES.glob("*.yaml")))

    def test_finds_its_configuration_and_the_rules_where_they_are_mounted(self) -> None:
        [option] = [each for each in COMPOSE["prometheus"]["command"] if each.startswith("--config.file=")]
        path = option.partition("=")[2]

        assert here("prometheus", path) == FOLDER / "prometheus.yaml"
        for pattern in PROMETHEUS["rule_files"]:
            assert here("prometheus", f"{Path(path).parent}/{Path(pattern).parent}") == RULES

    def test_scrapes_services_of_compose(self) -> None:
        targets = {each["job_name"]: each["static_configs"][0]["targets"] for each in PROMETHEUS["scrape_configs"]}

        assert targets.keys() == JOBS
        assert {target.partition(":")[0] for [target] in targets.values()} == {
            "api",
            "redis-exporter",
            "mongodb-exporter",
        }
        assert {target.partition(":")[0] for [target] in targets.values()} <= SERVICES.keys()


class TestGrafana:
    def test_datasources_are_prometheus_and_jaeger(self) -> None:
        hosts = {each["name"]: re.fullmatch(r"http://(\w+):\d+", each["url"]) for each in DATASOURCES}

        assert {host and host[1] for host in hosts.values()} == {"prometheus", "jaeger"}
        assert [each["uid"] for each in DATASOURCES if each.get("isDefault")] == ["prometheus"]
        assert DATASOURCES[0]["jsonData"]["timeInterval"] == PROMETHEUS["global"]["scrape_interval"]

    def test_exemplars_lead_to_the_traces(self) -> None:
        [destination] = DATASOURCES[0]["jsonData"]["exemplarTraceIdDestinations"]

        assert destination == {"name": "trace_id", "datasourceUid": "traces"}
        assert "traces" in {each["uid"] for each in DATASOURCES}
        assert "--enable-feature=exemplar-storage" in COMPOSE["prometheus"]["command"]

    def test_finds_its_provisioning_folder(self) -> None:
        assert here("grafana", "/etc/grafana/provisioning") == FOLDER / "grafana/provisioning"

    def test_finds_the_dashboards(self) -> None:
        [provider] = load(FOLDER / "grafana/provisioning/dashboards/dashboards.yaml")["providers"]
        folder = here("grafana", provider["options"]["path"])

        assert {json.loads(path.read_text())["uid"] for path in folder.glob("*.json")} == {
            "mylist-service",
            "mylist-dependencies",
            "mylist-load-test",
        }
        home = COMPOSE["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
        assert json.loads(here("grafana", home).read_text())["uid"] == "mylist-service"


class TestCollector:
    def test_pipelines_use_exactly_the_configured_components(self) -> None:
        used: dict[str, set[str]] = {"receivers": set(), "processors": set(), "exporters": set()}
        for pipeline in COLLECTOR["service"]["pipelines"].values():
            for kind, names in pipeline.items():
                used[kind] |= set(names)

        assert used == {kind: set(COLLECTOR[kind]) for kind in used}

    def test_listens_where_compose_publishes_it(self) -> None:
        [port] = COMPOSE["collector"]["ports"]
        [option] = COMPOSE["collector"]["command"]

        assert COLLECTOR["receivers"]["otlp"]["protocols"]["http"]["endpoint"] == f"0.0.0.0:{port.split(':')[-1]}"
        assert here("collector", option.partition("=")[2]) == FOLDER / "collector.yaml"

    def test_exports_to_a_service_of_compose(self) -> None:
        store = re.fullmatch(r"\$\{env:TRACE_STORE:-(\w+):\d+\}", COLLECTOR["exporters"]["otlp_grpc"]["endpoint"])

        assert store
        assert store[1] in COMPOSE


class TestCluster:
    def test_exporters_get_the_job_names_that_the_rules_use(self) -> None:
        monitors = STACK["prometheus"]["additionalServiceMonitors"]
        jobs = {each["replacement"] for monitor in monitors for each in monitor["endpoints"][0]["relabelings"]}

        assert jobs == JOBS - {"mylist"}

    def test_retention_is_longer_than_the_window_of_the_objectives(self) -> None:
        assert int(STACK["prometheus"]["prometheusSpec"]["retention"].removesuffix("d")) > 30

    def test_exemplars_lead_to_the_traces(self) -> None:
        destination = STACK["grafana"]["sidecar"]["datasources"]["exemplarTraceIdDestinations"]

        assert destination == {"datasourceUid": "traces", "traceIdLabelName": "trace_id"}
        assert [each["uid"] for each in STACK["grafana"]["additionalDataSources"]] == ["traces"]

    def test_every_severity_has_a_receiver(self) -> None:
        configuration = STACK["alertmanager"]["config"]
        route = configuration["route"]
        receivers = {each["name"] for each in configuration["receivers"]}
        paged = [each["receiver"] for each in route["routes"] if each["matchers"] == ['severity = "page"']]

        assert {route["receiver"], *(each["receiver"] for each in route["routes"])} == receivers
        assert (route["receiver"], paged) == ("ticket", ["page"])

    def test_inhibitions_name_existing_alerts(self) -> None:
        named = parts_of(STACK["alertmanager"]["config"]["inhibit_rules"])
        alerts = {rule["alert"] for rule in rules("alert")}

        assert named
        assert named - {"MyListMongoDB"} <= alerts  # the prefix of several alerts

    @pytest.mark.extended
    def test_scales_by_documented_metrics(self, tmp_path: Path) -> None:
        custom = ADAPTER["rules"]["custom"]
        queries = [rule["seriesQuery"] for rule in custom]
        for rule in custom:
            query = rule["metricsQuery"].replace("<<.Series>>", rule["seriesQuery"].partition("{")[0])
            queries.append(query.replace("<<.LabelMatchers>>", 'pod="a"').replace("<<.GroupBy>>", "pod"))
        queries += [each["metadata"]["query"] for each in KEDA["spec"]["triggers"] if each["type"] == "prometheus"]

        assert all(metrics(query) <= documented().keys() for query in queries)
        promtool("check", "rules", str(as_rules(queries, tmp_path)))
        assert all(rule["name"]["as"] not in documented() for rule in custom)

    def test_keda_and_the_adapter_query_the_same_prometheus(self) -> None:
        url = ADAPTER["prometheus"]["url"] + f":{ADAPTER['prometheus']['port']}"

        assert all(each["metadata"].get("serverAddress", url) == url for each in KEDA["spec"]["triggers"])
        assert KEDA["spec"]["scaleTargetRef"] == {"name": "mylist"}


def test_links_in_the_readme_lead_to_existing_files() -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (FOLDER / "README.md").read_text())

    assert links
    assert all((FOLDER / link).exists() for link in links)

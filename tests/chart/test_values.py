"""The values: their types and defaults, and that the README lists all of them."""

import json
import re
from typing import Any

import pytest
import yaml

from devtools.chart_documents import README, documented, readme, undocumented
from devtools.documents import COMMAND
from mylist.config.settings import Explanation, explain
from tests.chart.network_policies import Port, allows
from tests.chart.rendering import CASES, CHART, RELEASE, ROOT, Object, Rendered, case, render, rendered_case, values

FILES = ["values.yaml", "charts/mongodb/values.yaml", "charts/redis/values.yaml"]
# Variables that come from the values on the stores and on secrets, rather than from `settings`.
OF_OTHERS = {
    "JWT_SECRET",
    *("MONGODB_URI", "MONGODB_USER", "MONGODB_PASSWORD"),
    *("REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD", "REDIS_DB", "REDIS_URL"),
}
# Defaults that differ from the service's own: a cluster means production, and the image has the revision.
OTHER_DEFAULTS = {"APP_ENV": "production", "REVISION": ""}
# Settings that contradict the defaults of others, and the values that must be set with them.
TOGETHER = {
    "AUTH_MODE": {"jwt.existingSecret": "a"},
    "CORS_CREDENTIALS": {"settings.corsOrigins": "https://a.example"},
    "JWT_PUBLIC_KEY": {"settings.authMode": "jwt"},
    "UNIQUE_EXTERNAL_IDS": {"settings.externalIdNames": "other"},
    "JWT_JWKS_URL": {"settings.authMode": "jwt"},
}

DEFAULTS = values(CHART / "values.yaml")
SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def settings() -> list[Explanation]:
    return [each for each in explain() if each.variable not in OF_OTHERS]


def camel(variable: str) -> str:
    first, *others = variable.lower().split("_")
    return first + "".join(other.capitalize() for other in others)


of_settings = pytest.mark.parametrize("setting", settings(), ids=lambda each: each.variable)


class TestSettings:
    def test_are_those_of_the_service(self) -> None:
        names = [camel(each.variable) for each in settings()]

        assert [*DEFAULTS["settings"]] == names
        assert [*SCHEMA["properties"]["settings"]["properties"]] == names

    @of_settings
    def test_accept_the_same_values_as_the_service(self, setting: Explanation) -> None:
        schema = SCHEMA["properties"]["settings"]["properties"][camel(setting.variable)]
        bounds = re.fullmatch(r"(?:a whole number|seconds) from ([\d.]+) to ([\d.]+)", setting.accepts)

        if bounds:
            assert schema["type"] == ("number" if setting.accepts.startswith("seconds") else "integer")
            assert (schema["minimum"], schema["maximum"]) == (float(bounds[1]), float(bounds[2]))
        elif setting.accepts == "true | false":
            assert schema == {"type": "boolean"}
        elif " | " in setting.accepts:
            assert schema == {"enum": setting.accepts.split(" | ")}
        else:
            assert schema == {"type": "string"}

    @of_settings
    def test_have_the_defaults_of_the_service(self, setting: Explanation) -> None:
        value = DEFAULTS["settings"][camel(setting.variable)]
        written = str(value).lower() if isinstance(value, bool) else str(value)

        assert written == OTHER_DEFAULTS.get(setting.variable, setting.default)

    @of_settings
    def test_reach_the_service(self, setting: Explanation) -> None:
        value = DEFAULTS["settings"][camel(setting.variable)]
        another = SCHEMA["properties"]["settings"]["properties"][camel(setting.variable)]
        if "maximum" in another:
            value = another["maximum"] if setting.variable != "DEFAULT_PAGE_SIZE" else 50
        elif "enum" in another:
            value = another["enum"][-1]
        elif another["type"] == "boolean":
            value = not value
        else:
            value = "other"
        written = str(value).lower() if isinstance(value, bool) else str(value)

        given = {f"settings.{camel(setting.variable)}": value, **TOGETHER.get(setting.variable, {})}
        assert render(given).configuration()[setting.variable] == written

    def test_that_come_from_other_values_reach_the_service_in_at_least_one_case(self) -> None:
        reached: set[str] = set()
        for name in CASES:
            rendered = rendered_case(name)
            reached |= rendered.configuration().keys()
            container = rendered.deployment()["spec"]["template"]["spec"]["containers"][0]
            reached |= {each["name"] for each in container.get("env", [])}

        assert reached >= OF_OTHERS - {"REDIS_DB"}  # a part of REDIS_URL


class TestSchema:
    @pytest.mark.parametrize("file", FILES)
    def test_knows_every_value_and_no_other(self, file: str) -> None:
        schema = json.loads((CHART / file).with_name("values.schema.json").read_text())
        allowed = {"enabled", "global"} if "/" in file else {"enabled"}  # the condition of the parent

        assert schema["additionalProperties"] is False
        assert set(schema["properties"]) == values(CHART / file).keys() | allowed

    @pytest.mark.parametrize("file", FILES)
    def test_refuses_unknown_keys_in_every_group_that_the_chart_reads(self, file: str) -> None:
        schema = json.loads((CHART / file).with_name("values.schema.json").read_text())
        open_to_others = {"global", *(("mongodb", "redis") if file == "values.yaml" else ())}

        for name, part in schema["properties"].items():
            if "properties" in part and name not in open_to_others:
                assert part["additionalProperties"] is False, name


class TestReadme:
    def test_tables_are_up_to_date_with_the_values(self) -> None:
        assert README.read_text() == readme(), f"run {COMMAND}"

    @pytest.mark.parametrize("file", FILES)
    def test_explains_every_value(self, file: str) -> None:
        assert undocumented(CHART / file) == []
        assert len(documented(CHART / file)) > 20
        assert [each.path for each in documented(CHART / file) if not each.meaning.endswith(".")] == []

    def test_links_lead_to_existing_files(self) -> None:
        links = re.findall(r"\]\(([^)#]+)\)", README.read_text())

        assert links
        assert all((CHART / link).exists() for link in links)

    def test_example_is_accepted(self) -> None:
        [example] = re.findall(r"^```yaml\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
        rendered = render(flat(yaml.safe_load(example)))

        assert rendered.configuration()["REDIS_URL"].startswith("redis+sentinel://")


class TestStores:
    def test_external_mongodb_gets_tls(self) -> None:
        uri = rendered_case("external").configuration()["MONGODB_URI"]

        assert uri == (
            "mongodb://mongodb-0.stores.example:27017,mongodb-1.stores.example:27018/mylist-ott"
            "?replicaSet=rs0&tls=true&tlsCAFile=/etc/mylist/mongodb/ca.crt"
        )

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ("mongodb://a", "mongodb://a/?tls=true"),
            ("mongodb://a/", "mongodb://a/?tls=true"),
            ("mongodb://a/b", "mongodb://a/b?tls=true"),
            ("mongodb://a/b?", "mongodb://a/b?tls=true"),
            ("mongodb+srv://a/b?w=1", "mongodb+srv://a/b?w=1&tls=true"),
        ],
    )
    def test_tls_is_added_to_the_uri_of_mongodb(self, given: str, told: str) -> None:
        rendered = render(mongodb__enabled=False, externalMongodb__uri=given, externalMongodb__tls__enabled=True)

        assert rendered.configuration()["MONGODB_URI"] == told

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ({"hosts": ["a:1"]}, "redis://a:1/0"),
            ({"hosts": ["a"], "database": 3, "user": "me"}, "redis://me@a/3"),
            ({"hosts": ["a:1", "b:2"], "mode": "cluster"}, "redis+cluster://a:1,b:2"),
            ({"hosts": ["a:1"], "mode": "sentinel", "sentinelName": "n", "database": 1}, "redis+sentinel://a:1/n/1"),
            (
                {"hosts": ["a:1"], "mode": "sentinel", "sentinelName": "n", "sentinelAuth": False},
                "redis+sentinel://a:1/n/0?sentinel_username=&sentinel_password=",
            ),
            ({"hosts": ["a:1"], "tls.enabled": True}, "rediss://a:1/0"),
            (
                {"hosts": ["a:1"], "tls.enabled": True, "tls.caSecret": "s", "tls.checkHostname": False},
                "rediss://a:1/0?ssl_ca_certs=/etc/mylist/redis/ca.crt&ssl_check_hostname=false",
            ),
            (
                {"hosts": ["a:1"], "mode": "cluster", "tls.enabled": True, "tls.clientSecret": "s"},
                "rediss+cluster://a:1?ssl_certfile=/etc/mylist/redis/tls.crt&ssl_keyfile=/etc/mylist/redis/tls.key",
            ),
        ],
        ids=str,
    )
    def test_external_redis_in_any_mode_becomes_a_redis_url(self, given: dict[str, Any], told: str) -> None:
        external = {f"externalRedis.{name}": value for name, value in given.items()}

        assert render({"redis.enabled": False, **external}).configuration()["REDIS_URL"] == told

    def test_an_ipv6_address_keeps_its_port(self) -> None:
        rendered = render(redis__enabled=False, externalRedis__hosts=["[fd00::1]:6380"])
        egress = rendered.one("NetworkPolicy")["spec"]["egress"]

        assert rendered.configuration()["REDIS_URL"] == "redis://[fd00::1]:6380/0"
        assert [6380] in [[port["port"] for port in rule["ports"]] for rule in egress]

    @pytest.mark.parametrize("store", ["mongodb", "redis"])
    def test_of_the_chart_accept_extra_arguments_and_variables(self, store: str) -> None:
        plain = container_of(store, render())
        variable = {"name": "GLIBC_TUNABLES", "value": "glibc.pthread.rseq=1"}
        more = container_of(store, render({f"{store}.extraArgs": ["--a", "b=c"], f"{store}.extraEnv": [variable]}))

        assert more["args"] == [*plain["args"], "--a", "b=c"]
        assert more["env"] == [*plain["env"], variable]
        assert {**more, "args": [], "env": []} == {**plain, "args": [], "env": []}

    def test_probes_of_mongodb_only_open_a_connection(self) -> None:
        container = container_of("mongodb", render())

        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["tcpSocket"] == {"port": "mongodb"}

    def test_the_cache_of_mongodb_is_half_of_its_memory_limit(self) -> None:
        given = values(CHART / "charts" / "mongodb" / "values.yaml")

        assert given["resources"]["limits"]["memory"] == "1Gi"
        assert given["cacheSizeGB"] == 0.5


class TestIdentityProvider:
    @pytest.mark.parametrize(
        ("url", "port"),
        [("https://login.example/jwks.json", 443), ("http://login.example/jwks.json", 80), ("https://a:8443/", 8443)],
    )
    def test_can_be_reached_on_the_port_of_its_url(self, url: str, port: int) -> None:
        peers = [{"ipBlock": {"cidr": "192.0.2.0/24"}}]
        given = {"settings.authMode": "jwt", "settings.jwtJwksUrl": url}
        anywhere = render(given).one("NetworkPolicy")["spec"]["egress"]
        there = render({**given, "networkPolicy.jwksTo": peers}).one("NetworkPolicy")["spec"]["egress"]

        assert {"ports": [{"port": port, "protocol": "TCP"}]} in anywhere
        assert {"to": peers, "ports": [{"port": port, "protocol": "TCP"}]} in there


class TestProbes:
    def test_readiness_calls_readyz_and_the_others_call_livez(self) -> None:
        container = rendered_case("default").deployment()["spec"]["template"]["spec"]["containers"][0]
        probes = ("startupProbe", "livenessProbe", "readinessProbe")

        assert [container[probe]["httpGet"]["path"] for probe in probes] == ["/livez", "/livez", "/readyz"]


class TestNetworkPolicy:
    @pytest.mark.parametrize("same_namespace", [True, False])
    def test_admits_pods_of_its_namespace_only_if_same_namespace_is_set(self, same_namespace: bool) -> None:
        rendered = render(networkPolicy__sameNamespace=same_namespace)
        api, http = rendered.deployment()["spec"]["template"], Port(3000, name="http")
        stranger = {"metadata": {"labels": {"app": "stranger"}}}

        assert allows(rendered, api, "ingress", stranger, http) is same_namespace
        assert not allows(rendered, api, "ingress", "namespace/elsewhere", http)
        assert not allows(rendered, api, "ingress", "anywhere", http)


class TestScaling:
    def test_hpa_uses_the_cpu_of_the_container(self) -> None:
        [metric] = render(autoscaling__enabled=True).one("HorizontalPodAutoscaler")["spec"]["metrics"]

        assert metric["type"] == "ContainerResource"
        assert metric["containerResource"] == {
            "name": "cpu",
            "container": "mylist",
            "target": {"type": "Utilization", "averageUtilization": 60},
        }

    def test_hpa_can_use_a_metric_that_the_prometheus_adapter_provides(self) -> None:
        metric = rendered_case("ha").one("HorizontalPodAutoscaler")["spec"]["metrics"][1]
        adapter = values(ROOT / "observability" / "values" / "prometheus-adapter.yaml")

        assert metric["pods"]["metric"]["name"] in {each["name"]["as"] for each in adapter["rules"]["custom"]}

    def test_keda_gets_a_large_threshold_in_plain_digits(self) -> None:
        [scaler] = render(keda__enabled=True, keda__requestsPerSecond=3_000_000).of_kind("ScaledObject")

        assert scaler["spec"]["triggers"][1]["metadata"]["threshold"] == "3000000"

    def test_the_keda_object_equals_that_in_observability(self) -> None:
        [made] = rendered_case("everything").of_kind("ScaledObject")
        original = values(ROOT / "observability" / "keda.yaml")["spec"]
        original["scaleTargetRef"]["name"] = "ott-mylist"
        original["triggers"][0]["metadata"]["containerName"] = "mylist"
        query = original["triggers"][1]["metadata"]
        query["query"] = query["query"].replace('namespace="mylist"', 'namespace="ott"')

        assert made["spec"] == original


def test_the_exporter_images_equal_those_of_compose() -> None:
    compose = values(ROOT / "observability" / "compose.yaml")["services"]

    for store in ("mongodb", "redis"):
        image = values(CHART / "charts" / store / "values.yaml")["exporter"]["image"]
        assert f"{image['repository']}:{image['tag']}" == compose[f"{store}-exporter"]["image"]


def test_the_app_version_of_the_chart_is_that_of_the_package() -> None:
    [version] = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    chart = values(CHART / "Chart.yaml")

    assert chart["appVersion"] == version
    assert {each["name"]: each["version"] for each in chart["dependencies"]} == {
        store: values(CHART / "charts" / store / "Chart.yaml")["version"] for store in ("mongodb", "redis")
    }


@pytest.mark.parametrize("name", CASES)
def test_each_case_begins_with_a_comment(name: str) -> None:
    assert case(name).read_text().startswith("# ")


def container_of(store: str, rendered: Rendered) -> Object:
    """Return the container of a store of the chart's own."""
    [container] = rendered.one("StatefulSet", f"{RELEASE}-{store}")["spec"]["template"]["spec"]["containers"]
    found: Object = container
    return found


def flat(given: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in given.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found

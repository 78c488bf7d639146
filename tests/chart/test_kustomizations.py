"""k8s/: the objects that are installed beside the chart, and the values of production, which must fit them."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from tests.chart import checks
from tests.chart.kustomizations import (
    K8S,
    KUSTOMIZATIONS,
    OPERATORS,
    VALUES,
    assert_restricted,
    built,
    is_foreign,
    rendered_values,
    unknown,
)
from tests.chart.network_policies import Port, allows, matches
from tests.chart.rendering import CHART, KUBERNETES, NAMESPACE, ROOT, Object, Rendered, case, render, values
from tests.chart.tools.helm import helm

PROD = values(K8S / "values" / "prod.yaml")
# The values that depend on the stores, and so differ for external stores.
OF_STORES = {"externalMongodb", "externalRedis", "networkPolicy"}
# Kinds that belong to no namespace.
CLUSTER_WIDE = {"APIService", "ClusterRole", "ClusterRoleBinding", "GatewayClass", "Namespace", "PriorityClass"}

of_kustomizations = pytest.mark.parametrize("name", KUSTOMIZATIONS)
of_values = pytest.mark.parametrize("name", VALUES)
on_kubernetes = pytest.mark.parametrize("kubernetes", KUBERNETES)


class TestKustomizations:
    def test_exist_for_every_required_component(self) -> None:
        assert {"namespace", "metrics-server", "data", "gateway", "secrets", "argocd"} <= set(KUSTOMIZATIONS)

    @of_kustomizations
    def test_build_from_files_of_the_repository(self, name: str) -> None:
        resources = values(K8S / name / "kustomization.yaml")["resources"]

        assert built(name).objects
        assert [each for each in resources if not (K8S / name / each).exists()] == []

    @of_kustomizations
    def test_use_every_file(self, name: str) -> None:
        named = set(values(K8S / name / "kustomization.yaml")["resources"]) | {"kustomization.yaml"}
        manifests = {each.name for each in (K8S / name).glob("*.yaml")}

        assert manifests - named == ({"job.yaml"} if name == "verify" else set())  # skaffold.yaml names it

    @of_kustomizations
    @on_kubernetes
    def test_match_the_schemas_of_kubernetes(self, name: str, kubernetes: str) -> None:
        for each in built(name).objects:
            if not is_foreign(each):
                kubernetes_validate.validate(each, kubernetes, strict=True)

    @of_kustomizations
    def test_match_the_schemas_of_the_operators(self, name: str) -> None:
        for each in filter(is_foreign, built(name).objects):
            known = OPERATORS[each["kind"]]
            assert each["apiVersion"] == known["apiVersion"]
            assert each.keys() == {"apiVersion", "kind", "metadata", "spec"}
            assert list(unknown(each["spec"], known["spec"])) == [], each["kind"]

    @of_kustomizations
    def test_contain_each_object_once_and_name_its_namespace(self, name: str) -> None:
        objects = built(name).objects
        names = Counter((each["kind"], each["metadata"]["name"], each["metadata"].get("namespace")) for each in objects)

        assert [each for each, times in names.items() if times > 1] == []
        for each in objects:
            assert ("namespace" in each["metadata"]) is (each["kind"] not in CLUSTER_WIDE), each["metadata"]

    @of_kustomizations
    def test_pin_the_versions_of_their_images(self, name: str) -> None:
        checks.check_images_are_fixed(built(name))
        for image in re.findall(r"'image': '([^']+)'", str(built(name).objects)):
            assert re.search(r":v?\d+\.\d+\.\d+$", image), image

    @of_kustomizations
    def test_have_restricted_pods(self, name: str) -> None:
        for where, pod in built(name).templates():
            containers = [container["securityContext"] for container in pod["spec"]["containers"]]
            assert_restricted(where, pod["spec"]["securityContext"], containers)

    @of_kustomizations
    def test_have_selectors_that_match_pods(self, name: str) -> None:
        there = [*built(name).templates(), *rendered_values("staging").templates()]
        pods = [pod["metadata"]["labels"] for _, pod in there]
        for each in built(name).of_kind("Service"):
            assert any(each["spec"]["selector"].items() <= labels.items() for labels in pods), each["metadata"]
        for each in built(name).of_kind("Deployment"):
            selector = each["spec"]["selector"]["matchLabels"]
            assert selector.items() <= each["spec"]["template"]["metadata"]["labels"].items()

    @of_kustomizations
    def test_bind_only_existing_roles(self, name: str) -> None:
        rendered = built(name)
        there = {(each["kind"], each["metadata"]["name"]) for each in rendered.objects}
        of_kubernetes = {
            ("ClusterRole", "system:auth-delegator"),
            ("Role", "extension-apiserver-authentication-reader"),
        }
        for each in rendered.of_kind("RoleBinding", "ClusterRoleBinding"):
            role = each["roleRef"]
            assert (role["kind"], role["name"]) in there | of_kubernetes
            for subject in each["subjects"]:
                assert (subject["kind"], subject["name"]) in there

    def test_contain_no_secrets(self) -> None:
        for path in K8S.rglob("*.yaml"):
            text = path.read_text()
            assert not re.search(r"^kind: Secret$|^ *(stringData|password|token):", text, re.MULTILINE), path


class TestCluster:
    def test_has_one_control_plane_and_three_workers_in_zones(self) -> None:
        kind = values(K8S / "kind.yaml")
        workers = [each for each in kind["nodes"] if each["role"] == "worker"]

        assert (kind["kind"], kind["apiVersion"]) == ("Cluster", "kind.x-k8s.io/v1alpha4")
        assert kind.keys() == {"kind", "apiVersion", "nodes"}
        assert [each["role"] for each in kind["nodes"]].count("control-plane") == 1
        assert len(workers) == len(kind["nodes"]) - 1 == 3
        assert len({each["labels"]["topology.kubernetes.io/zone"] for each in workers}) == 3

    def test_namespace_is_restricted(self) -> None:
        labels = built("namespace").one("Namespace", "mylist")["metadata"]["labels"]

        assert {f"pod-security.kubernetes.io/{mode}" for mode in ("enforce", "warn", "audit")} == set(labels)
        assert set(labels.values()) == {"restricted"}

    def test_metrics_server_reads_the_kubelets_of_kind(self) -> None:
        rendered = built("metrics-server")
        [container] = rendered.deployment()["spec"]["template"]["spec"]["containers"]
        [api] = rendered.of_kind("APIService")
        service = rendered.one("Service", api["spec"]["service"]["name"])

        assert "--kubelet-insecure-tls" in container["args"]
        assert f"--secure-port={container['ports'][0]['containerPort']}" in container["args"]
        assert container["image"].startswith("registry.k8s.io/metrics-server/metrics-server:v")
        assert api["spec"]["service"]["namespace"] == service["metadata"]["namespace"] == "kube-system"
        assert service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
        assert api["metadata"]["name"] == f"{api['spec']['version']}.{api['spec']['group']}"


class TestValues:
    def test_exist_for_three_environments(self) -> None:
        assert set(VALUES) == {"dev", "staging", "prod"}
        for name, environment in {"dev": "development", "staging": "staging", "prod": "production"}.items():
            assert rendered_values(name).configuration()["APP_ENV"] == environment

    @of_values
    @on_kubernetes
    def test_pass_helm_lint_without_warnings(self, name: str, kubernetes: str) -> None:
        path = K8S / "values" / f"{name}.yaml"
        said = helm("lint", "--strict", "--quiet", "--kube-version", kubernetes, "--values", str(path), str(CHART))

        assert "[WARNING]" not in said
        assert "[ERROR]" not in said

    @of_values
    @on_kubernetes
    def test_render_objects_that_kubernetes_accepts(self, name: str, kubernetes: str) -> None:
        for each in rendered_values(name, kubernetes).objects:
            if not is_foreign(each):
                kubernetes_validate.validate(each, kubernetes, strict=True)

    @of_values
    @on_kubernetes
    @pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
    def test_pass_each_check(self, name: str, kubernetes: str, check: Callable[[Rendered], None]) -> None:
        rendered = rendered_values(name, kubernetes)
        if name == "prod" and check is checks.check_network_is_closed_but_for_what_is_needed:
            rendered = with_data(rendered)
        if name == "dev" and check is checks.check_pods_are_restricted:
            rendered = read_only(rendered)
        check(rendered)


class TestProduction:
    """The names, ports and passwords in the values are those that the operators use."""

    def test_names_the_members_of_the_replica_set(self) -> None:
        mongodb = data("MongoDBCommunity")
        name = mongodb["metadata"]["name"]
        # The operator gives this name to the Service, and names each pod after the set.
        hosts = ",".join(
            f"{name}-{number}.{name}-svc.mylist.svc.cluster.local:27017" for number in range(mongodb["spec"]["members"])
        )

        assert mongodb["spec"]["members"] == 3
        assert PROD["externalMongodb"]["uri"] == f"mongodb://{hosts}/{user('mylist')['db']}?replicaSet={name}"

    def test_uses_a_mongodb_user_with_rights_to_its_own_database_only(self) -> None:
        of_service = user(PROD["externalMongodb"]["user"])

        assert of_service["roles"] == [{"name": "readWrite", "db": of_service["db"]}]
        assert data("MongoDBCommunity")["spec"]["security"]["authentication"]["modes"] == ["SCRAM"]

    def test_trusts_the_certificate_authority_of_mongodb(self) -> None:
        tls = data("MongoDBCommunity")["spec"]["security"]["tls"]
        certificate = built("data").one("Certificate", "mylist-mongodb")["spec"]
        issuer = built("data").one("Issuer", certificate["issuerRef"]["name"])["spec"]
        authority = built("data").one("Certificate", issuer["ca"]["secretName"])["spec"]
        hosts = re.findall(r"[\w.-]+(?=:27017)", PROD["externalMongodb"]["uri"])
        [covered] = certificate["dnsNames"]

        assert tls["enabled"] is PROD["externalMongodb"]["tls"]["enabled"] is True
        assert {tls["certificateKeySecretRef"]["name"], tls["caCertificateSecretRef"]["name"]} == {
            certificate["secretName"]
        }
        assert PROD["externalMongodb"]["tls"] == {"enabled": True, "caSecret": certificate["secretName"]}
        assert all(host.partition(".")[2] == covered.removeprefix("*.") for host in hosts)
        assert authority["isCA"] is True
        assert authority["secretName"] == issuer["ca"]["secretName"]
        assert "selfSigned" in built("data").one("Issuer", authority["issuerRef"]["name"])["spec"]

    def test_names_all_sentinels(self) -> None:
        sentinel = data("RedisSentinel")
        config = sentinel["spec"]["redisSentinelConfig"]
        # The operator gives this name to the StatefulSet, and appends -headless for the Service.
        name = f"{sentinel['metadata']['name']}-sentinel"
        size = sentinel["spec"]["clusterSize"]

        assert PROD["externalRedis"]["mode"] == "sentinel"
        assert PROD["externalRedis"]["hosts"] == [
            f"{name}-{number}.{name}-headless.mylist.svc.cluster.local:26379" for number in range(size)
        ]
        assert PROD["externalRedis"]["sentinelName"] == config["masterGroupName"]
        assert int(config["quorum"]) == size // 2 + 1 == 2
        assert config["redisReplicationName"] == data("RedisReplication")["metadata"]["name"]
        assert data("RedisReplication")["spec"]["clusterSize"] == 3

    def test_uses_one_password_for_sentinels_and_redis_servers(self) -> None:
        secret = {"name": PROD["externalRedis"]["existingSecret"], "key": default("externalRedis", "passwordKey")}

        assert "sentinelAuth" not in PROD["externalRedis"]
        assert default("externalRedis", "sentinelAuth") is True
        for kind in ("RedisReplication", "RedisSentinel"):
            assert data(kind)["spec"]["kubernetesConfig"]["redisSecret"] == secret
        config = data("RedisSentinel")["spec"]["redisSentinelConfig"]
        assert config["redisReplicationPassword"] == {"secretKeyRef": secret}

    def test_redis_evicts_the_least_recently_used_keys(self) -> None:
        config = data("RedisReplication")["spec"]["redisConfig"]
        # The operator includes the file of this name.
        [(file, text)] = built("data").one("ConfigMap", config["additionalRedisConfig"])["data"].items()

        assert (file, text) == ("redis-additional.conf", "maxmemory-policy allkeys-lru\n")
        assert config["maxMemoryPercentOfLimit"] < 100
        assert "storage" not in data("RedisReplication")["spec"]

    def test_pods_of_redis_are_restricted_like_the_namespace(self) -> None:
        """The operator of MongoDB restricts its pods by itself."""
        for kind in ("RedisReplication", "RedisSentinel"):
            spec = data(kind)["spec"]
            containers = [spec["securityContext"]]
            if "redisExporter" in spec:
                containers.append(spec["redisExporter"].get("securityContext", {}))
            assert_restricted(kind, spec["podSecurityContext"], containers)

    @pytest.mark.parametrize("of", ["chart", "stores"])
    def test_every_referenced_secret_is_created(self, of: str) -> None:
        made: dict[str, set[str]] = {}
        for each in built("production").of_kind("ExternalSecret"):
            assert each["metadata"]["namespace"] == "mylist"
            made[each["spec"]["target"]["name"]] = {entry["secretKey"] for entry in each["spec"]["data"]}
        for each in built("data").of_kind("Certificate"):
            made[each["spec"]["secretName"]] = {"tls.crt", "tls.key", "ca.crt"}
        wanted = list(secrets_of_pods(rendered_values("prod")) if of == "chart" else secrets_of_stores())

        assert len(wanted) > 3
        for name, keys in wanted:
            assert keys <= made[name], name

    def test_policies_of_stores_and_chart_allow_all_required_traffic(self) -> None:
        """The policies of the stores and those of the chart, together."""
        checks.check_network_is_closed_but_for_what_is_needed(with_data(rendered_values("prod")))

    def test_every_pod_of_a_store_has_its_policy_and_budget(self) -> None:
        selectors = [each["spec"]["podSelector"] for each in built("data").of_kind("NetworkPolicy")]
        budgets = [each["spec"]["selector"] for each in built("data").of_kind("PodDisruptionBudget")]

        for pod in pods_of_stores():
            labels = pod["metadata"]["labels"]
            assert labels.get("app.kubernetes.io/instance") != "mylist", "the chart's policies would hold for it"
            assert sum(matches(each, labels) for each in selectors) == 1
        assert sum(matches(each, labels_of_mongodb()) for each in budgets) == 1
        for kind in ("RedisReplication", "RedisSentinel"):
            assert data(kind)["spec"]["pdb"] == {"enabled": True, "maxUnavailable": 1}

    def test_spread_constraints_of_stores_match_the_labels_of_their_pods(self) -> None:
        template = data("MongoDBCommunity")["spec"]["statefulSet"]["spec"]["template"]
        constraints = [(template["spec"], labels_of_mongodb())]
        constraints += [(data(kind)["spec"], labels) for kind, labels in labels_of_redis().items()]

        for spec, labels in constraints:
            [constraint] = spec["topologySpreadConstraints"]
            assert matches(constraint["labelSelector"], labels)
            assert constraint["whenUnsatisfiable"] == "DoNotSchedule"

    def test_priority_class_exists(self) -> None:
        assert built("production").one("PriorityClass", PROD["priorityClassName"])

    def test_differs_from_the_prod_case_of_the_chart_only_in_the_stores(self) -> None:
        """charts/mylist/ci/prod-values.yaml is production with stores outside the cluster."""
        outside = values(case("prod"))

        assert outside.keys() == PROD.keys()
        assert {name: value for name, value in outside.items() if name not in OF_STORES} == {
            name: value for name, value in PROD.items() if name not in OF_STORES
        }


class TestExporters:
    """Prometheus gets the metrics that the rules on the stores need."""

    def test_provide_the_jobs_that_the_rules_select(self) -> None:
        files = [path.read_text() for path in (CHART / "files" / "rules").glob("*.yaml")]
        jobs = set(re.findall(r'job="(mylist-\w+)"', "".join(files))) - {"mylist-events"}  # which the chart scrapes

        assert jobs == {target["job"] for monitor in monitors() for target in targets(monitor)}
        assert len(jobs) == len(monitors()) == 2

    @pytest.mark.parametrize(
        "check",
        [
            checks.check_pods_are_restricted,
            checks.check_containers_say_what_they_need,
            checks.check_ports_lead_somewhere,
            checks.check_passwords_are_in_secrets_alone,
        ],
        ids=lambda check: check.__name__.removeprefix("check_"),
    )
    def test_pass_the_checks_of_the_chart(self, check: Callable[[Rendered], None]) -> None:
        check(built("data"))

    def test_the_mongodb_exporter_equals_that_of_the_chart(self) -> None:
        ours, theirs = exporter_of_mongodb(), exporter_of_chart("mongodb")

        for name in ("image", "ports", "livenessProbe", "readinessProbe", "securityContext"):
            assert ours[name] == theirs[name], name
        assert set(theirs["args"]) == {each for each in ours["args"] if not each.startswith("--mongodb.uri=")}

    def test_the_redis_exporter_equals_that_of_the_chart(self) -> None:
        ours, theirs = data("RedisReplication")["spec"]["redisExporter"], exporter_of_chart("redis")

        assert ours["enabled"] is True
        for name in ("image", "securityContext", "resources"):
            assert ours[name] == theirs[name], name

    def test_the_mongodb_user_of_the_exporter_can_only_monitor(self) -> None:
        variables = {each["name"]: each for each in exporter_of_mongodb()["env"]}
        exporter = user(variables["MONGODB_USER"]["value"])
        users = data("MongoDBCommunity")["spec"]["users"]
        password = variables["MONGODB_PASSWORD"]["valueFrom"]["secretKeyRef"]

        assert exporter["roles"] == [{"name": "clusterMonitor", "db": "admin"}]
        assert exporter["passwordSecretRef"] == password
        for name in ("passwordSecretRef", "scramCredentialsSecretName"):
            assert len({str(each[name]) for each in users}) == len(users), name

    def test_the_mongodb_exporter_connects_to_every_member_with_tls(self) -> None:
        container = exporter_of_mongodb()
        [volume] = data("Deployment")["spec"]["template"]["spec"]["volumes"]
        [mount] = container["volumeMounts"]
        [item] = volume["secret"]["items"]
        authority = PROD["externalMongodb"]["tls"]["caSecret"]
        database = user("exporter")["db"]

        assert (mount["name"], volume["secret"]["secretName"]) == (volume["name"], authority)
        assert item["key"] == "ca.crt", "the members' key is none of its business"
        assert [each.removeprefix("--mongodb.uri=") for each in container["args"] if "uri" in each] == [
            f"mongodb://{member}/{database}?tls=true&tlsCAFile={mount['mountPath']}/{item['path']}"
            for member in members()
        ]

    def test_every_mongodb_member_is_scraped_under_its_own_name(self) -> None:
        monitor = built("data").one("ServiceMonitor", "mylist-mongodb")
        [service] = selected(monitor)
        pods = [each.partition(".")[0] for each in members()]

        assert service["spec"]["selector"].items() <= labels_of_exporter().items()
        assert [each["params"]["target"] for each in monitor["spec"]["endpoints"]] == [[each] for each in members()]
        assert {each["path"] for each in monitor["spec"]["endpoints"]} == {"/scrape"}
        assert {each["port"] for each in monitor["spec"]["endpoints"]} <= ports_of(service)
        assert targets(monitor) == [
            {"job": "mylist-mongodb", "instance": member, "pod": pod}
            for member, pod in zip(members(), pods, strict=True)
        ]

    def test_every_server_of_redis_is_scraped_once(self) -> None:
        monitor = built("data").one("ServiceMonitor", "mylist-redis")
        [endpoint] = monitor["spec"]["endpoints"]
        [service] = selected(monitor)

        assert service["metadata"]["name"] == "mylist-redis-metrics"
        assert endpoint["port"] in ports_of(service)
        assert endpoint.get("path", "/metrics") == "/metrics"
        assert targets(monitor) == [{"job": "mylist-redis"}]

    def test_policies_allow_the_required_connections_at_both_ends(self) -> None:
        exporter, stores = data("Deployment")["spec"]["template"], stores_by_name()
        mongodb = Port(27017, name="mongodb")
        [namespace] = values(CHART / "charts" / "mongodb" / "values.yaml")["networkPolicy"]["metricsNamespaces"]
        prometheus = f"namespace/{namespace}"

        assert allows(built("data"), exporter, "ingress", prometheus, Port(9216, name="metrics"))
        assert allows(built("data"), stores["redis"], "ingress", prometheus, Port(9121, name="redis-exporter"))
        assert allows(built("data"), exporter, "egress", stores["mongodb"], mongodb)
        assert allows(built("data"), stores["mongodb"], "ingress", exporter, mongodb)
        for protocol in ("UDP", "TCP"):
            assert allows(built("data"), exporter, "egress", "namespace/kube-system", Port(53, protocol))

    def test_policies_allow_no_other_connections(self) -> None:
        exporter, stores = data("Deployment")["spec"]["template"], stores_by_name()
        metrics, scraped = Port(9216, name="metrics"), Port(9121, name="redis-exporter")
        api = rendered_values("prod").deployment()["spec"]["template"]

        assert not any(allows(built("data"), exporter, "ingress", each, metrics) for each in ("namespace/other", api))
        assert not allows(built("data"), exporter, "ingress", "namespace/monitoring", Port(1))
        assert not allows(built("data"), exporter, "egress", "anywhere", Port(443))
        assert not allows(built("data"), exporter, "egress", stores["redis"], Port(6379))
        assert not allows(built("data"), stores["redis"], "ingress", exporter, Port(6379))
        assert not any(
            allows(built("data"), stores["redis"], "ingress", each, scraped) for each in ("namespace/other", api)
        )
        for name, port in {"mongodb": 27017, "redis": 6379, "sentinel": 26379}.items():
            assert not allows(built("data"), stores[name], "ingress", "namespace/monitoring", Port(port)), name

    def test_no_policy_or_budget_of_a_store_selects_the_mongodb_exporter(self) -> None:
        """Neither the policies and budgets of the stores nor the policies of the chart match its labels."""
        policies = [*built("data").of_kind("NetworkPolicy"), *rendered_values("prod").of_kind("NetworkPolicy")]
        [policy] = [each for each in policies if matches(each["spec"]["podSelector"], labels_of_exporter())]

        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        for each in built("data").of_kind("PodDisruptionBudget"):
            assert not matches(each["spec"]["selector"], labels_of_exporter())
        for rule in ("mongodbTo", "redisTo"):
            for peer in PROD["networkPolicy"][rule]:
                assert not matches(peer["podSelector"], labels_of_exporter())


class TestGateway:
    def test_is_the_one_that_the_route_attaches_to(self) -> None:
        [route] = rendered_values("prod").of_kind("HTTPRoute")
        [parent] = route["spec"]["parentRefs"]
        gateway = built("gateway").one("Gateway", parent["name"])
        https, http = gateway["spec"]["listeners"]
        namespaces = https["allowedRoutes"]["namespaces"]

        assert gateway["metadata"]["namespace"] == parent["namespace"]
        assert route["spec"]["hostnames"] == [https["hostname"]] == [http["hostname"]]
        assert matches(namespaces["selector"], {"kubernetes.io/metadata.name": "mylist"})
        assert not matches(namespaces["selector"], {"kubernetes.io/metadata.name": "other"})
        assert http["allowedRoutes"]["namespaces"] == {"from": "Same"}
        assert built("gateway").one("GatewayClass", gateway["spec"]["gatewayClassName"])

    def test_has_a_certificate_for_its_host_name(self) -> None:
        [gateway] = built("gateway").of_kind("Gateway")
        https = gateway["spec"]["listeners"][0]
        [certificate] = built("gateway").of_kind("Certificate")

        assert https["tls"]["certificateRefs"] == [{"name": certificate["spec"]["secretName"]}]
        assert certificate["spec"]["dnsNames"] == [https["hostname"]]
        assert certificate["metadata"]["namespace"] == gateway["metadata"]["namespace"]

    def test_redirects_http_to_https(self) -> None:
        route = built("gateway").one("HTTPRoute", "to-https")
        [gateway] = built("gateway").of_kind("Gateway")
        [rule] = route["spec"]["rules"]

        assert route["spec"]["parentRefs"] == [
            {"name": gateway["metadata"]["name"], "sectionName": gateway["spec"]["listeners"][1]["name"]}
        ]
        assert rule["filters"][0]["requestRedirect"]["scheme"] == "https"

    def test_closes_idle_connections_before_the_service_does(self) -> None:
        [policy] = [each for each in built("gateway").of_kind("BackendTrafficPolicy") if "timeout" in each["spec"]]
        [route] = rendered_values("prod").of_kind("HTTPRoute")
        minutes, unit = re.fullmatch(r"(\d+)(m)", policy["spec"]["timeout"]["http"]["connectionIdleTimeout"]).groups()  # type: ignore[union-attr]

        assert unit == "m"
        assert int(minutes) * 60 < int(rendered_values("prod").configuration()["KEEP_ALIVE_TIMEOUT"])
        assert [each["name"] for each in policy["spec"]["targetRefs"]] == [route["metadata"]["name"]]
        assert policy["metadata"]["namespace"] == "mylist"

    def test_replaces_the_user_id_header_of_clients_with_the_claim_of_the_token(self) -> None:
        [client] = built("gateway").of_kind("ClientTrafficPolicy")
        [security] = built("gateway").of_kind("SecurityPolicy")
        [gateway] = built("gateway").of_kind("Gateway")
        [provider] = security["spec"]["jwt"]["providers"]
        [route] = rendered_values("prod").of_kind("HTTPRoute")

        assert client["spec"]["headers"]["earlyRequestHeaders"]["remove"] == ["user-id"]
        assert [each["name"] for each in client["spec"]["targetRefs"]] == [gateway["metadata"]["name"]]
        assert client["metadata"]["namespace"] == gateway["metadata"]["namespace"]
        assert provider["claimToHeaders"] == [{"claim": "sub", "header": "user-id"}]
        assert [each["name"] for each in security["spec"]["targetRefs"]] == [route["metadata"]["name"]]
        assert security["metadata"]["namespace"] == "mylist"

    def test_limits_the_rate_of_each_user(self) -> None:
        [limit] = [each for each in built("gateway").of_kind("BackendTrafficPolicy") if "rateLimit" in each["spec"]]
        [gateway] = built("gateway").of_kind("Gateway")
        [rule] = limit["spec"]["rateLimit"]["local"]["rules"]
        [security] = built("gateway").of_kind("SecurityPolicy")
        [claim] = security["spec"]["jwt"]["providers"][0]["claimToHeaders"]

        assert rule["clientSelectors"] == [{"headers": [{"name": claim["header"], "type": "Distinct"}]}]
        assert [each["name"] for each in limit["spec"]["targetRefs"]] == [gateway["metadata"]["name"]]
        assert limit["metadata"]["namespace"] == gateway["metadata"]["namespace"]

    def test_policies_of_a_route_merge_with_those_of_the_gateway(self) -> None:
        for policy in built("gateway").of_kind("BackendTrafficPolicy"):
            if {each["kind"] for each in policy["spec"]["targetRefs"]} != {"Gateway"}:
                assert policy["spec"]["mergeType"] == "StrategicMerge"


class TestArgoCD:
    def test_installs_the_chart_with_the_values_of_production(self) -> None:
        source = built("argocd").one("Application", "mylist")["spec"]["source"]
        files = [(ROOT / source["path"] / each).resolve() for each in source["helm"]["valueFiles"]]

        assert (ROOT / source["path"]).resolve() == CHART
        assert files == [K8S / "values" / "prod.yaml"]
        assert source["helm"]["releaseName"] == "mylist"

    def test_ignores_the_number_of_pods(self) -> None:
        """Argo CD renders without a cluster, so the chart cannot see how many pods there are."""
        spec = built("argocd").one("Application", "mylist")["spec"]
        deployment = rendered_values("prod").deployment()

        assert spec["ignoreDifferences"] == [
            {
                "group": group(deployment),
                "kind": deployment["kind"],
                "name": deployment["metadata"]["name"],
                "jsonPointers": ["/spec/replicas"],
            }
        ]
        assert "RespectIgnoreDifferences=true" in spec["syncPolicy"]["syncOptions"]

    def test_installs_the_platform(self) -> None:
        source = built("argocd").one("Application", "mylist-platform")["spec"]["source"]

        assert ROOT / source["path"] == K8S / "production"
        assert built("production").objects

    def test_project_allows_the_objects_of_both_applications_and_no_others(self) -> None:
        [project] = built("argocd").of_kind("AppProject")
        objects = [*built("production").objects, *rendered_values("prod").objects]
        wide = {(group(each), each["kind"]) for each in objects if each["kind"] in CLUSTER_WIDE}
        namespaces = {each["metadata"]["namespace"] for each in objects if each["kind"] not in CLUSTER_WIDE}

        assert {(each["group"], each["kind"]) for each in project["spec"]["clusterResourceWhitelist"]} == wide
        assert {each["namespace"] for each in project["spec"]["destinations"]} == namespaces - {NAMESPACE}
        for application in built("argocd").of_kind("Application"):
            assert application["spec"]["project"] == project["metadata"]["name"]
            assert application["spec"]["source"]["repoURL"] in project["spec"]["sourceRepos"]
            assert application["spec"]["destination"]["namespace"] == "mylist"

    def test_does_not_prune_the_platform(self) -> None:
        platform = built("argocd").one("Application", "mylist-platform")

        assert platform["spec"]["syncPolicy"]["automated"]["prune"] is False


def data(kind: str) -> Object:
    [found] = built("data").of_kind(kind)
    return found


def user(name: str) -> Object:
    """Return one of the users that MongoDB's operator creates."""
    [found] = [each for each in data("MongoDBCommunity")["spec"]["users"] if each["name"] == name]
    return dict(found)


def members() -> list[str]:
    return re.findall(r"[\w.-]+:27017", PROD["externalMongodb"]["uri"])


def monitors() -> list[Object]:
    return built("data").of_kind("ServiceMonitor")


def selected(monitor: Object) -> list[Object]:
    """Return the Services that a ServiceMonitor selects, of k8s/data or created by Redis' operator."""
    services = [*built("data").of_kind("Service"), *services_of_redis()]
    return [each for each in services if matches(monitor["spec"]["selector"], each["metadata"]["labels"])]


def services_of_redis() -> Iterator[Object]:
    """Yield the Services as the operator creates them: two have the port of the exporter, and one of these no other."""
    client, metrics = {"name": "redis-client", "port": 6379}, {"name": "redis-exporter", "port": 9121}
    labels = labels_of_redis()["RedisReplication"]
    name = labels["app"]
    for suffix in ("-headless", "-additional", "-master", "-replica"):
        yield {"metadata": {"name": f"{name}{suffix}", "labels": labels}, "spec": {"ports": [client]}}
    if data("RedisReplication")["spec"].get("redisExporter", {}).get("enabled"):
        of_metrics = {"app": name, "app.kubernetes.io/component": "metrics"}
        yield {"metadata": {"name": name, "labels": labels}, "spec": {"ports": [client, metrics]}}
        yield {"metadata": {"name": f"{name}-metrics", "labels": of_metrics}, "spec": {"ports": [metrics]}}


def ports_of(service: Object) -> set[str]:
    return {each["name"] for each in service["spec"]["ports"]}


def targets(monitor: Object) -> list[dict[str, str]]:
    """The labels that the relabelings of each endpoint set, as Prometheus reads them."""
    return [dict(relabelled(each)) for each in monitor["spec"]["endpoints"]]


def relabelled(endpoint: Object) -> Iterator[tuple[str, str]]:
    known = {f"__param_{name}": value[0] for name, value in endpoint.get("params", {}).items()}
    for each in endpoint["relabelings"]:
        value = ";".join(known[label] for label in each.get("sourceLabels", []))
        if found := re.fullmatch(each.get("regex", "(.*)"), value):
            yield each["targetLabel"], found.expand(each.get("replacement", "$1").replace("$", "\\"))


def exporter_of_mongodb() -> Object:
    [container] = data("Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(container)


def exporter_of_chart(store: str) -> Object:
    [pod] = [
        each["spec"]["template"]
        for each in render({f"{store}.exporter.enabled": True}).of_kind("StatefulSet")
        if each["metadata"]["name"].endswith(store)
    ]
    [container] = [each for each in pod["spec"]["containers"] if each["name"] == "exporter"]
    return dict(container)


def labels_of_exporter() -> dict[str, str]:
    labels: dict[str, str] = data("Deployment")["spec"]["template"]["metadata"]["labels"]
    return labels


def stores_by_name() -> dict[str, Object]:
    return {each["metadata"]["name"]: each for each in pods_of_stores()}


def default(part: str, name: str) -> Any:
    return values(CHART / "values.yaml")[part][name]


def group(each: Object) -> str:
    return str(each["apiVersion"]).rpartition("/")[0]


def labels_of_mongodb() -> dict[str, str]:
    labels: dict[str, str] = data("MongoDBCommunity")["spec"]["statefulSet"]["spec"]["template"]["metadata"]["labels"]
    return labels


def labels_of_redis() -> dict[str, dict[str, str]]:
    """Return the labels that the operator sets: the name of the StatefulSet, and the labels of the object."""
    named = {"RedisReplication": "mylist-redis", "RedisSentinel": "mylist-redis-sentinel"}
    return {kind: {"app": app, **data(kind)["metadata"]["labels"]} for kind, app in named.items()}


def pods_of_stores() -> Iterator[Object]:
    """Yield the pods that the operators create, with the fields that a policy reads."""
    of_redis = labels_of_redis()
    for name, port, labels in (
        ("mongodb", 27017, labels_of_mongodb()),
        ("redis", 6379, of_redis["RedisReplication"]),
        ("sentinel", 26379, of_redis["RedisSentinel"]),
    ):
        ports = [{"name": name, "containerPort": port, "protocol": "TCP"}]
        yield {
            "kind": "Pod",
            "metadata": {"name": name, "labels": labels},
            "spec": {"containers": [{"name": name, "ports": ports}]},
        }


def with_data(rendered: Rendered) -> Rendered:
    """Return the release with the pods and policies of the stores."""
    return Rendered([*rendered.objects, *pods_of_stores(), *built("data").of_kind("NetworkPolicy")], rendered.given)


def read_only(rendered: Rendered) -> Rendered:
    """Undo the one difference from `restricted` that copying files into a pod requires."""
    changed = rendered.copy()
    writable = []
    for name, container, _ in changed.containers():
        if not container["securityContext"]["readOnlyRootFilesystem"]:
            writable.append(name)
            container["securityContext"]["readOnlyRootFilesystem"] = True
    assert {name.partition("/")[0] for name in writable} == {"Deployment", "Job", "Pod"}
    assert not any("mongodb" in name or "redis" in name for name in writable)
    return changed


def secrets_of_pods(rendered: Rendered) -> Iterator[tuple[str, set[str]]]:
    for _, container, spec in rendered.containers():
        for variable in container.get("env", []):
            if "secretKeyRef" in variable.get("valueFrom", {}):
                reference = variable["valueFrom"]["secretKeyRef"]
                yield reference["name"], {reference["key"]}
        for volume in spec.get("volumes", []):
            if "secret" in volume:
                yield volume["secret"]["secretName"], {item["key"] for item in volume["secret"]["items"]}
            for source in volume.get("projected", {}).get("sources", []):
                if "secret" in source:
                    yield source["secret"]["name"], {item["key"] for item in source["secret"]["items"]}
        for reference in spec.get("imagePullSecrets", []):
            yield reference["name"], {".dockerconfigjson"}


def secrets_of_stores() -> Iterator[tuple[str, set[str]]]:
    spec = data("MongoDBCommunity")["spec"]
    for user in spec["users"]:
        yield user["passwordSecretRef"]["name"], {user["passwordSecretRef"]["key"]}
    yield spec["security"]["tls"]["certificateKeySecretRef"]["name"], {"tls.crt", "tls.key"}
    for kind in ("RedisReplication", "RedisSentinel"):
        secret = data(kind)["spec"]["kubernetesConfig"]["redisSecret"]
        yield secret["name"], {secret["key"]}
    yield from secrets_of_pods(built("data"))


def test_operators_yaml_has_exactly_the_kinds_in_use() -> None:
    used = {each["kind"] for name in KUSTOMIZATIONS for each in built(name).objects if is_foreign(each)}

    assert used == OPERATORS.keys()
    assert all(re.search(r" \d+\.\d+\.\d+, ", each["source"]) for each in OPERATORS.values())


def test_files_begin_with_a_comment() -> None:
    for path in (*K8S.glob("values/*.yaml"), K8S / "kind.yaml", Path(ROOT / "skaffold.yaml")):
        assert path.read_text().startswith("# "), path

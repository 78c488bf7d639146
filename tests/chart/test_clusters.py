"""Common kinds of clusters: each has requirements for pods, policies and Services, which its case must meet."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from mylist.mongodb.collections import CHANGES, LISTS, PROCESSES
from tests.chart.fake_cluster import FakeCluster, fake_cluster
from tests.chart.kustomizations import KUSTOMIZATIONS, built
from tests.chart.network_policies import Peer, Port, allows
from tests.chart.rendering import (
    CASES,
    CHART,
    CLUSTERS,
    KUBERNETES,
    Object,
    Rendered,
    case,
    manifests_of_case,
    parse,
    render,
    rendered_case,
    template,
    values,
)
from tests.chart.tools.helm import HelmError
from tests.chart.umbrella import template as of_dependencies
from tests.chart.umbrella import umbrella

PAGE = (CHART.parents[1] / "docs" / "clusters.md").read_text()
COMPONENTS = {"api", "mongodb", "redis", "seed", "test"}
IDS = {"runAsUser", "runAsGroup", "fsGroup"}
EVERY_POD = {"seed.enabled": True}


def pods(rendered: Rendered) -> dict[str, Object]:
    """The pods by their component."""
    return {pod["metadata"]["labels"]["app.kubernetes.io/component"]: pod for _, pod in rendered.templates()}


def labels(rendered: Rendered, name: str) -> dict[str, str | None]:
    """The value of a label, by component."""
    return {component: pod["metadata"]["labels"].get(name) for component, pod in pods(rendered).items()}


def annotations(rendered: Rendered, name: str) -> dict[str, str | None]:
    """The value of an annotation, by component."""
    return {component: pod["metadata"].get("annotations", {}).get(name) for component, pod in pods(rendered).items()}


def ids(rendered: Rendered) -> set[str]:
    """Return each user or group id that a pod or container sets."""
    contexts = [(name, pod["spec"]["securityContext"]) for name, pod in rendered.templates()]
    contexts += [(name, container["securityContext"]) for name, container, _ in rendered.containers()]
    return {f"{name} {each}" for name, context in contexts for each in IDS & context.keys()}


def dns_rules(rendered: Rendered, of: str = "") -> list[Object]:
    """Return the rules that let pods query DNS, of all policies or of one."""
    return [
        rule
        for policy in rendered.of_kind("NetworkPolicy")
        if of in ("", policy["metadata"]["name"])
        for rule in policy["spec"].get("egress", [])
        if {"port": 53, "protocol": "UDP"} in rule["ports"]
    ]


def test_the_page_on_clusters_has_a_row_for_each_kind_of_cluster() -> None:
    linked = re.findall(r"^\| .*\(\.\./charts/mylist/ci/([a-z0-9-]+)-values\.yaml\)", PAGE, re.MULTILINE)

    assert sorted(linked) == sorted(CLUSTERS)
    assert len(CLUSTERS) >= 12


class TestDns:
    @pytest.mark.parametrize("component", ["api", "seed", "test"])
    def test_may_be_on_other_ports(self, component: str) -> None:
        to = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "dns"}}}
        rendered = render({**EVERY_POD, "networkPolicy.dnsTo": [to], "networkPolicy.dnsPorts": [8053]})
        pod = pods(rendered)[component]

        for protocol in ("UDP", "TCP"):
            assert allows(rendered, pod, "egress", "namespace/dns", Port(8053, protocol))
            assert not allows(rendered, pod, "egress", "namespace/dns", Port(53, protocol))
            assert not allows(rendered, pod, "egress", "namespace/kube-system", Port(8053, protocol))

    @pytest.mark.parametrize("component", ["api", "seed", "test"])
    @pytest.mark.parametrize("address", ["169.254.20.10", "10.96.0.10"])
    def test_may_be_on_the_node(self, component: str, address: str) -> None:
        rendered = rendered_case("node-local-dns")
        pod = pods(rendered)[component]

        for protocol in ("UDP", "TCP"):
            assert allows(rendered, pod, "egress", f"address/{address}", Port(53, protocol))
        assert not allows(rendered, pod, "egress", f"address/{address}", Port(80))
        assert not allows(rendered, pod, "egress", "address/10.96.0.11", Port(53, "UDP"))

    def test_on_the_node_does_not_open_the_metadata_address_of_the_cloud(self) -> None:
        rendered = rendered_case("default")

        for pod in pods(rendered).values():
            for port in (Port(53, "UDP"), Port(80)):
                assert not allows(rendered, pod, "egress", "address/169.254.169.254", port)
                assert not allows(rendered, pod, "egress", "anywhere", port)

    def test_rules_in_k8s_equal_those_of_the_chart(self) -> None:
        """These are the policies of the stores, of the load test and of everything else in k8s/."""
        [of_chart] = dns_rules(rendered_case("default"), "mylist-test")
        beside = [rule for name in KUSTOMIZATIONS for rule in dns_rules(built(name))]

        assert len(beside) > 3
        assert all(rule == of_chart for rule in beside)


class TestOpenShift:
    def test_pods_set_no_user_or_group_id(self) -> None:
        assert pods(rendered_case("openshift")).keys() == COMPONENTS
        assert ids(rendered_case("openshift")) == set()
        assert len(ids(rendered_case("everything"))) == len(IDS) * len(COMPONENTS)

    def test_is_recognized_by_its_api(self) -> None:
        there = Rendered(parse(template("--api-versions", "security.openshift.io/v1", "--set", "seed.enabled=true")))

        assert pods(there).keys() == COMPONENTS
        assert ids(there) == set()

    def test_pods_keep_the_ids_if_the_adaptation_is_disabled(self) -> None:
        told = ("--set", "global.compatibility.openshift.adaptSecurityContext=disabled")
        kept = Rendered(parse(template("--api-versions", "security.openshift.io/v1", *told)))

        assert ids(kept) == ids(rendered_case("default"))

    def test_pods_keep_the_rest_of_the_security_context(self) -> None:
        for name, pod in pods(rendered_case("openshift")).items():
            security = pods(rendered_case("everything"))[name]["spec"]["securityContext"]
            assert pod["spec"]["securityContext"] == {key: value for key, value in security.items() if key not in IDS}


class TestMeshes:
    @pytest.mark.parametrize("what", ["podLabels", "podAnnotations"])
    def test_global_labels_and_annotations_apply_to_every_pod(self, what: str) -> None:
        read = labels if what == "podLabels" else annotations
        rendered = render({**EVERY_POD, f"global.{what}": {"a/b": "all"}})

        assert read(rendered, "a/b") == dict.fromkeys(COMPONENTS, "all")

    @pytest.mark.parametrize("what", ["podLabels", "podAnnotations"])
    @pytest.mark.parametrize(
        ("prefix", "component"),
        [("", "api"), ("mongodb.", "mongodb"), ("redis.", "redis"), ("seed.", "seed"), ("tests.", "test")],
    )
    def test_labels_and_annotations_of_one_component_override_the_global_ones(
        self, what: str, prefix: str, component: str
    ) -> None:
        read = labels if what == "podLabels" else annotations
        both = {f"global.{what}": {"a/b": "all"}, f"{prefix}{what}": {"a/b": ""}}

        assert read(render({**EVERY_POD, **both}), "a/b") == {**dict.fromkeys(COMPONENTS, "all"), component: ""}

    def test_the_seed_job_and_the_test_pod_can_stay_outside_the_mesh(self) -> None:
        """On clusters without native sidecars, the sidecar would never end."""
        rendered = render(
            {
                **EVERY_POD,
                "global.podLabels": {"sidecar.istio.io/inject": "true"},
                "seed.podLabels": {"sidecar.istio.io/inject": "false"},
                "tests.podLabels": {"sidecar.istio.io/inject": "false"},
            }
        )
        inside = labels(rendered, "sidecar.istio.io/inject")

        assert {component for component, value in inside.items() if value == "false"} == {"seed", "test"}

    def test_given_annotations_do_not_replace_the_hooks_of_the_test_pod(self) -> None:
        rendered = render({"global.podAnnotations": {"a/b": "1"}, "tests.podAnnotations": {"c/d": "2"}})
        found = rendered.one("Pod", "mylist-test")["metadata"]["annotations"]

        assert found == {
            "a/b": "1",
            "c/d": "2",
            "helm.sh/hook": "test",
            "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
        }

    @pytest.mark.parametrize(
        ("name", "read", "what", "value"),
        [
            ("istio", labels, "sidecar.istio.io/inject", "true"),
            ("istio", annotations, "sidecar.istio.io/nativeSidecar", "true"),
            ("istio-ambient", labels, "istio.io/dataplane-mode", "ambient"),
            ("linkerd", annotations, "linkerd.io/inject", "enabled"),
            ("linkerd", annotations, "config.beta.linkerd.io/proxy-enable-native-sidecar", "true"),
        ],
    )
    def test_every_pod_has_the_labels_and_annotations_of_the_mesh(
        self, name: str, read: Any, what: str, value: str
    ) -> None:
        assert read(rendered_case(name), what) == dict.fromkeys(COMPONENTS, value)

    @pytest.mark.parametrize(
        ("name", "peer", "port"),
        [
            ("istio", "namespace/istio-system", Port(15012)),
            ("istio", "namespace/kube-system", Port(53, "UDP")),
            *(("linkerd", "namespace/linkerd", Port(number)) for number in (8080, 8086, 8090)),
            ("linkerd", "namespace/kube-system", Port(53, "UDP")),
        ],
    )
    def test_every_proxy_reaches_the_control_plane(self, name: str, peer: Peer, port: Port) -> None:
        rendered = rendered_case(name)

        assert pods(rendered).keys() == COMPONENTS
        for component, pod in pods(rendered).items():
            assert allows(rendered, pod, "egress", peer, port), component
            assert not allows(rendered, pod, "egress", peer, Port(port.number + 1, port.protocol)), component

    @pytest.mark.parametrize(("name", "port"), [("istio-ambient", Port(15008)), ("linkerd", Port(4143))])
    def test_pods_of_the_release_reach_each_other_on_the_port_of_the_mesh(self, name: str, port: Port) -> None:
        rendered = rendered_case(name)
        stranger: Object = {"metadata": {"labels": {"app": "stranger"}}}

        for pod in pods(rendered).values():
            for other in pods(rendered).values():
                assert allows(rendered, pod, "egress", other, port)
                assert allows(rendered, other, "ingress", pod, port)
        for component, pod in pods(rendered).items():
            # The API's own port admits such a pod as well, in plain text.
            assert allows(rendered, pod, "ingress", stranger, port) is (component == "api")

    def test_probes_of_istio_ambient_reach_every_port(self) -> None:
        rendered = rendered_case("istio-ambient")

        for component, pod in pods(rendered).items():
            for container in pod["spec"]["containers"]:
                for port in container.get("ports", []):
                    number = Port(port["containerPort"], name=port["name"])
                    assert allows(rendered, pod, "ingress", "address/169.254.7.127", number), component

    @pytest.mark.parametrize("store", ["mongodb", "redis"])
    def test_a_store_can_have_extra_egress_rules(self, store: str) -> None:
        to = {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kms"}}}]}
        rendered = render({f"{store}.networkPolicy.extraEgress": [{**to, "ports": [{"port": 5696}]}]})

        assert {
            component
            for component, pod in pods(rendered).items()
            if allows(rendered, pod, "egress", "namespace/kms", Port(5696))
        } == {store}


class TestIpFamilies:
    @pytest.mark.parametrize(
        ("name", "policies", "families"),
        [
            ("ipv6", {"SingleStack", None}, ["IPv6"]),
            ("dual-stack", {"PreferDualStack"}, ["IPv6", "IPv4"]),
        ],
    )
    def test_of_a_case_are_set_on_every_service(
        self, name: str, policies: set[str | None], families: list[str]
    ) -> None:
        services = rendered_case(name).of_kind("Service")

        assert len(services) == 3
        assert {each["spec"].get("ipFamilyPolicy") for each in services} == policies
        assert all(each["spec"]["ipFamilies"] == families for each in services)

    def test_default_to_those_of_the_cluster(self) -> None:
        for each in rendered_case("default").of_kind("Service"):
            assert not {"ipFamilies", "ipFamilyPolicy"} & each["spec"].keys()

    @pytest.mark.parametrize("name", CASES)
    def test_mongodb_listens_on_ipv4_and_ipv6(self, name: str) -> None:
        """The image adds --bind_ip_all, which means IPv4 only unless --ipv6 is set."""
        for each in rendered_case(name).of_kind("StatefulSet"):
            for container in each["spec"]["template"]["spec"]["containers"]:
                if container["name"] == "mongodb":
                    assert "--ipv6" in container["args"]
                    assert not any(argument.startswith("--bind") for argument in container["args"])

    def test_mongodb_beside_the_chart_listens_on_ipv4_and_ipv6(self) -> None:
        [mongodb] = built("data").of_kind("MongoDBCommunity")
        config = mongodb["spec"]["additionalMongodConfig"]

        assert config["net.ipv6"] is True
        assert set(config["net.bindIp"].split(",")) == {"::", "0.0.0.0"}  # noqa: S104 - of a pod

    @pytest.mark.parametrize("name", ["ipv6", "dual-stack"])
    def test_the_service_listens_on_ipv4_and_ipv6(self, name: str) -> None:
        assert rendered_case(name).configuration()["HOST"] == "::"


@pytest.fixture
def empty_cluster(tmp_path: Path) -> Iterator[FakeCluster]:
    with fake_cluster(tmp_path) as made:
        yield made


class TestRenderedTwice:
    @pytest.mark.parametrize("name", CLUSTERS)
    def test_a_case_is_identical_byte_for_byte(self, name: str) -> None:
        assert template("--values", str(case(name)), "--kube-version", KUBERNETES[-1]) == manifests_of_case(name)

    @pytest.mark.parametrize("name", ["default", "minimal"])
    def test_a_release_is_identical_if_the_cluster_has_its_passwords(
        self, empty_cluster: FakeCluster, name: str
    ) -> None:
        installed, again = (empty_cluster.install("--values", str(case(name))) for _ in range(2))

        assert installed.of_kind("Secret")
        assert without_owners(again) == without_owners(installed)

    def test_an_empty_password_is_refused_if_password_generation_is_off(self) -> None:
        with pytest.raises(HelmError) as refused:
            render(global__generatePasswords=False)

        assert "global.generatePasswords is false and redis.auth.password is empty" in str(refused.value)
        assert "auth.existingSecret" in str(refused.value)

    def test_passwords_of_the_cluster_are_kept_if_password_generation_is_off(self, empty_cluster: FakeCluster) -> None:
        installed = empty_cluster.install()
        upgraded = empty_cluster.install("--set", "global.generatePasswords=false")

        assert without_owners(upgraded) == without_owners(installed)

    def test_given_passwords_are_accepted_if_password_generation_is_off(self) -> None:
        of_mongodb = dict.fromkeys(("rootPassword", "password", "exporterPassword"), "a")
        rendered = render(
            {
                "global.generatePasswords": False,
                "redis.auth.password": "b",
                **{f"mongodb.auth.{name}": value for name, value in of_mongodb.items()},
            }
        )

        assert len(rendered.of_kind("Secret")) == 2


class TestAirGapped:
    def test_every_image_comes_from_the_internal_registry(self) -> None:
        images = {container["image"] for _, container, _ in rendered_case("air-gapped").containers()}

        assert len(images) == 5
        assert all(image.startswith("registry.internal:5000/") for image in images), images
        for _, pod in rendered_case("air-gapped").templates():
            assert pod["spec"]["imagePullSecrets"] == [{"name": "registry-internal"}]

    def test_every_url_is_internal(self) -> None:
        rendered = rendered_case("air-gapped")
        hosts = Counter(re.findall(r"\bhttps?://([^/\"'\s:)]+)", json.dumps(rendered.objects)))

        assert hosts.keys() <= {"git.internal", "mylist.ott"}, hosts
        assert hosts["git.internal"] > 20


class TestQuota:
    @pytest.mark.parametrize("what", ["cpu", "memory", "ephemeral-storage"])
    @pytest.mark.parametrize("of", ["requests", "limits"])
    def test_the_release_fits_during_a_rolling_update(self, of: str, what: str) -> None:
        rendered = rendered_case("restricted-quota")
        taken = Decimal(0)
        for name, pod in rendered.templates():
            containers = pod["spec"]["containers"]
            taken += copies(rendered, name) * sum(quantity(each["resources"][of][what]) for each in containers)

        assert 0 < taken <= quantity(quota()[f"{of}.{what}"])

    def test_the_number_of_pods_and_the_volumes_fit(self) -> None:
        rendered = rendered_case("restricted-quota")
        claims = [
            claim["spec"]["resources"]["requests"]["storage"]
            for each in rendered.of_kind("StatefulSet")
            for claim in each["spec"].get("volumeClaimTemplates", [])
        ]

        assert sum(copies(rendered, name) for name, _ in rendered.templates()) <= int(quota()["pods"])
        assert len(claims) <= int(quota()["persistentvolumeclaims"])
        assert sum(map(quantity, claims)) <= quantity(quota()["requests.storage"])

    def test_every_container_is_within_the_limit_range(self) -> None:
        limits = rendered_case("restricted-quota").one("LimitRange", "mylist-extra")["spec"]["limits"]
        [of_containers] = [each for each in limits if each["type"] == "Container"]
        for name, container, _ in rendered_case("restricted-quota").containers():
            for what in ("cpu", "memory"):
                least, most = (quantity(container["resources"][of][what]) for of in ("requests", "limits"))
                assert quantity(of_containers["min"][what]) <= least <= most <= quantity(of_containers["max"][what])
                assert most / least <= quantity(of_containers["maxLimitRequestRatio"][what]), f"{name}: {what}"


class TestExternalSecrets:
    def test_each_variable_reads_the_configured_secret_and_key(self) -> None:
        keys = {
            each["name"]: (each["valueFrom"]["secretKeyRef"]["name"], each["valueFrom"]["secretKeyRef"]["key"])
            for _, container, _ in rendered_case("external-secrets").containers()
            for each in container["env"]
            if "secretKeyRef" in each.get("valueFrom", {})
        }

        assert keys == {
            "MONGO_INITDB_ROOT_PASSWORD": ("mongodb-credentials", "root"),
            "MYLIST_PASSWORD": ("mongodb-credentials", "service"),
            "MONGODB_PASSWORD": ("mongodb-credentials", "service"),
            "REDIS_PASSWORD": ("redis-credentials", "password"),
            "JWT_SECRET": ("token-keys", "hs256"),
            "OTEL_EXPORTER_OTLP_HEADERS": ("collector-credentials", "otlp-headers"),
        }


class TestUmbrella:
    def test_renders_the_same_objects_as_its_case(self, tmp_path: Path) -> None:
        given = values(case("umbrella"))
        of_umbrella = {"global": given.pop("global"), "mylist": given}
        chart = umbrella(tmp_path / "umbrella", {"condition": "mylist.enabled"}, values=of_umbrella)
        inside = [each for manifest in of_dependencies(chart)["mylist"] for each in parse(manifest)]

        assert by_name(inside) == by_name(rendered_case("umbrella").objects)


class TestReadOnlyCatalogue:
    def test_the_release_has_no_seed_job_and_its_test_uses_an_existing_title(self) -> None:
        rendered = rendered_case("read-only-catalogue")
        [test] = pods(rendered)["test"]["spec"]["containers"]

        assert not rendered.of_kind("Job")
        assert {each["name"]: each.get("value") for each in test["env"]}["CONTENT_ID"]

    def test_the_documented_role_can_write_the_collections_of_the_service(self) -> None:
        [role] = re.findall(r"```javascript\n(.*?)```", PAGE, re.DOTALL)
        [collections] = re.findall(r"collections = (\[[^]]+\])$", role, re.MULTILINE)

        assert json.loads(collections) == [LISTS, CHANGES, PROCESSES]


def test_the_chart_accepts_the_examples_of_the_page() -> None:
    examples = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

    assert len(examples) > 1
    for each in examples:
        assert render(yaml.safe_load(each)).objects


def quota() -> dict[str, str]:
    """Return the limits of the quota in the case's namespace."""
    hard: dict[str, str] = rendered_case("restricted-quota").one("ResourceQuota", "mylist-extra")["spec"]["hard"]
    return hard


def copies(rendered: Rendered, name: str) -> int:
    """Return how many copies of a pod can exist at once."""
    if not name.startswith("Deployment/"):
        return 1
    spec = rendered.deployment()["spec"]
    return int(spec["replicas"] + spec["strategy"]["rollingUpdate"]["maxSurge"])


def quantity(text: str | int) -> Decimal:
    """A quantity of Kubernetes as a number."""
    units = {"": Decimal(1), "m": Decimal("0.001"), "Mi": Decimal(2**20), "Gi": Decimal(2**30)}
    found = re.fullmatch(r"([0-9.]+)(m|Mi|Gi|)", str(text))
    assert found, text
    return Decimal(found[1]) * units[found[2]]


def by_name(objects: list[Object]) -> dict[tuple[str, str], Object]:
    """The objects by kind and name."""
    return {(each["kind"], each["metadata"]["name"]): each for each in objects}


def without_owners(rendered: Rendered) -> list[Object]:
    """Return the objects without the annotations that the fake cluster adds."""
    copied = rendered.copy().objects
    for each in copied:
        for name in ("meta.helm.sh/release-name", "meta.helm.sh/release-namespace"):
            each["metadata"].get("annotations", {}).pop(name, None)
    return copied

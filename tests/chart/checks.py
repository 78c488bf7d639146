"""The rules for everything that the chart renders. test_checks.py shows for each that it can fail."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from mylist.config.settings import Settings
from tests.chart.network_policies import Peer, Port, allows, matches
from tests.chart.rendering import NAMESPACE, RELEASE, Object, Rendered

# Volumes that the Pod Security Standard `restricted` allows.
_VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"),
}
# Seconds after the last request, for writes and invalidations in flight, spans and connections. Each has a deadline.
_CLOSING = 9
# The kind of object that each kind of reference names.
_KINDS = {
    **dict.fromkeys(("configMap", "configMapRef", "configMapKeyRef"), "ConfigMap"),
    **dict.fromkeys(("secret", "secretRef", "secretKeyRef"), "Secret"),
}
_IDENTITY = {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"}
# Kinds whose selector Kubernetes or the Prometheus operator reads, and the path of the selector.
_SELECTED = {
    "Deployment": ("selector", "matchLabels"),
    "StatefulSet": ("selector", "matchLabels"),
    "PodDisruptionBudget": ("selector", "matchLabels"),
    "Service": ("selector",),
    "ServiceMonitor": ("selector", "matchLabels"),
}


def check_objects_are_named_labelled_and_placed(rendered: Rendered) -> None:
    names = Counter((each["kind"], each["metadata"]["name"]) for each in rendered.objects)
    assert [name for name, times in names.items() if times > 1] == []
    for each in rendered.objects:
        assert each["metadata"]["namespace"] == NAMESPACE, each["metadata"]
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", each["metadata"]["name"]), each["metadata"]
        if not _is_extra(rendered, each):
            labels = each["metadata"]["labels"]
            assert labels["app.kubernetes.io/instance"] == RELEASE
            assert {"app.kubernetes.io/name", "app.kubernetes.io/managed-by", "helm.sh/chart"} <= labels.keys()


def check_pods_are_restricted(rendered: Rendered) -> None:
    """Pods meet the Pod Security Standard `restricted`, and have no token, no service links and read-only files."""
    for name, pod in rendered.templates():
        spec = pod["spec"]
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security.get("runAsUser") != 0, name
        assert security["seccompProfile"]["type"] in {"RuntimeDefault", "Localhost"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False, name
        for volume in spec.get("volumes", []):
            assert volume.keys() - {"name"} <= _VOLUMES, f"{name}: {volume}"
    for name, container, _ in rendered.containers():
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False, name
        assert security["capabilities"] == {"drop": ["ALL"]}, name
        assert security["readOnlyRootFilesystem"] is True, name
        assert not security.get("privileged"), name
        assert security.get("runAsNonRoot", True), name
        assert security.get("runAsUser") != 0, name
        assert not any("hostPort" in port for port in container.get("ports", [])), name


def check_containers_say_what_they_need(rendered: Rendered) -> None:
    for name, container, _ in rendered.containers():
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
        assert "memory" in container["resources"]["limits"], name
    for name, pod in rendered.templates():
        if name.startswith(("Deployment/", "StatefulSet/")):
            for container in pod["spec"]["containers"]:
                assert {"livenessProbe", "readinessProbe"} <= container.keys(), name


def check_variables_are_set_once(rendered: Rendered) -> None:
    for name, container, _ in rendered.containers():
        times = Counter(each["name"] for each in container.get("env", []))
        for source in container.get("envFrom", []):
            if "configMapRef" in source:
                times.update(rendered.one("ConfigMap", source["configMapRef"]["name"])["data"].keys())
        assert [variable for variable, count in times.items() if count > 1] == [], name


def check_references_lead_somewhere(rendered: Rendered) -> None:
    there = {
        "Secret": {each["metadata"]["name"]: set(each["data"]) for each in rendered.of_kind("Secret")},
        "ConfigMap": {each["metadata"]["name"]: set(each["data"]) for each in rendered.of_kind("ConfigMap")},
    }
    promised = set(_promised(rendered.given))
    for where, kind, name, key in _references(rendered):
        if name in there[kind]:
            assert not key or key in there[kind][name], f"{where}: {kind} {name} has no {key}"
        else:
            assert name in promised, f"{where}: there is no {kind} {name}"
    accounts = {each["metadata"]["name"] for each in rendered.of_kind("ServiceAccount")} | {"default"}
    for name, pod in rendered.templates():
        assert pod["spec"]["serviceAccountName"] in accounts, name
    for name, container, spec in rendered.containers():
        volumes = {each["name"] for each in spec.get("volumes", [])} | _claims(rendered, name)
        for mount in container.get("volumeMounts", []):
            assert mount["name"] in volumes, f"{name}: there is no volume {mount['name']}"


def check_ports_lead_somewhere(rendered: Rendered) -> None:
    for name, container, _ in rendered.containers():
        ports = {each["name"] for each in container.get("ports", [])}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            for how in ("httpGet", "tcpSocket"):
                if how in container.get(probe, {}):
                    assert container[probe][how]["port"] in ports, f"{name}: {probe}"
    for service in rendered.of_kind("Service"):
        pods = _pods_of(rendered, service)
        assert pods, f"{service['metadata']['name']} selects nothing"
        for port in service["spec"]["ports"]:
            assert all(port["targetPort"] in _port_names(pod) for pod in pods), service["metadata"]["name"]


def check_backends_are_there(rendered: Rendered) -> None:
    services = {each["metadata"]["name"]: each["spec"]["ports"] for each in rendered.of_kind("Service")}
    for ingress in rendered.of_kind("Ingress"):
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                target = path["backend"]["service"]
                assert target["port"]["name"] in {port["name"] for port in services[target["name"]]}
    for route in rendered.of_kind("HTTPRoute"):
        for rule in route["spec"]["rules"]:
            for target in rule["backendRefs"]:
                assert target["port"] in {port["port"] for port in services[target["name"]]}
    for stateful in rendered.of_kind("StatefulSet"):
        assert stateful["spec"]["serviceName"] in services
    for scaler in rendered.of_kind("HorizontalPodAutoscaler", "ScaledObject"):
        assert scaler["spec"]["scaleTargetRef"]["name"] == rendered.deployment()["metadata"]["name"]


def check_selectors_match_and_never_change(rendered: Rendered) -> None:
    """Selectors depend on no value except names, because the selector of a Deployment cannot be changed."""
    for each in rendered.objects:
        if path := _SELECTED.get(each["kind"]):
            selector: Any = each["spec"]
            for part in path:
                selector = selector[part]
            assert set(selector) == _IDENTITY, f"{each['kind']}/{each['metadata']['name']}"
            assert selector["app.kubernetes.io/instance"] == RELEASE
            if "template" in each["spec"]:
                assert selector.items() <= each["spec"]["template"]["metadata"]["labels"].items()
                for claim in each["spec"].get("volumeClaimTemplates", []):
                    assert set(claim["metadata"]["labels"]) == _IDENTITY, "a claim's labels cannot be changed either"
            elif each["kind"] == "ServiceMonitor":
                assert _services_of(rendered, each), each["metadata"]["name"]
            else:
                assert len(list(_selecting(rendered, selector))) == 1, f"{each['kind']}/{each['metadata']['name']}"
    for policy in rendered.of_kind("NetworkPolicy"):
        assert any(matches(policy["spec"]["podSelector"], _labels(pod)) for _, pod in rendered.templates())
    for _, pod in rendered.templates():
        for constraint in pod["spec"].get("topologySpreadConstraints", []):
            assert matches(constraint["labelSelector"], _labels(pod))


def check_network_is_closed_but_for_what_is_needed(rendered: Rendered) -> None:
    """Every pod has a policy, each declared port admits its clients, and each pod can reach its dependencies."""
    if not rendered.of_kind("NetworkPolicy"):
        assert rendered.given["networkPolicy"] == {"enabled": False}
        return
    stranger: Object = {"metadata": {"labels": {"app": "stranger"}}}
    pods = dict(rendered.templates())
    for name, pod in pods.items():
        assert not allows(rendered, pod, "ingress", "namespace/elsewhere", Port(1)), name
        assert not allows(rendered, pod, "egress", "anywhere", Port(1)), name
        for port in _ports(pod):
            users = _users(rendered, pods, pod, port)
            assert users, f"{name}: nobody may use {port}"
            for user in users:
                assert allows(rendered, pod, "ingress", user, port), f"{name}: {port} is closed for {user}"
        if _component(pod) in {"mongodb", "redis"}:
            assert not allows(rendered, pod, "ingress", stranger, _ports(pod)[0]), name
    for name, pod in pods.items():
        for need, peer, port in _needs(rendered, pods, pod):
            assert allows(rendered, pod, "egress", peer, port), f"{name}: no way to {need}, {port}"


def check_nothing_scales_against_a_scaler(rendered: Rendered) -> None:
    scalers = rendered.of_kind("HorizontalPodAutoscaler", "ScaledObject")
    assert len(scalers) <= 1
    assert ("replicas" in rendered.deployment()["spec"]) is not bool(scalers)
    for scaler in scalers:
        named = re.findall(r"'(?:container|containerName)': '(\w+)'", str(scaler))
        assert named == ["mylist"]
        assert "cpu" in rendered.deployment()["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]


def check_the_grace_is_long_enough(rendered: Rendered) -> None:
    spec = rendered.deployment()["spec"]["template"]["spec"]
    settings = _settings(rendered)
    pause = spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    needed = pause + settings.shutdown_delay + settings.shutdown_timeout + _CLOSING
    assert spec["terminationGracePeriodSeconds"] >= needed


def check_images_are_fixed(rendered: Rendered) -> None:
    for name, container, _ in rendered.containers():
        image, _, digest = container["image"].partition("@")
        repository, _, tag = image.rpartition("/")[2].partition(":")
        assert repository, name
        assert digest.startswith("sha256:") if digest else tag, f"{name}: {container['image']}"
        assert tag != "latest", name


def check_monitors_find_what_they_scrape(rendered: Rendered) -> None:
    for monitor in rendered.of_kind("ServiceMonitor"):
        [service] = _services_of(rendered, monitor)
        for endpoint in monitor["spec"]["endpoints"]:
            assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}, monitor["metadata"]["name"]
            relabeling = endpoint["relabelings"][0]
            assert relabeling["targetLabel"] == "job"
            assert re.fullmatch(r"mylist(-mongodb|-redis)?", relabeling["replacement"])


def check_settings_are_accepted(rendered: Rendered) -> None:
    """The service accepts its settings. Certificates are left out, because only the container has the files."""
    configuration = rendered.configuration()
    settings = _settings(rendered)
    assert (
        settings.port == rendered.deployment()["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"]
    )
    for variable, value in configuration.items():
        assert "e+" not in value, variable
    assert "@" not in urlsplit(configuration.get("MONGODB_URI", "")).netloc


def check_files_that_settings_name_are_there(rendered: Rendered) -> None:
    """Every container that gets the settings has the files, because it does not start without them."""
    configuration = rendered.configuration()
    files = re.findall(r"(?:tlsCAFile|ssl_\w+)=(/[^&\n]*)", "\n".join(configuration.values()))
    for name, container, spec in rendered.containers():
        if "envFrom" in container:
            assert set(files) <= set(_mounted(container, spec)), name


def check_passwords_are_in_secrets_alone(rendered: Rendered) -> None:
    for each in rendered.objects:
        if each["kind"] != "Secret":
            for name, value in _strings(each):
                assert not re.fullmatch(r"(?i).*(password|headers)", name) or not value, f"{each['kind']}: {name}"
    for name, container, _ in rendered.containers():
        for each in container.get("env", []):
            if "PASSWORD" in each["name"]:
                assert "secretKeyRef" in each["valueFrom"], name


def check_pods_start_anew_with_their_configuration(rendered: Rendered) -> None:
    annotations = rendered.deployment()["spec"]["template"]["metadata"]["annotations"]
    for name in ("checksum/config", "checksum/secret"):
        assert re.fullmatch(r"[0-9a-f]{64}", annotations[name]), name


CHECKS = [each for name, each in globals().items() if name.startswith("check_")]


def _is_extra(rendered: Rendered, each: Object) -> bool:
    return bool(rendered.given.get("extraObjects")) and each["metadata"]["name"].endswith("-extra")


def _labels(pod: Object) -> dict[str, str]:
    labels: dict[str, str] = pod["metadata"]["labels"]
    return labels


def _component(pod: Object) -> str:
    return _labels(pod)["app.kubernetes.io/component"]


def _settings(rendered: Rendered) -> Settings:
    """Return the settings as the service gets them, with a made-up value for the secret that their check requires."""
    [container] = rendered.deployment()["spec"]["template"]["spec"]["containers"][:1]
    secrets = {each["name"] for each in container.get("env", ())} & {"JWT_SECRET"}
    return Settings.load(_plain(rendered.configuration()) | dict.fromkeys(secrets, "x" * 32))


def _plain(configuration: dict[str, str]) -> dict[str, str]:
    """Remove the files from URLs, because the service would open them; add the password, which is in a Secret."""
    plain = {**configuration, "MONGODB_PASSWORD": "x"}
    if "REDIS_URL" in plain:
        plain["REDIS_URL"] = re.sub(r"ssl_(ca_certs|certfile|keyfile)=[^&]*&?", "", plain["REDIS_URL"]).rstrip("?&")
    return plain


def _promised(given: Any) -> Iterator[str]:
    """Yield the Secrets and ConfigMaps that already exist according to the values."""
    if isinstance(given, dict):
        for name, value in given.items():
            if name in {"existingSecret", "caSecret", "caConfigMap", "clientSecret", "secretName"}:
                yield value
            yield from _promised(value)
    elif isinstance(given, list):
        for each in given:
            yield from _promised(each)


def _references(rendered: Rendered) -> Iterator[tuple[str, str, str, str]]:
    """Yield each reference to a Secret or ConfigMap: the place, and the kind, name and key."""
    for name, container, _ in rendered.containers():
        sources = [*container.get("envFrom", []), *(each.get("valueFrom", {}) for each in container.get("env", []))]
        yield from _named(name, sources)
    for name, pod in rendered.templates():
        for volume in pod["spec"].get("volumes", []):
            yield from _named(name, [volume, *volume.get("projected", {}).get("sources", [])])


def _named(where: str, sources: list[Object]) -> Iterator[tuple[str, str, str, str]]:
    for source in sources:
        for reference in source.keys() & _KINDS.keys():
            to = source[reference]
            yield where, _KINDS[reference], to.get("secretName") or to["name"], to.get("key", "")


def _claims(rendered: Rendered, container: str) -> set[str]:
    kind, name, _ = container.split("/")
    if kind != "StatefulSet":
        return set()
    return {each["metadata"]["name"] for each in rendered.one(kind, name)["spec"].get("volumeClaimTemplates", [])}


def _port_names(pod: Object) -> set[str]:
    return {port.name for port in _ports(pod)}


def _ports(pod: Object) -> list[Port]:
    return [
        Port(port["containerPort"], port["protocol"], port["name"])
        for container in pod["spec"]["containers"]
        for port in container.get("ports", [])
    ]


def _selecting(rendered: Rendered, labels: dict[str, str]) -> Iterator[Object]:
    return (pod for _, pod in rendered.templates() if labels.items() <= _labels(pod).items())


def _pods_of(rendered: Rendered, service: Object) -> list[Object]:
    return list(_selecting(rendered, service["spec"]["selector"]))


def _services_of(rendered: Rendered, monitor: Object) -> list[Object]:
    return [
        each for each in rendered.of_kind("Service") if matches(monitor["spec"]["selector"], each["metadata"]["labels"])
    ]


def _users(rendered: Rendered, pods: dict[str, Object], pod: Object, port: Port) -> list[Peer]:
    """Return the peers that must reach a declared port."""
    component = _component(pod)
    given = rendered.given.get("networkPolicy", {})
    of_metrics: list[Peer] = [f"namespace/{each}" for each in given.get("metricsNamespaces", ["monitoring"])]
    if port.name == "metrics":
        return of_metrics
    clients = {"mongodb": {"api", "seed", "test"}, "redis": {"api", "seed"}, "api": {"test"}}[component]
    users: list[Peer] = [each for each in pods.values() if _component(each) in clients]
    if component == "api":
        users += [*of_metrics, *(f"namespace/{each}" for each in given.get("namespaces", []))]
    return users


def _needs(rendered: Rendered, pods: dict[str, Object], pod: Object) -> Iterator[tuple[str, Peer, Port]]:
    """Yield the destinations that a pod must reach: a name, the peer, the port."""
    component = _component(pod)
    if component in {"mongodb", "redis"}:
        return
    dns = [("namespace/kube-system", 53)]
    if "dnsTo" not in rendered.given.get("networkPolicy", {}):
        dns += [("namespace/openshift-dns", 5353), ("address/169.254.20.10", 53)]
    for who, number in dns:
        for protocol in ("UDP", "TCP"):
            yield "DNS", who, Port(number, protocol)
    yield from _store(rendered, pods, "mongodb")
    if component in {"api", "seed"}:
        yield from _store(rendered, pods, "redis")
    if component == "api":
        variables = {each["name"]: each.get("value", "") for each in pod["spec"]["containers"][0].get("env", [])}
        if endpoint := variables.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
            url = urlsplit(endpoint)
            where = f"namespace/{url.hostname.rpartition('.')[2]}" if url.port and url.hostname else "anywhere"
            yield "the collector", where, Port(url.port or {"http": 80, "https": 443}[url.scheme])
    if component == "test":
        [service] = [each for each in rendered.of_kind("Service") if _component(each) == "api"]
        for api in _pods_of(rendered, service):
            yield "the service", api, _ports(api)[0]


def _store(rendered: Rendered, pods: dict[str, Object], store: str) -> Iterator[tuple[str, Peer, Port]]:
    inside = [each for each in pods.values() if _component(each) == store]
    for each in inside:
        yield store, each, _ports(each)[0]
    if inside:
        return
    url = rendered.configuration().get("MONGODB_URI" if store == "mongodb" else "REDIS_URL")
    usual = 27017 if store == "mongodb" else 6379
    hidden = rendered.given[f"external{store.capitalize()}"].get("ports", [])
    ports = [int(port or usual) for _, port in _hosts(url)] or hidden
    assert ports, f"nobody says on which ports {store} is"
    yield from ((store, "anywhere", Port(port)) for port in ports)
    if url and "sentinel" in url:
        yield "the primary", "anywhere", Port(usual)


def _hosts(url: str | None) -> list[tuple[str, str]]:
    hosts = urlsplit(url or "").netloc.rpartition("@")[2]
    return re.findall(r"([^,:]+)(?::(\d+))?", hosts)


def _mounted(container: Object, spec: Object) -> Iterator[str]:
    volumes = {each["name"]: each for each in spec.get("volumes", [])}
    for mount in container.get("volumeMounts", []):
        for source in volumes.get(mount["name"], {}).get("projected", {}).get("sources", []):
            for content in source.values():
                yield from (f"{mount['mountPath']}/{item['path']}" for item in content["items"])


def _strings(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _strings(each, str(key))
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each, name)
    elif isinstance(value, str):
        yield name, value

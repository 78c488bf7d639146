"""Each check can fail: a test breaks its rule in a case that passes, and the check must fail."""

import ast
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.chart import checks
from tests.chart.rendering import Object, Rendered, rendered_case

Check = Callable[[Rendered], None]


class Breakage(NamedTuple):
    """A check, a change that breaks its rule, and the case to change."""

    check: Check
    name: str
    do: Callable[[Rendered], Any]
    case: str = "default"


def pod(rendered: Rendered) -> Object:
    spec: Object = rendered.deployment()["spec"]["template"]["spec"]
    return spec


def container(rendered: Rendered) -> Object:
    first: Object = pod(rendered)["containers"][0]
    return first


def drop(rendered: Rendered, kind: str, name: str) -> None:
    rendered.objects.remove(rendered.one(kind, name))


def policy(rendered: Rendered, name: str = "mylist") -> Object:
    spec: Object = rendered.one("NetworkPolicy", name)["spec"]
    return spec


def _open(rendered: Rendered) -> None:
    for each in rendered.of_kind("NetworkPolicy"):
        rendered.objects.remove(each)
    rendered.given["networkPolicy"] = {}


NAMED = checks.check_objects_are_named_labelled_and_placed
RESTRICTED = checks.check_pods_are_restricted
NEEDS = checks.check_containers_say_what_they_need
ONCE = checks.check_variables_are_set_once
REFERENCES = checks.check_references_lead_somewhere
PORTS = checks.check_ports_lead_somewhere
BACKENDS = checks.check_backends_are_there
SELECTORS = checks.check_selectors_match_and_never_change
CLOSED = checks.check_network_is_closed_but_for_what_is_needed
SCALERS = checks.check_nothing_scales_against_a_scaler
GRACE = checks.check_the_grace_is_long_enough
IMAGES = checks.check_images_are_fixed
MONITORS = checks.check_monitors_find_what_they_scrape
SETTINGS = checks.check_settings_are_accepted
FILES = checks.check_files_that_settings_name_are_there
PASSWORDS = checks.check_passwords_are_in_secrets_alone
ANEW = checks.check_pods_start_anew_with_their_configuration

BREAKAGES = [
    Breakage(NAMED, "two of a name", lambda r: r.objects.append(r.one("Service"))),
    Breakage(NAMED, "no namespace", lambda r: r.one("Service")["metadata"].pop("namespace")),
    Breakage(NAMED, "too long a name", lambda r: r.one("Service")["metadata"].update(name="a" * 64)),
    Breakage(NAMED, "no instance", lambda r: r.one("Service")["metadata"]["labels"].pop("app.kubernetes.io/instance")),
    Breakage(NAMED, "by nobody", lambda r: r.one("Service")["metadata"]["labels"].pop("app.kubernetes.io/managed-by")),
    Breakage(RESTRICTED, "root allowed", lambda r: pod(r)["securityContext"].update(runAsNonRoot=False)),
    Breakage(RESTRICTED, "root", lambda r: pod(r)["securityContext"].update(runAsUser=0)),
    Breakage(
        RESTRICTED, "no seccomp", lambda r: pod(r)["securityContext"].update(seccompProfile={"type": "Unconfined"})
    ),
    Breakage(RESTRICTED, "host network", lambda r: pod(r).update(hostNetwork=True)),
    Breakage(RESTRICTED, "a token", lambda r: pod(r).update(automountServiceAccountToken=True)),
    Breakage(RESTRICTED, "links", lambda r: pod(r).update(enableServiceLinks=True)),
    Breakage(RESTRICTED, "a host path", lambda r: pod(r).update(volumes=[{"name": "a", "hostPath": {"path": "/"}}])),
    Breakage(RESTRICTED, "escalation", lambda r: container(r)["securityContext"].update(allowPrivilegeEscalation=True)),
    Breakage(RESTRICTED, "a capability", lambda r: container(r)["securityContext"]["capabilities"].update(drop=[])),
    Breakage(RESTRICTED, "writable", lambda r: container(r)["securityContext"].update(readOnlyRootFilesystem=False)),
    Breakage(RESTRICTED, "privileged", lambda r: container(r)["securityContext"].update(privileged=True)),
    Breakage(RESTRICTED, "the container's root", lambda r: container(r)["securityContext"].update(runAsUser=0)),
    Breakage(RESTRICTED, "root in the container", lambda r: container(r)["securityContext"].update(runAsNonRoot=False)),
    Breakage(RESTRICTED, "a host port", lambda r: container(r)["ports"][0].update(hostPort=1)),
    Breakage(
        RESTRICTED,
        "the Job's",
        lambda r: r.of_kind("Job")[0]["spec"]["template"]["spec"]["containers"][0]["securityContext"].clear(),
        "everything",
    ),
    Breakage(NEEDS, "no memory limit", lambda r: container(r)["resources"].pop("limits")),
    Breakage(NEEDS, "no request", lambda r: container(r)["resources"]["requests"].pop("cpu")),
    Breakage(NEEDS, "no liveness", lambda r: container(r).pop("livenessProbe")),
    Breakage(ONCE, "twice in env", lambda r: container(r)["env"].append(container(r)["env"][0])),
    Breakage(ONCE, "in env and ConfigMap", lambda r: container(r)["env"].append({"name": "CACHE_TTL", "value": "1"})),
    Breakage(REFERENCES, "no Secret", lambda r: drop(r, "Secret", "mylist-redis")),
    Breakage(REFERENCES, "no key", lambda r: r.one("Secret", "mylist-mongodb")["data"].pop("mongodb-password")),
    Breakage(REFERENCES, "no ConfigMap", lambda r: drop(r, "ConfigMap", "mylist-mongodb")),
    Breakage(REFERENCES, "no ServiceAccount", lambda r: drop(r, "ServiceAccount", "mylist")),
    Breakage(REFERENCES, "no volume", lambda r: pod(r).pop("volumes"), "external"),
    Breakage(REFERENCES, "a Secret nobody promised", lambda r: r.given["externalMongodb"].clear(), "external"),
    Breakage(PORTS, "probe", lambda r: container(r)["livenessProbe"]["httpGet"].update(port="other")),
    Breakage(PORTS, "target", lambda r: r.one("Service")["spec"]["ports"][0].update(targetPort="other")),
    Breakage(PORTS, "nobody", lambda r: r.one("Service")["spec"]["selector"].update(a="b")),
    Breakage(
        BACKENDS,
        "Ingress",
        lambda r: r.one("Service", "ott-mylist")["spec"]["ports"][0].update(name="other"),
        "everything",
    ),
    Breakage(BACKENDS, "HTTPRoute", lambda r: r.one("Service")["spec"]["ports"][0].update(port=81), "prod"),
    Breakage(
        BACKENDS, "StatefulSet", lambda r: r.one("StatefulSet", "mylist-redis")["spec"].update(serviceName="other")
    ),
    Breakage(
        BACKENDS,
        "scaler",
        lambda r: r.one("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"].update(name="other"),
        "prod",
    ),
    Breakage(SELECTORS, "by version", lambda r: r.deployment()["spec"]["selector"]["matchLabels"].update(version="1")),
    Breakage(
        SELECTORS,
        "without instance",
        lambda r: r.one("Service")["spec"]["selector"].pop("app.kubernetes.io/instance"),
    ),
    Breakage(
        SELECTORS,
        "another component",
        lambda r: r.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"].update(
            {"app.kubernetes.io/component": "web"}
        ),
    ),
    Breakage(
        SELECTORS,
        "of another release",
        lambda r: r.one("Service")["spec"]["selector"].update({"app.kubernetes.io/instance": "other"}),
    ),
    Breakage(
        SELECTORS,
        "not of its own pods",
        lambda r: r.deployment()["spec"]["selector"]["matchLabels"].update({"app.kubernetes.io/name": "other"}),
    ),
    Breakage(
        SELECTORS,
        "a claim's labels",
        lambda r: r.one("StatefulSet", "mylist-mongodb")["spec"]["volumeClaimTemplates"][0]["metadata"][
            "labels"
        ].update(version="1"),
    ),
    Breakage(SELECTORS, "a policy of nothing", lambda r: policy(r).update(podSelector={"matchLabels": {"a": "b"}})),
    Breakage(
        SELECTORS,
        "spread of others",
        lambda r: pod(r)["topologySpreadConstraints"][0].update(labelSelector={"matchLabels": {"a": "b"}}),
    ),
    Breakage(
        SELECTORS,
        "a monitor of nothing",
        lambda r: r.one("ServiceMonitor")["spec"]["selector"]["matchLabels"].update(
            {"app.kubernetes.io/component": "web"}
        ),
        "prod",
    ),
    Breakage(CLOSED, "a pod without a policy", lambda r: r.objects.append(_lonely(r))),
    Breakage(CLOSED, "all may come in", lambda r: policy(r)["ingress"].append({})),
    Breakage(CLOSED, "all may go out", lambda r: policy(r)["egress"].append({})),
    Breakage(CLOSED, "no DNS by TCP", lambda r: policy(r)["egress"][0]["ports"].pop(1)),
    Breakage(
        CLOSED, "no DNS of OpenShift", lambda r: policy(r, "mylist-seed")["egress"][0]["ports"].pop(), "openshift"
    ),
    Breakage(CLOSED, "no DNS of the node", lambda r: policy(r, "mylist-test")["egress"][0]["to"].pop()),
    Breakage(CLOSED, "no MongoDB", lambda r: policy(r)["egress"].pop(1)),
    Breakage(CLOSED, "no Redis", lambda r: policy(r)["egress"].pop(2)),
    Breakage(CLOSED, "no collector", lambda r: policy(r)["egress"].pop(), "prod"),
    Breakage(CLOSED, "no Sentinels", lambda r: policy(r)["egress"][2]["ports"].pop(0), "external"),
    Breakage(CLOSED, "no primary behind Sentinels", lambda r: policy(r)["egress"][2]["ports"].pop(), "external"),
    Breakage(CLOSED, "not all of MongoDB", lambda r: policy(r)["egress"][1]["ports"].pop(), "external"),
    Breakage(CLOSED, "no Cluster", lambda r: policy(r)["egress"].pop(), "ha"),
    Breakage(CLOSED, "no MongoDB of a hidden URI", lambda r: policy(r)["egress"].pop(1), "ha"),
    Breakage(CLOSED, "nobody says which ports", lambda r: r.given["externalMongodb"].pop("ports"), "ha"),
    Breakage(CLOSED, "a port for nobody", lambda r: drop(r, "Deployment", "mylist")),
    Breakage(CLOSED, "MongoDB lets nobody in", lambda r: policy(r, "mylist-mongodb").pop("ingress")),
    Breakage(
        CLOSED,
        "MongoDB lets all in",
        lambda r: policy(r, "mylist-mongodb")["ingress"][0]["from"].append({"podSelector": {}}),
    ),
    Breakage(CLOSED, "no metrics", lambda r: policy(r, "mylist-redis")["ingress"].pop(), "everything"),
    Breakage(CLOSED, "no chosen namespace", lambda r: policy(r)["ingress"][0]["from"].pop(), "prod"),
    Breakage(CLOSED, "seed", lambda r: policy(r, "mylist-seed")["egress"].pop(), "external"),
    Breakage(CLOSED, "test", lambda r: policy(r, "mylist-test")["egress"].pop()),
    Breakage(CLOSED, "no policy at all", _open),
    Breakage(SCALERS, "replicas", lambda r: r.deployment()["spec"].update(replicas=3), "prod"),
    Breakage(SCALERS, "no replicas", lambda r: r.deployment()["spec"].pop("replicas")),
    Breakage(SCALERS, "two", lambda r: r.objects.append(r.one("HorizontalPodAutoscaler")), "prod"),
    Breakage(SCALERS, "no request", lambda r: container(r)["resources"]["requests"].pop("cpu"), "prod"),
    Breakage(SCALERS, "another container", lambda r: _scaler(r)["containerResource"].update(container="web"), "prod"),
    Breakage(GRACE, "short", lambda r: pod(r).update(terminationGracePeriodSeconds=25)),
    Breakage(GRACE, "a longer drain", lambda r: r.one("ConfigMap")["data"].update(SHUTDOWN_TIMEOUT="60")),
    Breakage(GRACE, "a longer pause", lambda r: container(r)["lifecycle"]["preStop"]["sleep"].update(seconds=20)),
    Breakage(IMAGES, "latest", lambda r: container(r).update(image="mylist:latest")),
    Breakage(IMAGES, "no tag", lambda r: container(r).update(image="registry:5000/mylist")),
    Breakage(IMAGES, "no name", lambda r: container(r).update(image=":1.0.0")),
    Breakage(IMAGES, "no digest", lambda r: container(r).update(image="mylist@1.0.0")),
    Breakage(MONITORS, "port", lambda r: r.one("Service")["spec"]["ports"][0].update(name="web"), "prod"),
    Breakage(MONITORS, "job", lambda r: _endpoint(r)["relabelings"][0].update(replacement="other"), "prod"),
    Breakage(MONITORS, "label", lambda r: _endpoint(r)["relabelings"][0].update(targetLabel="other"), "prod"),
    Breakage(SETTINGS, "a number", lambda r: r.one("ConfigMap")["data"].update(CATALOGUE_SIZE="1e+06")),
    Breakage(SETTINGS, "another number", lambda r: r.one("ConfigMap")["data"].update(SLOW_REQUEST="1e+01")),
    Breakage(SETTINGS, "a value", lambda r: r.one("ConfigMap")["data"].update(LOG_LEVEL="loud")),
    Breakage(SETTINGS, "another port", lambda r: r.one("ConfigMap")["data"].update(PORT="3001")),
    Breakage(SETTINGS, "a bad URL", lambda r: r.one("ConfigMap")["data"].update(REDIS_URL="redis+sentinel://a")),
    Breakage(SETTINGS, "a password", lambda r: r.one("ConfigMap")["data"].update(MONGODB_URI="mongodb://a:b@c/d")),
    Breakage(FILES, "no certificate", lambda r: container(r)["volumeMounts"].pop(), "external"),
    Breakage(
        FILES,
        "none for the Job",
        lambda r: r.of_kind("Job")[0]["spec"]["template"]["spec"]["containers"][0].pop("volumeMounts"),
        "external",
    ),
    Breakage(PASSWORDS, "in a ConfigMap", lambda r: r.one("ConfigMap")["data"].update(REDIS_PASSWORD="a")),
    Breakage(PASSWORDS, "in a variable", lambda r: _plain_password(container(r)["env"][0])),
    Breakage(ANEW, "no checksum", lambda r: _annotations(r).pop("checksum/config")),
    Breakage(ANEW, "an empty one", lambda r: _annotations(r).update({"checksum/secret": ""})),
]


def _lonely(rendered: Rendered) -> Object:
    lonely: Object = rendered.copy().one("Pod", "mylist-test")
    lonely["metadata"] |= {"name": "lonely", "labels": {"app.kubernetes.io/component": "test"}}
    return lonely


def _scaler(rendered: Rendered) -> Object:
    metric: Object = rendered.one("HorizontalPodAutoscaler")["spec"]["metrics"][0]
    return metric


def _endpoint(rendered: Rendered) -> Object:
    endpoint: Object = rendered.one("ServiceMonitor")["spec"]["endpoints"][0]
    return endpoint


def _plain_password(variable: Object) -> None:
    variable["valueFrom"] = {"configMapKeyRef": {"name": "mylist", "key": "MONGODB_PASSWORD"}}


def _annotations(rendered: Rendered) -> Object:
    annotations: Object = rendered.deployment()["spec"]["template"]["metadata"]["annotations"]
    return annotations


def called(each: Breakage) -> str:
    return f"{each.check.__name__.removeprefix('check_')}: {each.name}"


def failure(breakage: Breakage) -> int:
    """Break the rule; return the line of the assertion that fails."""
    broken = rendered_case(breakage.case).copy()
    breakage.check(broken)
    breakage.do(broken)

    with pytest.raises((AssertionError, ValueError, KeyError)) as noticed:
        breakage.check(broken)
    lines = [entry.lineno + 1 for entry in noticed.traceback if str(entry.path) == checks.__file__]
    return lines[-1]


@pytest.mark.parametrize("breakage", BREAKAGES, ids=called)
def test_a_check_fails_if_its_rule_is_broken(breakage: Breakage) -> None:
    failure(breakage)


def test_every_assertion_of_the_checks_fails_for_some_breakage() -> None:
    tree = ast.parse(inspect.getsource(checks))
    failed = {failure(breakage) for breakage in BREAKAGES}
    never = [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert) and not failed & {*range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    ]

    assert never == []

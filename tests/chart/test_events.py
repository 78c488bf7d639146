"""The Deployment that delivers events about changes of lists to other systems."""

from typing import Any

import pytest

from tests.chart.rendering import Rendered, render, rendered_case
from tests.chart.tools.helm import HelmError

Object = dict[str, Any]

EXTERNAL = {"mongodb.enabled": False, "externalMongodb.uri": "mongodb://a:27017/mylist-ott?replicaSet=rs0"}


def pod(rendered: Rendered) -> Object:
    spec: Object = rendered.one("Deployment", "mylist-events")["spec"]["template"]["spec"]
    return spec


def container(rendered: Rendered) -> Object:
    [only] = pod(rendered)["containers"]
    found: Object = only
    return found


def test_events_are_off_by_default() -> None:
    for name in ("external", "prod"):
        assert not [each for each in rendered_case(name).objects if each["metadata"]["name"].endswith("-events")]


def test_events_run_in_one_monitored_process_configured_like_the_service() -> None:
    rendered = render({**EXTERNAL, "events.enabled": True, "serviceMonitor.enabled": True})
    deployment = rendered.one("Deployment", "mylist-events")
    assert (deployment["spec"]["replicas"], deployment["spec"]["strategy"]) == (1, {"type": "Recreate"})
    own, service = container(rendered), rendered.deployment()["spec"]["template"]["spec"]["containers"][0]
    assert own["command"] == ["mylist", "events"]
    assert own["args"] == ["--name=default", "--metrics-port=9464"]
    for field in ("image", "securityContext", "envFrom"):
        assert own[field] == service[field]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    [monitor] = rendered.of_kind("PodMonitor")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] in {port["name"] for port in own["ports"]}
    assert {"targetLabel": "job", "replacement": "mylist-events"} in endpoint["relabelings"]
    selectors = [each["spec"]["selector"] for each in rendered.of_kind("Service")]
    assert not [each for each in selectors if each.items() <= labels.items()]


def test_a_consumer_gets_its_arguments_image_variables_and_egress() -> None:
    rendered = rendered_case("ha")
    own = container(rendered)
    assert own["args"] == [
        "--name=recommender",
        "--metrics-port=9464",
        "--snapshot",
        *("--", "send-to-broker", "--topic", "lists"),
    ]
    assert own["image"] == "registry.example/mylist-kcat:1.0"
    assert {each["name"] for each in own["env"]} == {"MONGODB_URI", "BROKER"}
    policy = rendered.one("NetworkPolicy", "mylist-events")["spec"]
    assert {"ports": [{"port": 9093, "protocol": "TCP"}]} in policy["egress"]
    assert [each["ports"] for each in policy["ingress"]] == [[{"port": "metrics", "protocol": "TCP"}]]


def test_extra_volumes_are_added_to_those_of_the_service() -> None:
    mount, volume = (
        {"name": "consumer", "mountPath": "/consumer"},
        {"name": "consumer", "configMap": {"name": "consumer"}},
    )
    own = {"events.enabled": True, "events.extraVolumes": [volume], "events.extraVolumeMounts": [mount]}
    rendered = render({**EXTERNAL, **own, "externalMongodb.tls.enabled": True, "externalMongodb.tls.caConfigMap": "ca"})
    assert container(rendered)["volumeMounts"][-1] == mount
    assert pod(rendered)["volumes"][-1] == volume
    assert len(pod(rendered)["volumes"]) == len(container(rendered)["volumeMounts"]) == 2


@pytest.mark.parametrize("name", ["", "a b", "x" * 65])
def test_an_invalid_name_of_the_events_is_refused_by_the_schema(name: str) -> None:
    with pytest.raises(HelmError, match="/events/name"):
        render({**EXTERNAL, "events.enabled": True, "events.name": name})

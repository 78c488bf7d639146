"""k8s/loadtest: the Jobs that load the chart's service and judge it."""

import json
import subprocess
import sys
import tomllib
from typing import Any
from urllib.parse import urlsplit

import pytest

from devtools.service_process import environment
from loadtests.scenarios import SCENARIOS
from tests.chart import checks
from tests.chart.kustomizations import built, rendered_values
from tests.chart.network_policies import Peer, Port, allows
from tests.chart.rendering import ROOT, Object, Rendered, values

MASTER, WORKER = "mylist-loadtest-master", "mylist-loadtest-worker"
JOBS = pytest.mark.parametrize("name", [MASTER, WORKER])
API = Port(3000, name="http")
LOCUST = Port(5557, name="locust")
DEFAULT_DENY: Object = {
    "kind": "NetworkPolicy",
    "metadata": {"name": "default-deny"},
    "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
}
# Locust's parser of a container's arguments and variables, and the variables that it knows.
PARSING = """
import json, sys
from locust import events
from locust.argument_parser import get_parser, parse_options
from loadtests.options import add_options
events.init_command_line_parser.add_listener(add_options)
known = [each.env_var for each in get_parser()._actions if getattr(each, "env_var", None)]
print(json.dumps({"known": known, **vars(parse_options(sys.argv[1:]))}, default=str))
"""


@pytest.fixture(scope="module")
def jobs() -> Rendered:
    """The objects of k8s/loadtest alone."""
    return built("loadtest")


@pytest.fixture(scope="module")
def together(jobs: Rendered) -> Rendered:
    """The Jobs beside a release that admits no pod of its own namespace, and where all other traffic is denied."""
    release = rendered_values("staging").copy()
    chart = release.one("NetworkPolicy")["spec"]["ingress"][0]["from"]
    chart[:] = [each for each in chart if each != {"podSelector": {}}]
    return Rendered([*jobs.objects, *release.objects, DEFAULT_DENY], {"caConfigMap": "kube-root-ca.crt"})


def variables(jobs: Rendered) -> dict[str, str]:
    [found] = jobs.of_kind("ConfigMap")
    data: dict[str, str] = found["data"]
    return data


def pod(rendered: Rendered, name: str) -> Object:
    return dict(rendered.templates())[name]


def container(jobs: Rendered, name: str) -> Object:
    [found] = pod(jobs, f"Job/{name}")["spec"]["containers"]
    return dict(found)


def parsed(jobs: Rendered, name: str) -> Any:
    """The options of a container's process."""
    given = container(jobs, name)
    done = subprocess.run(
        [sys.executable, "-c", PARSING, *given["args"]],
        env=environment(variables(jobs) if "envFrom" in given else {}),
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def selected(rendered: Rendered, service: str) -> list[str]:
    selector = rendered.one("Service", service)["spec"]["selector"]
    return [name for name, each in rendered.templates() if selector.items() <= each["metadata"]["labels"].items()]


def test_pods_are_restricted_and_declare_their_resources(jobs: Rendered) -> None:
    for check in (
        checks.check_pods_are_restricted,
        checks.check_containers_say_what_they_need,
        checks.check_variables_are_set_once,
        checks.check_images_are_fixed,
    ):
        check(jobs)


def test_references_and_ports_have_existing_targets(together: Rendered) -> None:
    checks.check_references_lead_somewhere(together)
    checks.check_ports_lead_somewhere(together)


@JOBS
def test_a_job_runs_once_and_takes_the_exit_status_of_its_process(jobs: Rendered, name: str) -> None:
    spec = jobs.one("Job", name)["spec"]

    assert spec["backoffLimit"] == 0
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert "command" not in container(jobs, name)
    assert spec["activeDeadlineSeconds"] > max(scenario.seconds for scenario in SCENARIOS.values()) + 300
    assert spec["ttlSecondsAfterFinished"] > 0


@JOBS
def test_the_image_is_the_one_that_skaffold_builds(jobs: Rendered, name: str) -> None:
    repository, _, tag = container(jobs, name)["image"].partition(":")
    skaffold = values(ROOT / "skaffold.yaml")
    patched = [patch.get("value") for profile in skaffold["profiles"] for patch in profile.get("patches", [])]
    artifacts = [*skaffold["build"]["artifacts"], *(each for each in patched if isinstance(each, dict))]
    [artifact] = [each for each in artifacts if each.get("image") == repository]

    assert repository == "mylist-loadtest"
    assert tag == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert artifact["docker"]["dockerfile"] == "loadtests/Dockerfile"
    assert (ROOT / artifact["docker"]["dockerfile"]).exists()


@pytest.mark.extended  # by Locust, which `make test` does not install
def test_the_options_of_the_master_select_the_scenario_and_print_the_verdict(jobs: Rendered) -> None:
    told = parsed(jobs, MASTER)
    given = variables(jobs)

    assert set(given) <= set(told["known"])
    assert told["scenario"] in SCENARIOS
    assert told["master"] is True
    assert told["num_users"] == int(given["LOCUST_USERS"])
    assert told["run_time"] == 300
    assert (told["people"], told["titles"]) == (10_000, 5000)
    assert told["metrics"] == [given["LOADTEST_METRICS"]]
    assert told["reconnect"] > 0
    assert told["figures"] == "-"


def test_the_load_test_uses_the_lists_that_skaffold_seeds(jobs: Rendered) -> None:
    [profile] = [each for each in values(ROOT / "skaffold.yaml")["profiles"] if each["name"] == "loadtest"]
    patches = {each["path"].rpartition("/")[2]: each["value"] for each in profile["patches"]}

    assert patches["seed.enabled"] is True
    assert str(patches["seed.users"]) == variables(jobs)["LOADTEST_PEOPLE"]
    assert str(patches["seed.titles"]) == variables(jobs)["LOADTEST_TITLES"]


@pytest.mark.extended  # by Locust, which `make test` does not install
def test_the_workers_find_their_master_and_it_waits_for_all_of_them(jobs: Rendered) -> None:
    told = parsed(jobs, WORKER)
    [port] = jobs.one("Service", MASTER)["spec"]["ports"]
    spec = jobs.one("Job", WORKER)["spec"]

    assert told["worker"] is True
    assert told["master_host"] == MASTER
    assert selected(jobs, MASTER) == [f"Job/{MASTER}"]
    assert told["master_port"] == parsed(jobs, MASTER)["master_bind_port"] == port["port"] == LOCUST.number
    [opened] = container(jobs, MASTER)["ports"]
    assert (opened["name"], opened["containerPort"]) == (port["targetPort"], LOCUST.number)
    assert spec["parallelism"] == spec["completions"] == int(variables(jobs)["LOCUST_EXPECT_WORKERS"])


def test_the_load_goes_to_the_service_of_the_chart(jobs: Rendered, together: Rendered) -> None:
    url = urlsplit(variables(jobs)["LOCUST_HOST"])
    service = together.one("Service", url.hostname or "")

    assert url.port in {port["port"] for port in service["spec"]["ports"]}
    assert selected(together, url.hostname or "") == ["Deployment/mylist"]


def test_the_load_test_reads_the_metrics_of_each_pod(jobs: Rendered, together: Rendered) -> None:
    how, url = variables(jobs)["LOADTEST_METRICS"].split("+")
    name = urlsplit(url).hostname or ""

    assert how == "dns"
    assert together.one("Service", name)["spec"]["clusterIP"] == "None"
    assert selected(together, name) == ["Deployment/mylist"]
    [port] = together.deployment()["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert urlsplit(url).port == port["containerPort"] == API.number
    assert urlsplit(url).path == "/metrics"


def test_the_master_may_read_the_autoscaler_and_nothing_else(jobs: Rendered, together: Rendered) -> None:
    [scaler] = together.of_kind("HorizontalPodAutoscaler")
    [role] = jobs.of_kind("Role")
    [rule] = role["rules"]
    [binding] = jobs.of_kind("RoleBinding")
    [subject] = binding["subjects"]
    [account] = jobs.of_kind("ServiceAccount")

    assert variables(jobs)["LOADTEST_AUTOSCALER"] == scaler["metadata"]["name"]
    assert (rule["apiGroups"], rule["resources"]) == (["autoscaling"], ["horizontalpodautoscalers"])
    assert rule["verbs"] == ["get"]
    assert set(rule["resourceNames"]) == {scaler["metadata"]["name"], f"keda-hpa-{scaler['metadata']['name']}"}
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert (subject["name"], subject["namespace"]) == (account["metadata"]["name"], account["metadata"]["namespace"])
    assert not jobs.of_kind("ClusterRole", "ClusterRoleBinding")


@pytest.mark.extended  # by Locust, which `make test` does not install
def test_only_the_master_has_a_token_at_the_path_that_the_load_test_reads(jobs: Rendered) -> None:
    # A separate process prints the path, because Locust's libraries patch the process that imports them.
    says = "from loadtests.autoscaler import ACCOUNT; print(ACCOUNT)"
    done = subprocess.run([sys.executable, "-c", says], cwd=ROOT, check=True, capture_output=True, text=True)
    [mount] = container(jobs, MASTER)["volumeMounts"]
    [volume] = pod(jobs, f"Job/{MASTER}")["spec"]["volumes"]
    sources = {kind: what for source in volume["projected"]["sources"] for kind, what in source.items()}
    paths = [sources["serviceAccountToken"]["path"], *(item["path"] for item in sources["configMap"]["items"])]
    paths += [item["path"] for item in sources["downwardAPI"]["items"]]

    assert (mount["name"], mount["mountPath"]) == (volume["name"], done.stdout.strip())
    assert sorted(paths) == ["ca.crt", "namespace", "token"]
    assert not {"volumes", "initContainers"} & pod(jobs, f"Job/{WORKER}")["spec"].keys()


def test_the_network_allows_only_the_traffic_that_the_load_test_needs(together: Rendered) -> None:
    master, worker = pod(together, f"Job/{MASTER}"), pod(together, f"Job/{WORKER}")
    api, stranger = pod(together, "Deployment/mylist"), {"metadata": {"labels": {"app": "stranger"}}}

    def passes(source: Object, target: Object, port: Port) -> bool:
        return allows(together, source, "egress", target, port) and allows(together, target, "ingress", source, port)

    for client in (master, worker):
        assert passes(client, api, API)
        for protocol in ("UDP", "TCP"):
            assert allows(together, client, "egress", "namespace/kube-system", Port(53, protocol))
        assert not allows(together, client, "egress", "anywhere", Port(80))
        assert not allows(together, client, "egress", stranger, API)
    assert passes(worker, master, LOCUST)
    for port in (Port(443), Port(6443)):
        assert allows(together, master, "egress", "anywhere", port)
        assert not allows(together, worker, "egress", "anywhere", port)
    outsiders: list[Peer] = [stranger, api, "anywhere", "namespace/elsewhere"]
    for outsider in outsiders:
        assert not allows(together, master, "ingress", outsider, LOCUST)
        assert not allows(together, worker, "ingress", outsider, LOCUST)
    assert not allows(together, api, "ingress", stranger, API)


def test_the_pods_do_not_have_the_labels_of_the_release(jobs: Rendered) -> None:
    """Otherwise, the policies and Services of the chart would select them as well."""
    for name in (MASTER, WORKER):
        labels = pod(jobs, f"Job/{name}")["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] != "mylist"
        assert labels["app.kubernetes.io/name"] != "mylist"

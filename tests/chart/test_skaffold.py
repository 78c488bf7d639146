"""skaffold.yaml: every name in it exists, and fits its purpose."""

import functools
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate  # type: ignore[import-untyped]
import msgspec
import pytest
import yaml

from tests.chart import skaffold_config
from tests.chart.kustomizations import K8S, assert_restricted, built
from tests.chart.rendering import CHART, KUBERNETES, ROOT, Object, Rendered, parse, template, values
from tests.chart.skaffold_config import Config, load

PROFILES = ("prod-like", "observability", "loadtest")
COMBINATIONS = [
    (),
    *((profile,) for profile in PROFILES),
    PROFILES,
    PROFILES[::-1],  # skaffold applies them in the order in which they are named
]
IMAGES = {"IMAGE_REPO_mylist": "mylist", "IMAGE_TAG_mylist": "built"}
# The Service of the chart kube-prometheus-stack for a release of this name: its port 80 is Grafana.
GRAFANA = ("kube-prometheus-stack-grafana", "monitoring", 80)

of_combinations = pytest.mark.parametrize("profiles", COMBINATIONS, ids="+".join)


def rendered(config: Config) -> Rendered:
    """The objects of the release of My List."""
    release = config.release
    arguments = [part for file in release.values_files for part in ("--values", str(ROOT / file))]
    for name, value in sorted(release.set_value_templates.items()):
        arguments += ["--set", f"{name}={filled(value)}"]
    return _rendered(release.name, release.namespace, tuple(arguments))


@functools.cache
def _rendered(release: str, namespace: str, arguments: tuple[str, ...]) -> Rendered:
    return Rendered(parse(template(*arguments, release=release, namespace=namespace)))


def filled(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return re.sub(r"\{\{\.(\w+)\}\}", lambda found: IMAGES[found[1]], text)


def kustomized(config: Config) -> Rendered:
    """The objects of the kustomizations."""
    return Rendered([each for path in config.manifests.kustomize.paths for each in built(Path(path).name).objects])


def stages(dockerfile: str) -> dict[str, str]:
    """The stages of a Dockerfile, each with its instructions."""
    parts = re.split(r"^FROM \S+(?: AS (\S+))?$", (ROOT / dockerfile).read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


class TestSchema:
    @of_combinations
    def test_accepts_the_file_with_any_profiles(self, profiles: tuple[str, ...]) -> None:
        assert load(*profiles).metadata.name == "mylist"

    def test_finds_the_expected_profiles_in_the_file(self) -> None:
        assert [each.name for each in load().profiles] == [*PROFILES]

    @pytest.mark.parametrize(
        ("given", "instead"),
        [
            ("target: dev\n", "target: dev\n        targets: dev\n"),
            ("dockerfile: Dockerfile", "target: runtime"),
            ("apiVersion: skaffold/v4beta14", "apiVersion: skaffold/v4beta1"),
            ("port: 80\n", "port: http\n"),
            ("op: replace", "op: change"),
            ("        path: /build/artifacts/0/docker/target", "        path: /build/artifacts/0/docker/tagret"),
            (
                "        path: /deploy/helm/releases/0/valuesFiles/0",
                "        path: /deploy/helm/releases/0/valuesFiles/1",
            ),
        ],
        ids=["unknown", "missing", "version", "type", "operation", "place", "index"],
    )
    def test_refuses_mistakes_that_skaffold_refuses(
        self, given: str, instead: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text = skaffold_config.FILE.read_text()
        wrong = tmp_path / "skaffold.yaml"
        wrong.write_text(text.replace(given, instead, 1))
        monkeypatch.setattr(skaffold_config, "FILE", wrong)

        assert given in text
        with pytest.raises((msgspec.ValidationError, AssertionError)):
            load("prod-like")

    @of_combinations
    def test_the_order_of_profiles_does_not_matter(self, profiles: tuple[str, ...]) -> None:
        assert as_sets(msgspec.to_builtins(load(*profiles))) == as_sets(msgspec.to_builtins(load(*sorted(profiles))))


class TestNames:
    @of_combinations
    def test_of_files_exist(self, profiles: tuple[str, ...]) -> None:
        config = load(*profiles)
        named = [*config.manifests.kustomize.paths]
        for artifact in config.build.artifacts:
            named += [artifact.context, str(Path(artifact.context, artifact.docker.dockerfile))]
        for release in config.deploy.helm.releases:
            named += [*release.values_files, release.chart_path or "."]
            assert bool(release.chart_path) is not bool(release.remote_chart)
        for each in config.verify:
            named += [each.execution_mode.kubernetes_cluster.job_manifest_path]
        hooks = [*config.deploy.helm.hooks.before]
        if config.deploy.kubectl.hooks:
            hooks += config.deploy.kubectl.hooks.before
        for hook in hooks:
            named += re.findall(r"--kustomize (\S+)", " ".join(hook.host.command))

        assert [each for each in named if not (ROOT / each).exists()] == []
        for path in config.manifests.kustomize.paths:
            assert (ROOT / path).parent == K8S
            assert (ROOT / path / "kustomization.yaml").exists()

    @of_combinations
    def test_of_values_exist_in_the_chart(self, profiles: tuple[str, ...]) -> None:
        table = values(CHART / "values.yaml")
        for store in ("mongodb", "redis"):
            table[store] |= values(CHART / "charts" / store / "values.yaml")

        for name in load(*profiles).release.set_value_templates:
            part = table
            for key in name.split("."):
                assert key in part, name
                part = part[key]
            assert not isinstance(part, dict), name

    @of_combinations
    def test_of_build_stages_exist_in_the_dockerfile(self, profiles: tuple[str, ...]) -> None:
        for artifact in load(*profiles).build.artifacts:
            assert not artifact.docker.target or artifact.docker.target in stages(artifact.docker.dockerfile)

    @of_combinations
    def test_of_forwarded_ports_belong_to_services(self, profiles: tuple[str, ...]) -> None:
        config = load(*profiles)
        services = [*rendered(config).of_kind("Service"), *kustomized(config).of_kind("Service")]
        there = {
            (each["metadata"]["name"], each["metadata"]["namespace"], port["port"])
            for each in services
            for port in each["spec"]["ports"]
        }
        if "observability" in profiles:
            there.add(GRAFANA)

        for each in config.port_forward:
            assert (each.resource_name, each.namespace, each.port) in there
        assert len({each.local_port for each in config.port_forward}) == len(config.port_forward)
        assert config.port_forward[0].local_port == 3000

    @of_combinations
    def test_of_objects_include_a_namespace_so_that_the_context_does_not_matter(
        self, profiles: tuple[str, ...]
    ) -> None:
        config = load(*profiles)

        assert config.deploy.kubectl.default_namespace == ""  # so skaffold adds no --namespace; with null it would
        assert all(each["metadata"].get("namespace") for each in kustomized(config).objects)

    @of_combinations
    def test_of_built_images_are_used_by_a_container(self, profiles: tuple[str, ...]) -> None:
        config = load(*profiles)
        run = {container["image"] for _, container, _ in rendered(config).containers()}
        run |= {container["image"] for _, container, _ in kustomized(config).containers()}

        for artifact in config.build.artifacts:
            assert any(image.partition(":")[0] == artifact.image for image in run), artifact.image
        assert "mylist:built" in run
        assert ("mylist-loadtest" in {each.partition(":")[0] for each in run}) is ("loadtest" in profiles)

    @of_combinations
    def test_of_releases_are_unique_and_their_dependencies_exist(self, profiles: tuple[str, ...]) -> None:
        releases = load(*profiles).deploy.helm.releases
        names = {each.name for each in releases}

        assert len(names) == len(releases)
        assert all(set(each.depends_on) <= names for each in releases)


class TestDev:
    def test_syncs_files_to_their_path_in_the_image(self) -> None:
        artifact = load().artifact("mylist")
        assert artifact.sync
        rules = {rule.src.partition("/")[::2]: rule.dest for rule in artifact.sync.manual}
        dev = stages(artifact.docker.dockerfile)["dev"]
        [(copied, to)] = re.findall(r"^COPY --chown=10001:10001 (\S+) (\S+)$", dev, re.MULTILINE)

        assert artifact.docker.target == "dev"
        # Without `strip` a file keeps its whole path.
        assert {(folder, f"{dest}/{folder}") for (folder, _), dest in rules.items()} == {(copied, to)}
        assert {pattern for _, pattern in rules} == {"**/*.py", "**/*.lua"}
        assert f"PYTHONPATH={to}" in dev
        assert "watchfiles" in dev
        for folder, pattern in rules:
            assert any((ROOT / artifact.context / folder).glob(pattern))

    def test_runs_one_pod_with_a_writable_file_system_and_sample_data(self) -> None:
        release = rendered(load())
        [container] = release.deployment()["spec"]["template"]["spec"]["containers"]
        pod = release.deployment()["spec"]["template"]["spec"]["securityContext"]

        assert release.deployment()["spec"]["replicas"] == 1
        assert container["securityContext"]["readOnlyRootFilesystem"] is False
        assert (pod["runAsUser"], pod["runAsGroup"]) == (10001, 10001)
        assert "command" not in container
        assert "args" not in container
        assert release.of_kind("Job")[0]["spec"]["template"]["spec"]["containers"][0]["command"] == ["mylist", "seed"]

    def test_creates_the_namespace_before_the_release(self) -> None:
        config = load()
        [hook] = config.deploy.helm.hooks.before
        [path] = re.findall(r"--kustomize (\S+)$", hook.host.command[-1])
        [namespace] = built(Path(path).name).of_kind("Namespace")

        assert '--context "$SKAFFOLD_KUBE_CONTEXT"' in hook.host.command[-1]
        assert config.release.namespace == namespace["metadata"]["name"]
        assert not config.release.create_namespace

    def test_does_not_change_the_chart(self) -> None:
        assert load().release.skip_build_dependencies
        assert not (CHART / "Chart.lock").exists()


class TestProdLike:
    def test_runs_the_production_image_with_the_values_of_staging(self) -> None:
        config = load("prod-like")
        release = rendered(config)

        assert config.artifact("mylist").docker.target == "runtime"
        assert config.artifact("mylist").sync is None
        assert config.release.values_files == ["k8s/values/staging.yaml"]
        assert release.of_kind("HorizontalPodAutoscaler")
        assert release.of_kind("Job") == []
        for _, container, _ in release.containers():
            assert container["securityContext"]["readOnlyRootFilesystem"] is True


class TestObservability:
    def test_installs_monitors_rules_and_dashboards(self) -> None:
        release = rendered(load("observability"))
        jobs = {
            endpoint["relabelings"][0]["replacement"]
            for each in release.of_kind("ServiceMonitor")
            for endpoint in each["spec"]["endpoints"]
        }

        assert jobs == {"mylist", "mylist-mongodb", "mylist-redis"}
        assert release.of_kind("PrometheusRule")
        assert any("dashboard" in each["metadata"]["name"] for each in release.of_kind("ConfigMap"))

    def test_installs_the_monitoring_stack_first_under_the_expected_names(self) -> None:
        config = load("observability")
        [stack] = [each for each in config.deploy.helm.releases if each is not config.release]
        prometheus = urlsplit(values(CHART / "values.yaml")["keda"]["prometheus"]).hostname

        assert config.release.depends_on == [stack.name]
        assert stack.values_files == ["observability/values/kube-prometheus-stack.yaml"]
        assert stack.create_namespace
        assert re.fullmatch(r"\d+\.\d+\.\d+", stack.version)
        assert stack.remote_chart.endswith(f"/{stack.name}")
        assert prometheus == f"{stack.name}-prometheus.{stack.namespace}"
        assert f"{stack.name}-grafana" == GRAFANA[0]

    def test_sends_traces_where_grafana_looks_for_them(self) -> None:
        config = load("observability")
        release = rendered(config)
        [container] = release.deployment()["spec"]["template"]["spec"]["containers"]
        variables = {each["name"]: each.get("value") for each in container["env"]}
        service = built("tracing").one("Service", "jaeger")
        where = f"http://jaeger.{service['metadata']['namespace']}"
        [source] = values(ROOT / "observability" / "values" / "kube-prometheus-stack.yaml")["grafana"][
            "additionalDataSources"
        ]
        ports = {each["name"]: each["port"] for each in service["spec"]["ports"]}
        compose = values(ROOT / "observability" / "compose.yaml")["services"]["jaeger"]
        [jaeger] = built("tracing").deployment()["spec"]["template"]["spec"]["containers"]

        assert variables["OTEL_EXPORTER_OTLP_ENDPOINT"] == f"{where}:{ports['otlp']}"
        assert variables["OTEL_TRACES_SAMPLER_ARG"] == "1"
        assert source["url"] == f"{where}:{ports['web']}"
        assert jaeger["image"] == compose["image"]


class TestLoadtest:
    def test_builds_the_image_and_applies_k8s_loadtest(self) -> None:
        config = load("loadtest")

        assert config.artifact("mylist-loadtest").docker.dockerfile == "loadtests/Dockerfile"
        assert config.artifact("mylist-loadtest").context == "."
        assert "k8s/loadtest" in config.manifests.kustomize.paths

    def test_starts_after_the_seed_job_and_deletes_the_objects_of_the_last_run(self) -> None:
        config = load("loadtest")
        assert config.release.wait
        assert config.deploy.helm.flags
        assert config.deploy.kubectl.hooks
        [hook] = config.deploy.kubectl.hooks.before

        for flags in (config.deploy.helm.flags.install, config.deploy.helm.flags.upgrade):
            assert "--wait-for-jobs" in flags
        assert hook.host.command[-1].endswith("delete --ignore-not-found --kustomize k8s/loadtest")
        assert '--context "$SKAFFOLD_KUBE_CONTEXT"' in hook.host.command[-1]

    @pytest.mark.parametrize("profiles", [("loadtest",), ("prod-like", "loadtest")], ids="+".join)
    def test_seeds_the_users_and_titles_of_the_load_test(self, profiles: tuple[str, ...]) -> None:
        config = load(*profiles)
        [job] = rendered(config).of_kind("Job")
        [settings] = [each for each in built("loadtest").of_kind("ConfigMap") if "LOADTEST_PEOPLE" in each["data"]]

        assert job["spec"]["template"]["spec"]["containers"][0]["args"] == [
            f"--users={settings['data']['LOADTEST_PEOPLE']}",
            f"--titles={settings['data']['LOADTEST_TITLES']}",
        ]


class TestVerify:
    def job(self) -> Object:
        [each] = load().verify
        job: Object = values(ROOT / each.execution_mode.kubernetes_cluster.job_manifest_path)
        return job

    def test_runs_helm_test_on_the_release(self) -> None:
        config = load()
        [each] = config.verify
        release = config.release

        assert [*each.container.command, *each.container.args] == [
            *("helm", "test", release.name, "--namespace", release.namespace, "--logs"),
        ]
        assert rendered(config).one("Pod", "mylist-test")["metadata"]["annotations"]["helm.sh/hook"] == "test"

    def test_runs_helm_in_the_container_of_the_job(self) -> None:
        [each] = load().verify
        [container] = self.job()["spec"]["template"]["spec"]["containers"]

        assert (container["name"], container["image"]) == (each.container.name, each.container.image)
        assert re.fullmatch(r"alpine/helm:4\.\d+\.\d+", container["image"])
        assert self.job()["spec"]["activeDeadlineSeconds"] == each.timeout
        assert self.job()["metadata"]["labels"], "skaffold adds to them and fails where there are none"

    @pytest.mark.parametrize("kubernetes", KUBERNETES)
    def test_job_is_valid_and_allowed_in_its_restricted_namespace(self, kubernetes: str) -> None:
        spec = self.job()["spec"]["template"]["spec"]
        [container] = spec["containers"]

        kubernetes_validate.validate(self.job(), kubernetes, strict=True)
        assert_restricted("verify", spec["securityContext"], [container["securityContext"]])
        assert self.job()["metadata"]["namespace"] == load().release.namespace

    def test_service_account_has_the_rights_that_helm_test_needs(self) -> None:
        """Helm reads and writes the release, a Secret. It creates, watches and removes the objects of the test."""
        account = built("verify").one("ServiceAccount", self.job()["spec"]["template"]["spec"]["serviceAccountName"])
        binding = built("verify").one("RoleBinding", account["metadata"]["name"])
        allowed = {
            (resource, verb)
            for rule in built("verify").one("Role", binding["roleRef"]["name"])["rules"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        tested = rendered(load()).objects
        kinds = {
            each["kind"].lower() + "s"
            for each in tested
            if each["metadata"].get("annotations", {}).get("helm.sh/hook") == "test"
        }

        assert kinds == {"configmaps", "pods"}
        for kind in (*kinds, "secrets"):
            assert {(kind, verb) for verb in ("get", "list", "watch", "create", "patch", "delete")} <= allowed
        assert ("secrets", "update") in allowed
        assert ("pods/log", "get") in allowed
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": account["metadata"]["name"], "namespace": "mylist"}
        ]


def test_the_documented_profiles_and_kustomizations_exist() -> None:
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    profiles = {name for found in re.findall(r"--profile ([\w,-]+)", page) for name in found.split(",")}
    directories = re.findall(r"kubectl apply -k (\S+?)`?$", page, re.MULTILINE)

    assert profiles == {*PROFILES}
    assert {"k8s/metrics-server", "k8s/production"} <= set(directories)
    assert all((ROOT / each / "kustomization.yaml").exists() for each in directories)
    assert "skaffold verify" in page


def as_sets(value: Any) -> Any:
    """Return the value without the order of its lists, because profiles append to them."""
    if isinstance(value, dict):
        return {key: as_sets(each) for key, each in value.items()}
    if isinstance(value, list):
        return sorted(yaml.safe_dump(as_sets(each)) for each in value)
    return value

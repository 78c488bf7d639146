"""Every case of charts/mylist/ci on every supported Kubernetes."""

from collections.abc import Callable

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from tests.chart.checks import CHECKS
from tests.chart.rendering import CASES, CHART, CLUSTERS, KUBERNETES, Rendered, case, rendered_case
from tests.chart.tools.helm import helm

# Kinds that operators define. Kubernetes itself has no schema for them.
FOREIGN = {"ServiceMonitor", "PrometheusRule", "ScaledObject", "HTTPRoute"}

of_cases = pytest.mark.parametrize("name", CASES)
on_kubernetes = pytest.mark.parametrize("kubernetes", KUBERNETES)


def test_the_chart_has_exactly_the_expected_cases() -> None:
    assert set(CASES) == {"default", "external", "ha", "minimal", "everything", "prod"} | set(CLUSTERS)


@of_cases
def test_a_case_passes_helm_lint_without_warnings(name: str) -> None:
    """The test uses the newest Kubernetes, which has deprecated the most."""
    said = helm(
        *("lint", "--strict", "--quiet", "--kube-version", KUBERNETES[-1], "--values", str(case(name)), str(CHART)),
    )

    assert "[WARNING]" not in said
    assert "[ERROR]" not in said


@of_cases
@on_kubernetes
def test_the_objects_of_a_case_match_the_schemas_of_kubernetes(name: str, kubernetes: str) -> None:
    for each in rendered_case(name).objects:
        if each["kind"] not in FOREIGN:
            kubernetes_validate.validate(each, kubernetes, strict=True)


def test_the_manifests_do_not_depend_on_the_kubernetes_version() -> None:
    """So the other tests may render for one version only."""
    templates = [*CHART.rglob("*.tpl"), *CHART.rglob("templates/**/*.yaml")]

    assert len(templates) > 30
    assert not [path for path in templates if "KubeVersion" in path.read_text()]
    for kubernetes in KUBERNETES:
        assert rendered_case("external", kubernetes).objects == rendered_case("external").objects


@of_cases
@pytest.mark.parametrize("kubernetes", KUBERNETES[-1:])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_a_case_passes_each_check(name: str, kubernetes: str, check: Callable[[Rendered], None]) -> None:
    check(rendered_case(name, kubernetes))


def test_the_cases_render_every_kind_of_object() -> None:
    """The cases cover everything that the chart can render."""
    kinds = {each["kind"] for name in CASES for each in rendered_case(name).objects}

    assert kinds == FOREIGN | {
        *("ConfigMap", "Deployment", "HorizontalPodAutoscaler", "Ingress", "Job", "NetworkPolicy", "Pod"),
        *("PodDisruptionBudget", "Secret", "Service", "ServiceAccount", "StatefulSet"),
        # Extra objects of a case.
        *("LimitRange", "ResourceQuota"),
    }


def test_the_selector_of_the_deployment_is_the_same_in_every_case() -> None:
    selectors = {
        frozenset(rendered_case(name).deployment()["spec"]["selector"]["matchLabels"].items()) for name in CASES
    }

    assert {dict(selector)["app.kubernetes.io/component"] for selector in selectors} == {"api"}
    assert len(selectors) == 1

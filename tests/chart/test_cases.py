"""Every case of charts/mylist/ci on every supported Kubernetes."""

from collections.abc import Callable

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from tests.chart.checks import CHECKS
from tests.chart.rendering import CASES, CHART, CLUSTERS, KUBERNETES, Rendered, case, rendered_case
from tests.chart.tools.helm import helm

# Kinds of operators, for which Kubernetes itself has no schema.
FOREIGN = {"ServiceMonitor", "PrometheusRule", "ScaledObject", "HTTPRoute"}

of_cases = pytest.mark.parametrize("name", CASES)
on_kubernetes = pytest.mark.parametrize("kubernetes", KUBERNETES)


def test_there_are_the_cases_that_were_asked_for() -> None:
    assert set(CASES) == {"default", "external", "ha", "minimal", "everything", "prod"} | set(CLUSTERS)


@of_cases
def test_lints(name: str) -> None:
    """On the newest Kubernetes, which has deprecated the most."""
    said = helm(
        *("lint", "--strict", "--quiet", "--kube-version", KUBERNETES[-1], "--values", str(case(name)), str(CHART)),
    )

    assert "[WARNING]" not in said
    assert "[ERROR]" not in said


@of_cases
@on_kubernetes
def test_is_what_kubernetes_accepts(name: str, kubernetes: str) -> None:
    for each in rendered_case(name).objects:
        if each["kind"] not in FOREIGN:
            kubernetes_validate.validate(each, kubernetes, strict=True)


def test_is_the_same_on_every_kubernetes() -> None:
    """So that it is enough to render for one."""
    templates = [*CHART.rglob("*.tpl"), *CHART.rglob("templates/**/*.yaml")]

    assert len(templates) > 30
    assert not [path for path in templates if "KubeVersion" in path.read_text()]
    for kubernetes in KUBERNETES:
        assert rendered_case("external", kubernetes).objects == rendered_case("external").objects


@of_cases
@pytest.mark.parametrize("kubernetes", KUBERNETES[-1:])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_holds(name: str, kubernetes: str, check: Callable[[Rendered], None]) -> None:
    check(rendered_case(name, kubernetes))


def test_all_kinds_are_rendered() -> None:
    """The cases cover everything that the chart can render."""
    kinds = {each["kind"] for name in CASES for each in rendered_case(name).objects}

    assert kinds == FOREIGN | {
        *("ConfigMap", "Deployment", "HorizontalPodAutoscaler", "Ingress", "Job", "NetworkPolicy", "Pod"),
        *("PodDisruptionBudget", "Secret", "Service", "ServiceAccount", "StatefulSet"),
        # Extra objects of a case.
        *("LimitRange", "ResourceQuota"),
    }


def test_selectors_are_the_same_whatever_the_values() -> None:
    selectors = {
        frozenset(rendered_case(name).deployment()["spec"]["selector"]["matchLabels"].items()) for name in CASES
    }

    assert {dict(selector)["app.kubernetes.io/component"] for selector in selectors} == {"api"}
    assert len(selectors) == 1

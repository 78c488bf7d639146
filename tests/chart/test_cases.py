"""Every case of charts/mylist/ci on every supported Kubernetes."""

from collections.abc import Callable

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from tests.chart.checks import CHECKS
from tests.chart.rendering import CASES, CHART, KUBERNETES, Rendered, case, rendered_case
from tests.chart.tools.helm import helm

# Kinds of operators, of which Kubernetes itself has no schema.
FOREIGN = {"ServiceMonitor", "PrometheusRule", "ScaledObject", "HTTPRoute"}

of_cases = pytest.mark.parametrize("name", CASES)
on_kubernetes = pytest.mark.parametrize("kubernetes", KUBERNETES)


def test_there_are_the_cases_that_were_asked_for() -> None:
    assert set(CASES) == {"default", "external", "ha", "minimal", "everything", "prod"}


@of_cases
@on_kubernetes
def test_lints(name: str, kubernetes: str) -> None:
    said = helm(
        *("lint", "--strict", "--quiet", "--kube-version", kubernetes, "--values", str(case(name)), str(CHART)),
    )

    assert "[WARNING]" not in said
    assert "[ERROR]" not in said


@of_cases
@on_kubernetes
def test_is_what_kubernetes_accepts(name: str, kubernetes: str) -> None:
    for each in rendered_case(name, kubernetes).objects:
        if each["kind"] not in FOREIGN:
            kubernetes_validate.validate(each, kubernetes, strict=True)


@of_cases
@on_kubernetes
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_holds(name: str, kubernetes: str, check: Callable[[Rendered], None]) -> None:
    check(rendered_case(name, kubernetes))


def test_all_kinds_are_rendered() -> None:
    """Whatever the chart can make, some case makes."""
    kinds = {each["kind"] for name in CASES for each in rendered_case(name).objects}

    assert kinds == FOREIGN | {
        *("ConfigMap", "Deployment", "HorizontalPodAutoscaler", "Ingress", "Job", "NetworkPolicy", "Pod"),
        *("PodDisruptionBudget", "Secret", "Service", "ServiceAccount", "StatefulSet"),
    }


@on_kubernetes
def test_selectors_are_the_same_whatever_the_values(kubernetes: str) -> None:
    selectors = {
        frozenset(rendered_case(name, kubernetes).deployment()["spec"]["selector"]["matchLabels"].items())
        for name in CASES
    }

    assert {dict(selector)["app.kubernetes.io/component"] for selector in selectors} == {"api"}
    assert len(selectors) == 1

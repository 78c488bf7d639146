"""k8s/indexes/job.yaml builds the indexes before a rollout, and fits the releases whose settings it uses."""

import re
from collections.abc import Callable
from functools import partial

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from mylist.cli import main
from tests.chart import checks
from tests.chart.kustomizations import K8S, rendered_values
from tests.chart.rendering import CHART, KUBERNETES, ROOT, Object, Rendered, rendered_case, values
from tests.chart.test_kustomizations import with_data

JOB = K8S / "indexes" / "job.yaml"
# All but the changelog, which has former commands.
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")} - {ROOT / "CHANGELOG.md"})
# The arguments after the name of the image in a command that runs it.
RUNS = r'(?:docker run [^`\n]*?(?:"\$IMAGE"|\bmylist:[\d.]+)|kubectl run [^`\n]*? --) ([^`\n]+)'
RELEASES = {"default": partial(rendered_case, "default"), "prod": partial(rendered_values, "prod")}


def beside(rendered: Rendered) -> Rendered:
    """Return a release with the Job; the Job lacks its optional volume if the release does not name the Secret."""
    job: Object = values(JOB)
    spec = job["spec"]["template"]["spec"]
    [volume] = spec["volumes"]
    [source] = volume["projected"]["sources"]
    if source["secret"]["name"] not in str(rendered.given):
        assert source["secret"]["optional"] is True
        del spec["volumes"], spec["containers"][0]["volumeMounts"]
    return Rendered([*rendered.objects, job], rendered.given)


def assert_known(command: str) -> None:
    """Assert that the service has a subcommand."""
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0, command


@pytest.mark.parametrize("kubernetes", KUBERNETES)
def test_kubernetes_accepts_the_job(kubernetes: str) -> None:
    kubernetes_validate.validate(values(JOB), kubernetes, strict=True)


@pytest.mark.parametrize("of", RELEASES)
@pytest.mark.parametrize(
    "check",
    [
        checks.check_pods_are_restricted,
        checks.check_containers_say_what_they_need,
        checks.check_variables_are_set_once,
        checks.check_references_lead_somewhere,
        checks.check_files_that_settings_name_are_there,
        checks.check_passwords_are_in_secrets_alone,
    ],
    ids=lambda check: check.__name__.removeprefix("check_"),
)
def test_the_job_passes_the_checks_of_the_chart(check: Callable[[Rendered], None], of: str) -> None:
    check(beside(RELEASES[of]()))


def test_the_network_policies_let_the_job_reach_its_stores() -> None:
    checks.check_network_is_closed_but_for_what_is_needed(beside(rendered_case("default")))
    checks.check_network_is_closed_but_for_what_is_needed(with_data(beside(rendered_values("prod"))))


def test_the_job_runs_a_command_of_the_service() -> None:
    [container] = values(JOB)["spec"]["template"]["spec"]["containers"]

    assert container["image"] == f"mylist:{values(CHART / 'Chart.yaml')['appVersion']}"
    assert container["args"] == ["mylist", "indexes"]
    assert_known("indexes")


def test_in_documented_commands_the_name_of_the_image_is_followed_by_the_program() -> None:
    """The image has no entrypoint, so the words after its name are the whole command."""
    runtime = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    commands = [words.split() for page in PAGES for words in re.findall(RUNS, page.read_text().replace("\\\n", ""))]

    assert "ENTRYPOINT" not in runtime
    assert len(commands) > 2
    for program, *arguments in commands:
        assert program == "mylist", arguments
        assert_known(arguments[0])

"""Checkov reports only findings that checkov.yaml explains."""

from pathlib import Path

import pytest
import yaml

from tests.chart.rendering import CASES, rendered_case, values
from tests.chart.tools.checkov import Finding, findings

pytestmark = pytest.mark.extended

EXPLAINED = values(Path(__file__).with_name("checkov.yaml"))["explained"]
# The objects in which each finding is expected. In any other object it is a new finding.
ONLY_OF = {
    "CKV_K8S_8": ("mylist-test", "ott-mylist-test"),
    "CKV_K8S_9": ("mylist-test", "ott-mylist-test"),
    "CKV_K8S_40": ("mylist-mongodb", "mylist-redis"),
}
# The case in which a finding is expected in every object.
OF_CASE = {"CKV_K8S_40": "openshift"}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> set[Finding]:
    """The findings in all cases, from one run, because the start of checkov takes most of the time."""
    folder = tmp_path_factory.mktemp("rendered")
    for name in CASES:
        objects = rendered_case(name).objects
        (folder / f"{name}.yaml").write_text(yaml.safe_dump_all(objects))
    # A pod with many faults shows that checkov really checks the files.
    pod = {"containers": [{"name": "bad", "image": "bad:latest", "securityContext": {"privileged": True}}]}
    bad = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bad"}, "spec": {"hostNetwork": True, **pod}}
    (folder / "bad.yaml").write_text(yaml.safe_dump(bad))
    return findings(folder)


def test_checkov_reports_only_explained_findings(found: set[Finding]) -> None:
    assert {each for each in found if each.file != "bad" and not is_explained(each)} == set()


def test_every_explained_finding_still_occurs(found: set[Finding]) -> None:
    assert EXPLAINED.keys() <= {each.check for each in found if each.file != "bad"}
    assert OF_CASE.items() <= {(each.check, each.file) for each in found if not of_expected_object(each)}


def test_checkov_reports_a_bad_pod(found: set[Finding]) -> None:
    of_bad = {each.check for each in found if each.file == "bad"}

    assert {"CKV_K8S_14", "CKV_K8S_16", "CKV_K8S_19", "CKV_K8S_20", "CKV_K8S_28", "CKV_K8S_31"} <= of_bad


def is_explained(finding: Finding) -> bool:
    """Return whether checkov.yaml explains the finding for this object or this case."""
    expected = of_expected_object(finding) or OF_CASE.get(finding.check) == finding.file
    return finding.check in EXPLAINED and expected


def of_expected_object(finding: Finding) -> bool:
    """Return whether the finding is expected in this object in every case."""
    return finding.resource.rpartition(".")[2].startswith(ONLY_OF.get(finding.check, ""))

"""Checkov has nothing against the chart that checkov.yaml does not explain."""

from pathlib import Path

import pytest
import yaml

from tests.chart.rendering import CASES, rendered_case, values
from tests.chart.tools.checkov import Finding, findings

pytestmark = pytest.mark.extended

EXPLAINED = values(Path(__file__).with_name("checkov.yaml"))["explained"]
# Where each may be found: a finding elsewhere is a new one.
ONLY_OF = {
    "CKV_K8S_8": ("mylist-test", "ott-mylist-test"),
    "CKV_K8S_9": ("mylist-test", "ott-mylist-test"),
    "CKV_K8S_40": ("mylist-mongodb", "mylist-redis"),
}
# The case in which it may be found everywhere.
OF_CASE = {"CKV_K8S_40": "openshift"}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> set[Finding]:
    """Of all cases at once: most of the time goes into starting."""
    folder = tmp_path_factory.mktemp("rendered")
    for name in CASES:
        objects = rendered_case(name).objects
        (folder / f"{name}.yaml").write_text(yaml.safe_dump_all(objects))
    # And one that it has a lot against, to see that it looks.
    pod = {"containers": [{"name": "bad", "image": "bad:latest", "securityContext": {"privileged": True}}]}
    bad = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bad"}, "spec": {"hostNetwork": True, **pod}}
    (folder / "bad.yaml").write_text(yaml.safe_dump(bad))
    return findings(folder)


def test_finds_nothing_that_is_not_explained(found: set[Finding]) -> None:
    assert {each for each in found if each.file != "bad" and not is_explained(each)} == set()


def test_explains_nothing_that_is_not_found(found: set[Finding]) -> None:
    assert EXPLAINED.keys() <= {each.check for each in found if each.file != "bad"}
    assert OF_CASE.items() <= {(each.check, each.file) for each in found if not of_expected_object(each)}


def test_looks(found: set[Finding]) -> None:
    of_bad = {each.check for each in found if each.file == "bad"}

    assert {"CKV_K8S_14", "CKV_K8S_16", "CKV_K8S_19", "CKV_K8S_20", "CKV_K8S_28", "CKV_K8S_31"} <= of_bad


def is_explained(finding: Finding) -> bool:
    """Whether checkov.yaml has the reason, for this object or this case."""
    expected = of_expected_object(finding) or OF_CASE.get(finding.check) == finding.file
    return finding.check in EXPLAINED and expected


def of_expected_object(finding: Finding) -> bool:
    """Return whether the finding is in a place where the reason always holds."""
    return finding.resource.rpartition(".")[2].startswith(ONLY_OF.get(finding.check, ""))

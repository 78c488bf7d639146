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
    unexplained = {
        each
        for each in found
        if not each.resource.startswith("Pod.default.bad")
        and (
            each.check not in EXPLAINED or not each.resource.rpartition(".")[2].startswith(ONLY_OF.get(each.check, ""))
        )
    }

    assert unexplained == set()


def test_explains_nothing_that_is_not_found(found: set[Finding]) -> None:
    assert EXPLAINED.keys() <= {each.check for each in found if not each.resource.startswith("Pod.default.bad")}


def test_looks(found: set[Finding]) -> None:
    of_bad = {each.check for each in found if each.resource == "Pod.default.bad"}

    assert {"CKV_K8S_14", "CKV_K8S_16", "CKV_K8S_19", "CKV_K8S_20", "CKV_K8S_28", "CKV_K8S_31"} <= of_bad

"""Which MongoDB the repository runs: every file that names an image or a version names one that is fit to run.

Before `FIRST_FIT`, a client without a password can read the server's memory (CVE-2025-14847).
"""

import os
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FIRST_FIT = {(7, 0): 28, (8, 0): 17, (8, 2): 3}
"""The first patch of each release without that hole. Later releases have never had it."""
RELEASE = (8, 0)
"""The release that the chart, the manifests, compose.yaml and the tests run."""
_IMAGE = re.compile(r"\b(?:mongo|mongodb-(?:community|enterprise)-server|percona-server-mongodb):(\w[\w.-]*)")
_OTHERS = {"build", "dist", "findings", "node_modules", "__pycache__"}
_HIDDEN = {".ci", ".github"}
NAMED_IN = {
    "charts/mylist/charts/mongodb/Chart.yaml",
    "charts/mylist/charts/mongodb/values.yaml",
    "compose.yaml",
    "devtools/stores.py",
    "k8s/data/mongodb.yaml",
    "tests/mongodb/deployments/replica-set.compose.yaml",
    "tests/mongodb/deployments/sharded.compose.yaml",
    ".github/workflows/mongodb.yaml",
}
"""The files that the search must find at least."""


def is_fit(tag: str) -> bool:
    """Return whether the tag of an image, or the version of a server, is one to run."""
    parts = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?(?![\d.])", tag)
    if not parts:
        return False  # such as 8 or latest, which a pull may turn into another release
    release = (int(parts[1]), int(parts[2]))
    if parts[3] is None:
        return release in FIRST_FIT or release > max(FIRST_FIT)
    return release > max(FIRST_FIT) or int(parts[3]) >= FIRST_FIT.get(release, int(parts[3]) + 1)


def versions_in(path: str, text: str) -> Iterator[str]:
    """Yield each version of MongoDB that a file runs: tags of images, and versions in manifests and charts."""
    yield from _IMAGE.findall(text)
    if path.endswith((".yaml", ".yml")) and "{{" not in text:
        for document in yaml.load_all(text, Loader=yaml.CSafeLoader):
            yield from _in_mapping(document)


def _in_mapping(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        yield from chain.from_iterable(map(_in_mapping, value))
    if not isinstance(value, dict):
        return
    if str(value.get("repository", "")).rpartition("/")[2] in {"mongo", "mongodb-community-server"}:
        yield str(value["tag"])
    if value.get("kind") == "MongoDBCommunity":
        yield str(value["spec"]["version"])
    if value.get("name") == "mongodb" and "appVersion" in value:
        yield str(value["appVersion"])
    yield from chain.from_iterable(map(_in_mapping, value.values()))


def files() -> Iterator[str]:
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [each for each in folders if each in _HIDDEN or not (each[0] == "." or each in _OTHERS)]
        for name in names:
            if Path(name).suffix not in {".svg", ".png", ".ico"}:
                yield (Path(folder) / name).relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def named() -> dict[str, set[str]]:
    """The versions by the file that names them, without the files that name unfit ones on purpose."""
    left_out = {Path(__file__).relative_to(ROOT).as_posix(), "devtools/mutations.yaml"}
    texts = {path: (ROOT / path).read_text(errors="replace") for path in files() if path not in left_out}
    found = {path: set(versions_in(path, text)) for path, text in texts.items()}
    return {path: versions for path, versions in found.items() if versions}


def test_every_file_names_only_suitable_versions(named: dict[str, set[str]]) -> None:
    unfit = {path: [each for each in versions if not is_fit(each)] for path, versions in named.items()}

    assert {path: versions for path, versions in unfit.items() if versions} == {}
    assert named.keys() >= NAMED_IN


def test_installed_and_tested_versions_are_of_one_release(named: dict[str, set[str]]) -> None:
    release = ".".join(map(str, RELEASE))
    matrix = ".github/"  # it tries other releases as well
    versions = set(chain.from_iterable(each for path, each in named.items() if not path.startswith(matrix)))

    assert {each for each in versions if each != release and not each.startswith(f"{release}.")} == set()


def test_the_page_on_mongodb_names_the_first_suitable_versions() -> None:
    page = (ROOT / "docs" / "mongodb.md").read_text()

    for release in ((7, 0), (8, 0)):
        assert f"{release[0]}.{release[1]}.{FIRST_FIT[release]}" in page


@pytest.mark.parametrize(
    ("text", "fit"),
    [
        ("mongo:8", False),
        ("mongo:latest", False),
        ("mongo:8.0", True),
        ("mongo:8.0.12", False),
        ("mongo:8.0.16-noble", False),
        ("mongo:8.0.17", True),
        ("docker.io/mongodb/mongodb-community-server:8.0.16-ubi9", False),
        ("mongo:7.0.27", False),
        ("mongo:7.0.28", True),
        ("mongo:6.0", False),
        ("mongo:6.0.27", False),
        ("mongo:8.2.2", False),
        ("mongo:8.3", True),
        ("image: {repository: mongo, tag: 8.0.12}", False),
        ("image: {repository: mongo, tag: 8.0.20}", True),
        ("{kind: MongoDBCommunity, spec: {version: 8.0.12}}", False),
        ("{name: mongodb, appVersion: 7.0.2}", False),
    ],
)
def test_suitable_and_unsuitable_versions_are_distinguished(text: str, fit: bool) -> None:
    [version] = versions_in("a.yaml", text)

    assert is_fit(version) is fit

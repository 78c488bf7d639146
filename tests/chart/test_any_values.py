"""Null or a wrong type in any value of the chart either renders valid manifests or is refused in a sentence."""

import functools
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from tests.chart.rendering import CHART, KUBERNETES, case, parse, template, values
from tests.chart.test_cases import FOREIGN
from tests.chart.tools.helm import HelmError
from tests.chart.umbrella import template as template_umbrella
from tests.chart.umbrella import umbrella

Path_ = tuple[str, ...]
# Together, these cases enable every feature and use both kinds of stores.
BASES = ("everything", "external")
# Aliases of the chart in one umbrella. Fewer take longer; with more, one refusal repeats more of the work.
BATCH = 12
ALIAS = "zqx{:03}"
SAMPLE = [
    *("commonAnnotations", "podLabels", "resources.limits", "settings.cacheTtl", "settings.host"),
    *("networkPolicy.namespaces", "networkPolicy.metricsNamespaces", "networkPolicy.dnsTo", "strategy", "extraVolumes"),
    *("keda.behavior", "serviceMonitor.interval", "prometheusRule.alerts", "prometheusRule.severities", "affinity"),
    *("global", "global.imageRegistry", "dashboards.labelValue", "probes.liveness.timeoutSeconds"),
    *("mongodb.resources", "mongodb.networkPolicy.metricsNamespaces", "mongodb.exporter.serviceMonitor.interval"),
    *("redis.image.digest", "redis.podSecurityContext.fsGroup", "redis.extraArgs"),
]
# Text that an operator cannot understand, or that an API server would refuse.
PANICS = re.compile(
    r"nil pointer|wrong type|parse error|error calling|error unmarshaling|executing|<no value>|<nil>|%!|panic"
)
NO_VALUE = re.compile(r"^  - (\S+) has no value, .*; give it one, or delete the key to get the default$", re.MULTILINE)
SENTENCE = re.compile(r"^  - .+[;:,] .+$", re.MULTILINE)
OF_SCHEMA = re.compile(r"^ *- at '/(\S*)': (?:got \w+, want [\w ]+|.*value must be .*|'\w+' failed.*)$", re.MULTILINE)


def merged(ours: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    both = {name: merged(ours.get(name) or {}, each) for name, each in others.items() if isinstance(each, dict)}
    return {**ours, **others, **both}


def all_values() -> dict[str, Any]:
    subcharts = {store: values(CHART / "charts" / store / "values.yaml") for store in ("mongodb", "redis")}
    return merged(values(CHART / "values.yaml"), subcharts)


def paths_of(given: dict[str, Any], *prefix: str) -> Iterator[Path_]:
    for name, value in given.items():
        yield (*prefix, name)
        if isinstance(value, dict):
            yield from paths_of(value, *prefix, name)


def at(given: dict[str, Any], path: Path_) -> Any:
    return functools.reduce(lambda group, name: group[name], path, given)


def set_to(given: dict[str, Any], path: Path_, value: Any) -> dict[str, Any]:
    changed = deepcopy(given)
    group = changed
    for name in path[:-1]:
        if not isinstance(group.get(name), dict):
            group[name] = {}
        group = group[name]
    group[path[-1]] = value
    return changed


VALUES = all_values()
PATHS = list(paths_of(VALUES))
LEAVES = [path for path in PATHS if not at(VALUES, path) or not isinstance(at(VALUES, path), dict)]
GROUPS = [path for path in PATHS if path not in LEAVES]


@functools.cache
def base(name: str) -> dict[str, Any]:
    """Return the values of a case, with passwords, so that two renderings are equal, and without long dashboards."""
    given = set_to(values(case(name)), ("dashboards", "enabled"), False)
    if name == "everything":
        for password in ("password", "rootPassword", "exporterPassword"):
            given = set_to(given, ("mongodb", "auth", password), "x")
        given = set_to(given, ("redis", "auth", "password"), "x")
    return given


def all_set(paths: list[Path_], value: Callable[[Path_], Any]) -> dict[str, Any]:
    """Return values in which each of these paths is set to `value(path)`."""
    given: dict[str, Any] = {}
    for path in paths:
        given = set_to(given, path, value(path))
    return given


def refusal(given: dict[str, Any], folder: Path) -> str:
    """Return Helm's complaint about these values; an empty text when it accepts them."""
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(given))
    try:
        template("--values", str(file))
    except HelmError as error:
        return str(error)
    return ""


def refused_and_taken(paths: list[Path_], folder: Path) -> tuple[set[str], list[Path_]]:
    """Set all these paths to null at once; return the refused paths, and those that Helm accepts together.

    Helm stops at the first chart that refuses some. The function removes those paths and repeats.
    """
    refused: set[str] = set()
    while said := refusal(all_set(paths, lambda _: None), folder):
        told = set(NO_VALUE.findall(said))
        assert not PANICS.search(said), said
        these = [path for path in paths if any(f"{name}.".startswith(".".join((*path, ""))) for name in told)]
        assert these, said
        refused |= {".".join(path) for path in these}
        paths = [path for path in paths if path not in these]
    return refused, paths


def check_kubernetes_takes(manifest: str, why: str) -> None:
    assert not PANICS.search(manifest), why
    [made] = parse(manifest) or [{}]
    assert not list(leaves_without_value(made)), f"{why}: {list(leaves_without_value(made))}"
    if made and made["kind"] not in FOREIGN:
        kubernetes_validate.validate(made, KUBERNETES[-1], strict=True)


def leaves_without_value(value: Any, name: str = "") -> Iterator[str]:
    if value is None:
        yield name
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from leaves_without_value(each, f"{name}.{key}")
    elif isinstance(value, list):
        for each in value:
            yield from leaves_without_value(each, f"{name}[]")


def render_each(of: str, paths: list[Path_], folder: Path) -> dict[Path_, str]:
    """Set each of these paths to null in a release of its own, all in one call of Helm, and check each release.

    Return the complaints about the refused paths.
    """
    names = {ALIAS.format(number): path for number, path in enumerate(paths)}
    plain = ALIAS.format(len(paths))
    said: dict[Path_, str] = {}
    for attempt in range(len(paths)):
        given = {name: set_to(base(of), path, None) for name, path in names.items()} | {plain: base(of)}
        chart = umbrella(folder / str(attempt), *({"alias": name} for name in given))
        (folder / "values.yaml").write_text(yaml.safe_dump(given))
        try:
            rendered = template_umbrella(chart, "--values", str(folder / "values.yaml"))
        except HelmError as error:
            [name] = set(re.findall(ALIAS[:3] + r"\d{3}", str(error))) - {plain}
            said[names.pop(name)] = str(error)
        else:
            break
    usual = {manifest.replace(plain, "mylist") for manifest in rendered[plain]}
    for name, path in names.items():
        for manifest in rendered[name]:
            if (changed := manifest.replace(name, "mylist")) not in usual:
                check_kubernetes_takes(changed, ".".join(path))
    return said


@pytest.fixture(scope="module")
def refused_alone(tmp_path_factory: pytest.TempPathFactory) -> set[Path_]:
    """The paths at which the schema always refuses null."""
    folder = tmp_path_factory.mktemp("null")
    refused = refused_and_taken([path for path in LEAVES if path[-1] != "tag"], folder)[0]
    for depth in {len(path) for path in GROUPS}:
        refused |= refused_and_taken([path for path in GROUPS if len(path) == depth], folder)[0]
    return {path for path in PATHS if ".".join(path) in refused}


class TestNull:
    def test_in_all_leaves_at_once_is_refused_or_renders_valid_manifests(self, tmp_path: Path) -> None:
        # An image needs a tag or a digest, so the tags stay.
        refused, taken = refused_and_taken([path for path in LEAVES if path[-1] != "tag"], tmp_path)

        assert {"image.repository", "service.port", "mongodb.persistence.size", "redis.maxMemory"} <= refused
        assert ("networkPolicy", "namespaces") in taken
        for manifest in template("--values", str(tmp_path / "values.yaml")).split("\n---\n"):
            check_kubernetes_takes(manifest, "all at once")

    @pytest.mark.parametrize("depth", sorted({len(path) for path in GROUPS}))
    def test_in_all_groups_of_a_depth_at_once_is_refused_or_renders_valid_manifests(
        self, depth: int, tmp_path: Path
    ) -> None:
        groups = [path for path in GROUPS if len(path) == depth]
        refused, taken = refused_and_taken(groups, tmp_path)

        assert {".".join(path) for path in groups} == refused | {".".join(path) for path in taken}
        for manifest in template("--values", str(tmp_path / "values.yaml")).split("\n---\n"):
            check_kubernetes_takes(manifest, f"groups of depth {depth}")

    def test_in_any_sampled_value_alone_renders_valid_manifests(self, tmp_path: Path) -> None:
        sample = [tuple(path.split(".")) for path in SAMPLE]

        assert set(sample) <= set(PATHS)
        assert not render_each("everything", sample, tmp_path)

    @pytest.mark.extended
    def test_that_is_refused_among_others_is_also_refused_alone_and_the_message_names_its_path(
        self, refused_alone: set[Path_], tmp_path: Path
    ) -> None:
        alone = sorted(refused_alone)

        def say(path: Path_) -> str:
            folder = tmp_path / ".".join(path)
            folder.mkdir()
            return refusal(set_to(base("everything"), path, None), folder)

        with ThreadPoolExecutor(2) as threads:
            for path, said in zip(alone, threads.map(say, alone), strict=True):
                told = NO_VALUE.findall(said)
                assert told, f"{path}: {said}"
                assert all(f"{each}.".startswith(".".join((*path, ""))) for each in told), f"{path}: {said}"

    @pytest.mark.extended
    @pytest.mark.parametrize("of", BASES)
    def test_in_any_remaining_value_alone_is_refused_readably_or_renders_valid_manifests(
        self, of: str, refused_alone: set[Path_], tmp_path: Path
    ) -> None:
        others = [path for path in PATHS if path not in refused_alone]
        for start in range(0, len(others), BATCH):
            batch = render_each(of, others[start : start + BATCH], tmp_path / str(start))
            for path, said in batch.items():
                assert SENTENCE.search(said), f"{path}: {said}"
                assert not PANICS.search(said), f"{path}: {said}"


# Helm itself complains about a subchart that is not a map, before it reads a schema.
OF_CHART = [path for path in GROUPS if len(path) == 1 and path[0] not in {"mongodb", "redis"}]


class TestWrongType:
    @pytest.mark.parametrize("paths", [LEAVES, *([each] for each in OF_CHART)], ids=lambda each: each[0][0])
    def test_is_refused_with_the_path_and_the_expected_type(self, paths: list[Path_], tmp_path: Path) -> None:
        given = all_set(paths, lambda path: wrong(at(VALUES, path)))
        said = refusal(given, tmp_path)
        told = set(OF_SCHEMA.findall(said))

        assert not PANICS.search(said), said
        for path in paths:
            assert {"/".join(path), "/".join(path[1:])} & told, f"{path}: {said}"

    @pytest.mark.parametrize("path", ["podLabels", "service.annotations", "nodeSelector", "mongodb.podLabels"])
    @pytest.mark.parametrize("value", ["false", "1", "null"])
    def test_of_a_label_is_refused_with_the_correct_syntax(self, path: str, value: str) -> None:
        with pytest.raises(HelmError, match=r"value must be 'text: in quotes, or with --set-string'"):
            template("--set", f"{path}.x={value}")


def wrong(value: Any) -> Any:
    """Return a value of a type that this path does not allow."""
    return [["wrong"]] if isinstance(value, str | None) or value == {} else "wrong"

"""The files around the code: locks, Makefile, Dockerfile, compose.yaml, .env.example."""

import io
import json
import os
import re
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from devtools import documents
from mylist.config.settings import Settings, explain
from mylist.devserver.embedded_servers import FIRST_PYTHON_WITHOUT_SECANTUS
from tests.fake_http_server import FakeHttpHandler, fake_http_server

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "locks").iterdir())
DOCUMENTED_SCRIPTS = {"run", "serve", "seed", "test", "test-watch", "coverage", "lint", "format", "image", "up", "down"}

PIN = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>[^ ;\\]+)( ; (?P<marker>[^\\]+))? \\$")
HASH = re.compile(r"^ {4}--hash=sha256:[0-9a-f]{64}( \\)?$")

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
PYTHONS = [
    tail
    for classifier in PROJECT["classifiers"]
    if "." in (tail := classifier.removeprefix("Programming Language :: Python :: "))
]


def requirements(*pieces: str) -> list[Requirement]:
    """Return the requirements of extras and groups, or of the package ("dependencies"); an extra may name others."""
    tables = PYPROJECT["dependency-groups"] | PROJECT["optional-dependencies"]
    tables["dependencies"] = PROJECT["dependencies"]
    found = []
    for requirement in [Requirement(line) for piece in pieces for line in tables[piece]]:
        found += requirements(*requirement.extras) if requirement.name == PROJECT["name"] else [requirement]
    return found


def lines_with_pins(lock: str) -> list[re.Match[str]]:
    return [*filter(None, map(PIN.match, (ROOT / "locks" / lock).read_text().splitlines()))]


def pins(lock: str) -> set[tuple[str, str]]:
    """Return the names and versions of a lock; a name has two where markers choose between them."""
    return {(pin["name"], pin["version"]) for pin in lines_with_pins(lock)}


def pins_on(lock: str, python: str) -> dict[str, Version]:
    """The version of each package that a Python gets from a lock."""
    return {
        pin["name"]: Version(pin["version"])
        for pin in lines_with_pins(lock)
        if holds(Marker(pin["marker"]) if pin["marker"] else None, python)
    }


def holds(marker: Marker | None, python: str) -> bool:
    return marker is None or marker.evaluate({"python_version": python, "python_full_version": f"{python}.0"})


class TestLocks:
    @pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
    def test_hold_pins_with_hashes_and_nothing_else(self, lock: Path) -> None:
        lines = lock.read_text().splitlines()

        assert [line for line in lines if not PIN.match(line) and not HASH.match(line)] == []
        assert all(HASH.match(after) for line, after in zip(lines, [*lines[1:], ""], strict=True) if PIN.match(line))

    @pytest.mark.parametrize("lock", [lock.name for lock in LOCKS if lock.name not in {"lowest.txt", "compiler.txt"}])
    def test_are_subsets_of_the_development_lock(self, lock: str) -> None:
        assert pins(lock) <= pins("development.txt")

    @pytest.mark.parametrize("python", PYTHONS)
    def test_satisfy_the_requirements_of_pyproject(self, python: str) -> None:
        asked = {
            "runtime.txt": requirements("dependencies", "tracing"),
            "local.txt": requirements("dependencies", "local", "tracing", "build"),
            "test.txt": requirements("dependencies", "test", "build"),
            "lowest.txt": requirements("dependencies", "test", "build"),
            "development.txt": requirements("dependencies", "dev", "build", "docs", "install", "reload"),
            "build.txt": requirements("build"),
            "compiler.txt": requirements("compiler"),
            "docs.txt": requirements("docs"),
            "install.txt": requirements("install"),
            "loadtest.txt": requirements("dependencies", "loadtest"),
            "reload.txt": requirements("reload"),
        }

        assert set(asked) == {lock.name for lock in LOCKS}
        for lock, wanted in asked.items():
            locked = pins_on(lock, python)
            for requirement in wanted:
                version = locked.get(canonicalize_name(requirement.name))
                if not holds(requirement.marker, python):
                    assert version is None, f"{lock} has {requirement}: make lock"
                    continue
                assert version is not None, f"{lock} lacks {requirement}: make lock"
                assert requirement.specifier.contains(version, prereleases=True), f"{lock}: {requirement}: make lock"

    @pytest.mark.parametrize(
        "requirement", requirements("dependencies", "local", "tracing"), ids=lambda requirement: requirement.name
    )
    def test_of_the_lowest_versions_pin_the_lower_bounds(self, requirement: Requirement) -> None:
        locked = pins_on("lowest.txt", PYTHONS[0])[canonicalize_name(requirement.name)]
        (bound,) = [Version(each.version) for each in requirement.specifier if each.operator == ">="]

        # A bound of 6.6 may mean 6.6.2, when that is the lowest release of 6.6.
        assert locked.release[: len(bound.release)] == bound.release, "make lock"


class TestPythons:
    """Every place that says which Pythons are supported says the same."""

    def test_are_consecutive_and_end_where_requires_python_does(self) -> None:
        minors = [Version(python).minor for python in PYTHONS]

        assert minors == [*range(minors[0], minors[-1] + 1)]
        assert PROJECT["requires-python"] == f">=3.{minors[0]},<3.{minors[-1] + 1}"
        assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py3{minors[0]}"

    def test_are_those_that_the_makefile_accepts(self) -> None:
        makefile = (ROOT / "Makefile").read_text()
        candidates = re.search(r"\$\(or \$\(PYTHON\),(.+?)\)", makefile)
        bounds = re.search(r"\(3, (\d+)\) <= sys\.version_info < \(3, (\d+)\)", makefile)
        assert candidates is not None
        assert bounds is not None

        assert {*candidates[1].split()} == {"python3", *(f"python{python}" for python in PYTHONS)}
        assert [f"3.{minor}" for minor in range(*map(int, bounds.groups()))] == PYTHONS
        assert f'"mylist needs Python {", ".join(PYTHONS[:-1])} or {PYTHONS[-1]}: ' in makefile

    def test_are_those_that_the_documents_name(self) -> None:
        readme = (ROOT / "README.md").read_text()
        troubleshooting = (ROOT / "docs" / "troubleshooting.md").read_text()

        assert f"\nPython {PYTHONS[0]} to {PYTHONS[-1]}, " in readme
        assert f"`mylist needs Python {', '.join(PYTHONS[:-1])} or {PYTHONS[-1]}`" in troubleshooting

    def test_without_the_embedded_mongodb_are_those_that_the_service_names(self) -> None:
        (secantus,) = [each for each in requirements("local") if each.name == "SecantusDB"]
        lacking = [python for python in PYTHONS if not holds(secantus.marker, python)]

        assert lacking == [python for python in PYTHONS if Version(python).release >= FIRST_PYTHON_WITHOUT_SECANTUS]

    @pytest.mark.parametrize("dockerfile", ["Dockerfile", "loadtests/Dockerfile"])
    def test_of_the_images_are_supported_and_tested_by_make(self, dockerfile: str) -> None:
        image = re.search(r"^ARG PYTHON_IMAGE=python:([0-9.]+)-", (ROOT / dockerfile).read_text(), re.MULTILINE)
        assert image is not None

        assert image[1] in PYTHONS
        variables = dict(re.findall(r"^(\w+) := (.+)$", make("--print-data-base", "--dry-run", "help"), re.MULTILINE))
        assert (variables["OLDEST_PYTHON"], variables["IMAGE_PYTHON"]) == (PYTHONS[0], image[1])


def make(*arguments: str) -> str:
    """What `make` prints."""
    # Without the variables of the `make test` that may run this test.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout


class TestMakefile:
    def test_help_names_every_target_with_one_line(self) -> None:
        phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert phony is not None

        shown = make("--silent")

        described = re.findall(r"^  make ([a-z0-9-]+) +\S.*$", shown, re.MULTILINE)
        assert len(described) == len(shown.splitlines())
        assert set(described) == set(phony[1].split())
        assert set(described) >= DOCUMENTED_SCRIPTS


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", "")
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in text.splitlines() if line]


def arguments(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


def probe() -> list[str]:
    """The command of the image's health check, for this Python."""
    (healthcheck,) = arguments("HEALTHCHECK")
    command: list[str] = json.loads(healthcheck.partition(" CMD ")[2])
    assert command[0] == "python"
    return [sys.executable, *command[1:]]


class TestDockerfile:
    def test_is_built_from_one_pinned_image(self) -> None:
        (base,) = [rest for rest in arguments("ARG") if rest.startswith("PYTHON_IMAGE=")]
        stages = [rest.split(" AS ") for rest in arguments("FROM")]

        assert re.fullmatch(r"PYTHON_IMAGE=python:\d+\.\d+-slim(@sha256:[0-9a-f]{64})?", base)
        assert {image for image, _ in stages} - {name for _, name in stages} == {"${PYTHON_IMAGE}"}

    def test_last_stage_is_the_one_to_run(self) -> None:
        assert arguments("FROM")[-1] == "service AS runtime"
        assert json.loads(arguments("CMD")[-1]) == ["mylist", "serve"]

    def test_nothing_runs_as_root(self) -> None:
        assert arguments("USER") == ["10001:10001"]

    def test_installs_only_locked_packages(self) -> None:
        installs = [run for run in arguments("RUN") if re.search(r"\bpip\b.* install", run)]

        assert len(installs) >= 2
        assert all("--require-hashes" in run or "--no-deps" in run for run in installs)

    def test_copies_exactly_the_files_of_the_build_context(self) -> None:
        let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
        copied = {
            source.partition("/")[0]
            for rest in arguments("COPY")
            if "--from=" not in rest
            for source in [part for part in rest.split() if not part.startswith("--")][:-1]
        }

        assert copied == let_in
        assert all((ROOT / name).exists() for name in let_in)

    def test_compiles_for_any_processor_and_takes_only_the_package_from_that_stage(self) -> None:
        (build,) = [run for run in arguments("RUN") if "pip wheel" in run]

        assert "-mcpu=baseline" in build
        assert "MYLIST_COMPILE=required" in build
        assert [rest for rest in arguments("COPY") if "package" in rest] == ["--from=package /package /opt/mylist"]

    @pytest.mark.parametrize("ignored", [".dockerignore", "loadtests/Dockerfile.dockerignore", ".gitignore"])
    def test_no_compiled_file_of_this_machine_gets_into_an_image_or_a_commit(self, ignored: str) -> None:
        assert {"*.so", "**/*.so"} & {*(ROOT / ignored).read_text().splitlines()}

    @pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
    def test_probe_is_healthy_when_livez_is_200(self, status: int, code: int) -> None:
        asked = []

        class Handler(FakeHttpHandler):
            def do_GET(self) -> None:  # noqa: N802 - as http.server calls it
                asked.append(self.path)
                self.answer(b"", "application/json", status)

        with fake_http_server(Handler) as port:
            result = subprocess.run(probe(), env={**os.environ, "PORT": str(port)}, check=False)

        assert result.returncode == code
        assert asked == ["/livez"]

    def test_probe_is_unhealthy_when_nothing_listens(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]

        result = subprocess.run(probe(), env={**os.environ, "PORT": str(port)}, capture_output=True, check=False)

        assert result.returncode == 1


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return loaded


class TestCompose:
    def test_images_are_the_documented_ones(self, compose: dict[str, Any]) -> None:
        images = {name: service["image"] for name, service in compose["services"].items()}

        assert images == {"api": "mylist:compose", "seed": "mylist:compose", "mongodb": "mongo:8.0", "redis": "redis:8"}
        assert compose["services"]["api"]["build"]["target"] == "runtime"

    def test_one_documented_command_adds_the_sample(self, compose: dict[str, Any]) -> None:
        seed = compose["services"]["seed"]

        assert (seed["entrypoint"], seed["command"], seed["profiles"]) == (["mylist", "seed"], [], ["seed"])
        assert seed["environment"] == compose["services"]["api"]["environment"]  # the same MongoDB, and its Redis
        assert "`docker compose run --rm seed` adds the sample data" in (ROOT / "README.md").read_text()

    def test_only_the_api_publishes_a_port_and_only_on_loopback(self, compose: dict[str, Any]) -> None:
        assert {name: service["ports"] for name, service in compose["services"].items() if "ports" in service} == {
            "api": ["127.0.0.1:${PORT:-3000}:3000"]
        }

    def test_every_long_running_service_has_a_health_check(self, compose: dict[str, Any]) -> None:
        for name, service in compose["services"].items():
            if name == "seed":  # it ends
                assert service["healthcheck"] == {"disable": True}
                continue
            assert service["healthcheck"]["test"][0] == "CMD"
            assert not {"mongosh", "curl", "wget"} & set(service["healthcheck"]["test"])

    def test_the_api_starts_after_the_databases_are_healthy(self, compose: dict[str, Any]) -> None:
        assert compose["services"]["api"]["depends_on"] == {
            "mongodb": {"condition": "service_healthy"},
            "redis": {"condition": "service_healthy"},
        }

    def test_no_service_gains_privileges_and_the_api_is_read_only(self, compose: dict[str, Any]) -> None:
        assert all("no-new-privileges:true" in each["security_opt"] for each in compose["services"].values())
        assert compose["services"]["api"]["read_only"]
        assert compose["services"]["api"]["cap_drop"] == ["ALL"]

    def test_the_stop_grace_period_of_the_api_covers_its_shutdown(self, compose: dict[str, Any]) -> None:
        defaults = Settings()
        grace = float(compose["services"]["api"]["stop_grace_period"].removesuffix("s"))

        assert grace > defaults.shutdown_delay + defaults.shutdown_timeout

    def test_only_the_development_default_is_a_literal_password(self, compose: dict[str, Any]) -> None:
        for service in compose["services"].values():
            for name, value in service.get("environment", {}).items():
                if "PASSWORD" in name or name.endswith("AUTH"):
                    assert value == "" or re.fullmatch(r"\$\{[A-Z_]+_PASSWORD:-development\}", value)

    def test_the_variables_of_the_api_are_valid_settings(self, compose: dict[str, Any]) -> None:
        given = {
            name: re.sub(r"\$\{\w+:-(\w*)\}", r"\1", value)
            for name, value in compose["services"]["api"]["environment"].items()
        }

        assert set(given) - {each.variable for each in explain()} == {"MONGODB_ROOT_PASSWORD"}
        in_force = Settings.load(given)
        assert (in_force.mongodb_user, in_force.redis_host) == ("mylist", "redis")

    def test_variables_taken_from_env_are_in_the_example(self) -> None:
        taken = set(re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text()))

        assert taken <= set(variables((ROOT / ".env.example").read_text()))


def variables(example: str) -> dict[str, str | None]:
    """Return the variables of an example that are comments there."""
    return dotenv_values(stream=io.StringIO(re.sub(r"^#(?=[A-Z_]+=)", "", example, flags=re.MULTILINE)))


class TestEnvExample:
    @pytest.fixture(autouse=True)
    def _no_settings_of_this_machine(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        for each in explain():
            monkeypatch.delenv(each.variable, raising=False)

    def test_is_up_to_date(self) -> None:
        assert documents.ENV_EXAMPLE.read_text() == documents.env_example(), f"run {documents.COMMAND}"

    def test_holds_every_setting_and_no_other(self) -> None:
        held = variables((ROOT / ".env.example").read_text())

        assert [*held] == [*(each.variable for each in explain()), "MONGODB_ROOT_PASSWORD"]

    def test_sets_the_defaults_if_every_line_is_uncommented(self) -> None:
        assert Settings.load(variables((ROOT / ".env.example").read_text())) == Settings()

    def test_sets_nothing_as_shipped(self) -> None:
        assert dotenv_values(ROOT / ".env.example") == {}

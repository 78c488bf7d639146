"""The files for forges, editors and hooks: what they name exists, and they agree with the Makefile and .ci/run."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z0-9-]*):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))


def steps(workflow: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(workflow.read_text())["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


class TestWorkflows:
    def test_only_ci_yaml_runs_ci_run(self) -> None:
        assert [path.name for path in WORKFLOWS if any(step.get("run") == ".ci/run" for step in steps(path))] == [
            "ci.yaml"
        ]

    def test_include_the_e2e_and_mongodb_tests(self) -> None:
        commands = "\n".join(step.get("run", "") for path in WORKFLOWS for step in steps(path))

        assert {"make kind-up", "make e2e", "make test-mongodb"} <= set(commands.split("\n"))

    @pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
    def test_name_only_existing_make_targets(self, workflow: Path) -> None:
        named = re.findall(r"\bmake ([a-z][a-z0-9-]*)", "\n".join(step.get("run", "") for step in steps(workflow)))

        assert set(named) <= make_targets()

    @pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
    def test_grant_only_read_permission_and_limit_the_time_of_each_job(self, workflow: Path) -> None:
        loaded = yaml.safe_load(workflow.read_text())

        assert loaded["permissions"] == {"contents": "read"}
        assert all(job["timeout-minutes"] <= 90 for job in loaded["jobs"].values())

    def test_make_lint_checks_them(self) -> None:
        [lint] = re.findall(r"^lint-workflows: .*\n((?:\t.+\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)

        assert ".github/workflows/*.yaml" in lint
        assert re.search(r"zizmor .*\.github$", lint, re.MULTILINE)


class TestDevcontainer:
    def test_has_the_packages_that_ci_installs(self) -> None:
        extras = re.findall(r"(?:basics|extras)\+=\(([^)]+)\)", (ROOT / ".ci" / "run").read_text())
        dockerfile = (ROOT / ".devcontainer" / "Dockerfile").read_text()

        wanted = {package for each in extras for package in each.split()}
        wanted -= {"python3-venv", "python3-dev"}  # the image has a venv and the header
        assert len(wanted) > 5
        assert wanted <= set(dockerfile.split())

    def test_is_built_from_the_base_image_of_the_service(self) -> None:
        [base] = re.findall(r"^ARG PYTHON_IMAGE=(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

        assert f"FROM {base}\n" in (ROOT / ".devcontainer" / "Dockerfile").read_text()

    def test_names_an_existing_dockerfile_make_target_and_user(self) -> None:
        container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())

        assert (ROOT / ".devcontainer" / container["build"]["dockerfile"]).exists()
        assert container["postCreateCommand"].removeprefix("make ") in make_targets()
        assert (
            f"useradd --create-home --shell /bin/bash {container['remoteUser']}"
            in (ROOT / ".devcontainer" / "Dockerfile").read_text()
        )


class TestHooks:
    def test_run_the_checks_of_make_lint(self) -> None:
        [repository] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
        entries = " ".join(hook["entry"] for hook in repository["hooks"])

        assert repository["repo"] == "local"  # nothing is fetched from elsewhere
        for tool in ("ruff check", "ruff format --check", "mypy", "lint-imports --no-logo", "devtools.prose"):
            assert tool in entries
        assert all(f"make {recipe}" in entries for recipe in ("lint-workflows", "lint-files"))
        assert all((ROOT / test).exists() for test in re.findall(r"tests/\S+\.py", entries))


def test_the_editorconfig_has_the_line_length_of_ruff() -> None:
    line_length = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["line-length"]

    assert f"max_line_length = {line_length}\n" in (ROOT / ".editorconfig").read_text()


class TestVersion:
    """A release changes these places; see docs/release.md."""

    @pytest.mark.parametrize("folder", ["docs", "k8s", "loadtests"])
    def test_images_are_of_this_version(self, folder: str) -> None:
        paths = [
            path for path in (ROOT / folder).rglob("*") if path.suffix in {".md", ".yaml"} or path.name == "Dockerfile"
        ]
        named = {
            (path.relative_to(ROOT).as_posix(), version)
            for path in paths
            if path.name != "release.md"  # it is about the next version
            for version in re.findall(r"\bmylist(?:-loadtest)?:(\d+\.\d+\.\d+)", path.read_text())
        }

        assert named
        assert {each for each in named if each[1] != VERSION} == set()

    def test_tags_of_the_load_test_are_of_this_version(self) -> None:
        images = yaml.safe_load((ROOT / "k8s" / "loadtest" / "kustomization.yaml").read_text())["images"]

        assert {image["newTag"] for image in images if image["name"].startswith("mylist")} == {VERSION}

    def test_is_the_newest_release_in_the_changelog(self) -> None:
        headings = re.findall(r"^## \[(.+?)\](.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

        assert headings[0] == ("Unreleased", "")
        assert headings[1][0] == VERSION
        assert all(re.fullmatch(r" - \d{4}-\d{2}-\d{2}", date) for _, date in headings[1:])

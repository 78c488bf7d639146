"""`make lint-workflows` can fail: each of its programs refuses the faults that it must find."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CI = ROOT / ".github" / "workflows" / "ci.yaml"
PROGRAMS = Path(sys.executable).parent
[RECIPE] = re.findall(r"^lint-workflows: .*\n((?:\t.+\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)


def lint(folder: Path) -> list[str]:
    """Run the recipe of the Makefile in a folder; return the programs that refuse its files."""
    refusing = []
    for line in RECIPE.splitlines():
        command = line.strip().replace("$(BIN)/", f"{PROGRAMS}/")
        if subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, check=False).returncode:
            refusing.append(command.split()[0].rpartition("/")[2])
    return refusing


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".github" / "workflows").mkdir(parents=True)
    for name in (".github/zizmor.yml", ".github/workflows/ci.yaml", ".pre-commit-config.yaml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    return tmp_path


def test_lint_workflows_accepts_the_files_of_the_repository(folder: Path) -> None:
    assert lint(folder) == []


@pytest.mark.parametrize(
    ("old", "new", "program"),
    [
        ("timeout-minutes: 90", "timeout-minutes: soon", "check-jsonschema"),
        ("runs-on: ubuntu-24.04", "run-on: ubuntu-24.04", "check-jsonschema"),
        ("  contents: read", "  content: read", "check-jsonschema"),
        ("- run: .ci/run", "- run: echo ${{ github.event.pull_request.title }}", "zizmor"),
        ("- run: .ci/run", "- uses: somebody/action@v1", "zizmor"),
        ("        with:\n          persist-credentials: false\n", "", "zizmor"),
    ],
)
def test_lint_workflows_refuses_a_faulty_workflow(folder: Path, old: str, new: str, program: str) -> None:
    text = CI.read_text()
    assert text.count(old) == 1
    (folder / ".github" / "workflows" / "ci.yaml").write_text(text.replace(old, new))

    assert program in lint(folder)


@pytest.mark.parametrize(
    ("old", "new"), [("repo: local", "repository: local"), ("language: system", "language: klingon")]
)
def test_lint_workflows_refuses_faulty_pre_commit_hooks(folder: Path, old: str, new: str) -> None:
    hooks = folder / ".pre-commit-config.yaml"
    hooks.write_text(hooks.read_text().replace(old, new, 1))

    assert lint(folder) == ["prek"]

"""`make lint-files` can fail: each of its programs refuses the faults that it must find."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
[RECIPE] = re.findall(r"^lint-files: .*\n((?:\t.+\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
FILES = {
    "pyproject.toml": None,
    ".yamllint.yaml": None,
    ".hadolint.yaml": None,
    ".ci/run": "#!/bin/sh\necho checked\n",
    "README.md": "# Title\n\nSee [the page](docs/api.md#errors).\n",
    "docs/api.md": "# Page\n\n## Errors\n\n```text\nthe text\n```\n",
    "Dockerfile": "FROM python:3.13-slim\nUSER 1000\n",
    "install.sh": '#!/bin/sh\nrm -r "$1"\n',
    "values.yaml": "one: 1\n",
}
"""Files that pass; `None` means the file of the repository."""


def lint(folder: Path) -> list[str]:
    """Run the recipe of the Makefile in a folder; return the programs that refuse its files."""
    refusing = []
    for line in RECIPE.splitlines():
        command = line.strip().replace("$(BIN)/", f"{PROGRAMS}/").replace("$$", "$")
        if subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, check=False).returncode:
            refusing.append(command.split()[0].rpartition("/")[2])
    return refusing


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        if text is None:
            shutil.copy(ROOT / name, tmp_path / name)
        else:
            (tmp_path / name).write_text(text)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    return tmp_path


def test_lint_files_accepts_files_without_a_fault(folder: Path) -> None:
    assert lint(folder) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "program"),
    [
        ("README.md", "docs/api", "docs/apis", "rumdl"),
        ("README.md", "#errors", "#second", "rumdl"),
        ("README.md", "the page", "here", "rumdl"),
        ("docs/api.md", "## Errors", "### Errors", "rumdl"),
        ("docs/api.md", "```text", "```", "rumdl"),
        ("values.yaml", "one: 1", "one: 1\none: 2", "yamllint"),
        ("values.yaml", "one: 1", "one: yes", "yamllint"),
        ("values.yaml", "one: 1", "one:  1", "yamllint"),
        ("install.sh", '"$1"', "$1", "shellcheck"),
        (".ci/run", "echo checked", "cd /tmp; rm run", "shellcheck"),
        ("Dockerfile", "python:3.13-slim", "python:latest", "hadolint"),
        ("Dockerfile", "USER 1000", "USER 1000\nRUN cd /tmp", "hadolint"),
    ],
)
def test_lint_files_refuses_a_fault(folder: Path, name: str, old: str, new: str, program: str) -> None:
    text = (folder / name).read_text()
    assert text.count(old) == 1
    (folder / name).write_text(text.replace(old, new))

    assert lint(folder) == [program]

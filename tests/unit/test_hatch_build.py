"""The build of the wheel, with and without a C compiler."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.requirements import skip_or_fail

ROOT = Path(__file__).parents[2]
PACKAGE = Path("service", "mylist")
MODULES = (Path("domain", "_hot_loops"), Path("http", "_plain_head"))
SOURCES = sorted(f"{module.name}{suffix}" for module in MODULES for suffix in (".pyi", ".pyx"))
NOTE = Path("build", "compiled", "not-compiled.txt")
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
COMPILED = [f"{module.name}{SUFFIX}" for module in MODULES]
OF_ANOTHER_PYTHON = [f"{module.name}.cpython-310-of-another.so" for module in MODULES]
WITHOUT_COMPILER = {"CC": "/missing/cc"}
LINE = re.compile(r"Nothing was compiled: .+\. The service works, but reads take longer\.\n")

# The commands that pip and uv run.
BUILD = "import hatchling.build; hatchling.build.build_wheel('dist')"
BUILD_EDITABLE = "import hatchling.build; hatchling.build.build_editable('dist')"
# As on a Debian without python3-dev. The compiler would be the next to fail.
BUILD_WITHOUT_HEADER = f"""
import setuptools, distutils.sysconfig
distutils.sysconfig.get_python_inc = lambda *_, **__: "/missing/include"
{BUILD}
"""


def environment_of_this_machine() -> dict[str, str]:
    """Return the environment without the variables that decide about the compilation."""
    return {name: value for name, value in os.environ.items() if name not in {"CC", "CFLAGS", "MYLIST_COMPILE"}}


class Project:
    """A copy of the files of the wheel, and of its build. As in the image, no .gitignore excludes a compiled file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("pyproject.toml", "README.md", "LICENSE", "hatch_build.py"):
            shutil.copy2(ROOT / name, folder)
        shutil.copytree(ROOT / "service", folder / "service", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
        (folder / "dist").mkdir()

    def beside_sources(self, names: list[str]) -> list[Path]:
        """Return the paths of files of the modules, one for each module."""
        return [self.folder / PACKAGE / module.with_name(name) for module, name in zip(MODULES, names, strict=True)]

    def build(self, environment: Mapping[str, str], script: str = BUILD) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", script],
            cwd=self.folder,
            env={**environment_of_this_machine(), **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def wheel(self) -> tuple[str, list[str]]:
        """Return the tag of the wheel, and the files of the modules in it."""
        (wheel,) = (self.folder / "dist").glob("*.whl")
        with zipfile.ZipFile(wheel) as files:
            names = [Path(name) for name in files.namelist()]
        found = [name.name for name in names if any(name.match(f"mylist/{module}.*") for module in MODULES)]
        return wheel.stem.removeprefix("mylist-1.0.0-"), sorted(found)

    def sources(self) -> list[str]:
        """Return the files of the modules beside their sources."""
        return sorted(path.name for module in MODULES for path in (self.folder / PACKAGE).glob(f"{module}.*"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.mark.parametrize("environment", [WITHOUT_COMPILER, {"PATH": "/missing"}], ids=["CC", "PATH"])
def test_without_a_compiler_the_wheel_is_pure_and_a_line_says_so(
    project: Project, environment: Mapping[str, str]
) -> None:
    result = project.build(environment)

    assert result.returncode == 0, result.stderr
    assert LINE.fullmatch(result.stderr)
    assert " is missing." in result.stderr
    assert (project.folder / NOTE).read_text() == result.stderr
    assert project.wheel() == ("py3-none-any", SOURCES)


def test_without_the_header_of_python_the_wheel_is_pure_and_a_line_says_so(project: Project) -> None:
    result = project.build({"CC": "false"}, BUILD_WITHOUT_HEADER)

    assert result.returncode == 0, result.stderr
    assert LINE.fullmatch(result.stderr)
    assert "Python.h" in result.stderr
    assert project.wheel()[0] == "py3-none-any"


def test_with_a_compiler_that_fails_the_wheel_is_pure_and_a_line_says_so(project: Project) -> None:
    result = project.build({"CC": "false"})

    assert result.returncode == 0, result.stderr
    assert LINE.fullmatch(result.stderr)
    assert project.wheel()[0] == "py3-none-any"


@pytest.mark.parametrize("environment", [WITHOUT_COMPILER, {"MYLIST_COMPILE": "off"}], ids=["no compiler", "off"])
@pytest.mark.parametrize("script", [BUILD, BUILD_EDITABLE], ids=["wheel", "editable"])
def test_without_compilation_the_former_compiled_files_of_this_python_are_deleted(
    project: Project, environment: Mapping[str, str], script: str
) -> None:
    for former in project.beside_sources(COMPILED) + project.beside_sources(OF_ANOTHER_PYTHON):
        former.write_bytes(b"former")

    result = project.build(environment, script)

    assert result.returncode == 0, result.stderr
    assert project.sources() == sorted(OF_ANOTHER_PYTHON + SOURCES)
    if script == BUILD:
        assert project.wheel() == ("py3-none-any", SOURCES)


def test_switched_off_it_prints_no_line_and_forgets_the_former_one(project: Project) -> None:
    project.build(WITHOUT_COMPILER)

    result = project.build({"MYLIST_COMPILE": "off"})

    assert (result.returncode, result.stderr) == (0, "")
    assert not (project.folder / NOTE).exists()


def test_an_installation_prints_the_line() -> None:
    assert f"cat {NOTE}\n" in (ROOT / "devtools" / "install.sh").read_text()


def test_required_it_fails_without_a_compiler(project: Project) -> None:
    result = project.build({**WITHOUT_COMPILER, "MYLIST_COMPILE": "required"})

    assert result.returncode == 1
    assert result.stderr == "MYLIST_COMPILE is 'required', but the C compiler /missing/cc is missing\n"
    assert not [*project.folder.glob("dist/*.whl")]


def test_a_wrong_value_is_refused(project: Project) -> None:
    result = project.build({**WITHOUT_COMPILER, "MYLIST_COMPILE": "yes"})

    assert result.returncode == 1
    assert result.stderr == "MYLIST_COMPILE is 'yes', but must be 'required' or 'off', or unset\n"
    assert not [*project.folder.glob("dist/*.whl")]


@pytest.mark.extended
class TestWithCompiler:
    @pytest.fixture(autouse=True)
    def _compiler(self) -> None:
        command = shlex.split(sysconfig.get_config_var("CC"))[0]
        if shutil.which(command) is None or not Path(sysconfig.get_path("include"), "Python.h").exists():
            skip_or_fail(f"no {command}, or no Python.h: they are in Debian's packages gcc, libc6-dev and python3-dev")

    def test_the_wheel_has_the_compiled_files_and_the_tag_of_the_platform(self, project: Project) -> None:
        for former in project.beside_sources(OF_ANOTHER_PYTHON):
            former.write_bytes(b"former")

        result = project.build({"MYLIST_COMPILE": "required"})

        assert result.returncode == 0, result.stderr
        tag, files = project.wheel()
        assert re.fullmatch(r"cp3\d+-cp3\d+-(linux|macosx)_\w+", tag)
        assert files == sorted(COMPILED + SOURCES)

    def test_the_files_in_the_wheel_can_be_imported(self, project: Project) -> None:
        project.build({"MYLIST_COMPILE": "required"})
        (wheel,) = (project.folder / "dist").glob("*.whl")
        installed = project.folder / "installed"
        with zipfile.ZipFile(wheel) as files:
            files.extractall(installed)

        names = [".".join(("mylist", *module.parts)) for module in MODULES]
        script = f"import {', '.join(names)}; print({', '.join(f'{name}.__file__' for name in names)})"
        imported = subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONPATH": str(installed)},
            capture_output=True,
            text=True,
            check=True,
        )

        paths = [installed / "mylist" / module.with_name(name) for module, name in zip(MODULES, COMPILED, strict=True)]
        assert imported.stdout.split() == [*map(str, paths)]

    def test_an_editable_build_places_only_the_compiled_files_beside_their_sources(self, project: Project) -> None:
        compiled = project.beside_sources(COMPILED)
        for former in compiled:
            former.write_bytes(b"former")

        result = project.build({"MYLIST_COMPILE": "required"}, BUILD_EDITABLE)

        assert result.returncode == 0, result.stderr
        assert project.sources() == sorted(COMPILED + SOURCES)
        assert all(path.read_bytes() != b"former" for path in compiled)
        assert project.wheel() == ("py3-none-any", [])

    def test_a_mistake_in_the_source_is_an_error(self, project: Project) -> None:
        (project.folder / PACKAGE / "http" / "_plain_head.pyx").write_text("def broken(:\n")

        result = project.build({})

        assert result.returncode != 0
        assert "_plain_head.pyx:1:" in result.stderr

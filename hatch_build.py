"""The build hook of the wheel: compiles the service's modules in Cython, where the machine can compile.

The service has the same functions in Python. So without a C compiler or Python's headers the wheel is pure, and a line
says so. The environment variable `MYLIST_COMPILE` decides: `required` makes a failure an error, `off` does not try.

Each compiled file is placed beside its source, where an editable installation finds it. All other files go to `build/`.
"""

import os
import shlex
import shutil
import sysconfig
from contextlib import chdir
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_VARIABLE = "MYLIST_COMPILE"
_PACKAGES = Path("service")
_BUILD = Path("build", "compiled")
_LOSS = "reads take longer"
# devtools/install.sh prints this file, because uv does not show what a build prints.
_NOTE = _BUILD / "not-compiled.txt"


class _CannotCompileError(Exception):
    """The machine cannot compile; the message says why."""


class CustomBuildHook(BuildHookInterface[Any]):
    """Add the compiled modules to the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, unless `MYLIST_COMPILE` is `off`; `version` is `editable` or `standard`."""
        choice = os.environ.get(_VARIABLE, "")
        if choice not in {"", "required", "off"}:
            self.app.abort(f"{_VARIABLE} is {choice!r}, but must be 'required' or 'off', or unset")
        with chdir(self.root):
            _remove_former_files()
            if choice == "off":
                return
            try:
                compiled = _compile()
            except _CannotCompileError as error:
                if choice == "required":
                    self.app.abort(f"{_VARIABLE} is 'required', but {error}")
                note = f"Nothing was compiled: {error}. The service works, but {_LOSS}."
                self.app.display_warning(note)
                _NOTE.parent.mkdir(parents=True, exist_ok=True)
                _NOTE.write_text(f"{note}\n")
                return
        if version == "standard":
            build_data["force_include"] |= {str(path): str(path) for path in compiled}
            build_data["infer_tag"] = True
            build_data["pure_python"] = False


def _remove_former_files() -> None:
    """Delete what this Python would import in place of the Python version."""
    for source in _sources():
        for suffix in EXTENSION_SUFFIXES:
            source.with_suffix(suffix).unlink(missing_ok=True)
    _NOTE.unlink(missing_ok=True)


def _sources() -> list[Path]:
    return sorted(_PACKAGES.rglob("*.pyx"))


def _compile() -> list[Path]:
    """Return the paths of the compiled modules.

    A mistake in the source is always an error, because it does not depend on the machine.

    Raises:
        _CannotCompileError: the machine lacks a part of what compiles C, or the compiler failed.
    """
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    if shutil.which(compiler) is None:
        raise _CannotCompileError(f"the C compiler {compiler} is missing")
    try:
        from Cython.Build import cythonize  # noqa: PLC0415 - slow, and only needed here
        from setuptools import Distribution, Extension  # noqa: PLC0415
        from setuptools.command.build_ext import build_ext  # noqa: PLC0415
        from setuptools.errors import CCompilerError, ExecError, PlatformError  # noqa: PLC0415
    except ImportError as error:
        raise _CannotCompileError(f"the Python package {error.name} is missing") from error

    # Without debugging information, the file is small, and does not depend on the folder of the build.
    names = {".".join(source.relative_to(_PACKAGES).with_suffix("").parts): source for source in _sources()}
    modules = [Extension(name, [str(source)], extra_compile_args=["-O3", "-g0"]) for name, source in names.items()]
    modules = cythonize(modules, build_dir=str(_BUILD), force=True, quiet=True)
    command = build_ext(Distribution({"name": "mylist", "ext_modules": modules}))
    command.build_lib, command.build_temp = str(_BUILD / "lib"), str(_BUILD / "objects")
    command.force = True
    command.ensure_finalized()
    if not any(Path(folder, "Python.h").exists() for folder in command.include_dirs):
        raise _CannotCompileError("Python's header Python.h is missing (Debian: python3-dev)")
    try:
        command.run()
    except (CCompilerError, ExecError, PlatformError) as error:
        raise _CannotCompileError(f"the C compiler {compiler} failed") from error
    placed = []
    for name, source in names.items():
        built = Path(command.get_ext_fullpath(name))
        # Renamed, not copied: a process that runs keeps the former file.
        placed.append(built.replace(source.with_name(built.name)))
    return placed

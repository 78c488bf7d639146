"""The `.env` file of the working directory: what it sets, and the lines of it that set nothing."""

from collections.abc import Sequence
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from mylist.config.mistyped_names import MAX_TOLD_LENGTH, meant

FILE = Path(".env")


def read() -> dict[str, str | None]:
    """Return the variables of the file, by name; empty without a file. Unparsable lines are logged.

    Raises:
        OSError: the file cannot be read.
        UnicodeDecodeError: the file is not UTF-8.
    """
    return dotenv_values(FILE)


def doubtful_lines(settings: Sequence[str]) -> list[str]:
    """Return a sentence, without values, about each line that is a mistake, given the names of all settings.

    Raises:
        OSError, UnicodeDecodeError: as `read`.
    """
    if FILE.is_dir():
        return [f"{FILE} is a folder, so nothing is read from it"]
    if not FILE.exists():
        return []
    with FILE.open(encoding="utf-8-sig") as stream:
        bindings = list(parse_stream(stream))
    doubts: list[str] = []
    for binding in bindings:
        text = binding.original.string  # it begins with the blank lines before the binding
        number = binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
        where = f"line {number} of {FILE}"
        if binding.key is None:
            continue  # blank, or what `read` warned of
        if binding.value is None:
            doubts.append(f"{where} has no =; it sets nothing")
        elif setting := meant(binding.key, settings):
            doubts.append(f"{binding.key[:MAX_TOLD_LENGTH]!a} in {where} is not a setting; did you mean {setting}?")
    return doubts

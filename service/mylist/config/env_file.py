"""The `.env` file of the working directory: what it sets, and the lines of it that set nothing.

Only this file is searched for mistyped names. The environment of a process has many variables of other programs.
"""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

FILE = Path(".env")
_FOREIGN = frozenset({"MONGODB_ROOT_PASSWORD", "MYLIST_TOKEN", "MYLIST_URL"})
"""Variables of `compose.yaml` and of the client, which the service does not read."""
_MIN_SIMILARITY = 0.75
_MAX_LENGTH_DIFFERENCE = 2
_MAX_NAME_LENGTH = 60


def read() -> dict[str, str | None]:
    """Return what the file sets, by name; nothing if there is none. A line that cannot be parsed is logged.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is not UTF-8.
    """
    return dotenv_values(FILE)


def doubtful_lines(settings: Sequence[str]) -> list[str]:
    """Return a sentence, without values, about each line that is there by mistake, given the names of all settings.

    Raises:
        OSError, UnicodeDecodeError: as `read`.
    """
    if FILE.is_dir():
        return [f"{FILE} is a folder, so that nothing is read from it"]
    if not FILE.exists():
        return []
    with FILE.open(encoding="utf-8-sig") as stream:
        bindings = list(parse_stream(stream))
    doubts: list[str] = []
    for binding in bindings:
        text = binding.original.string  # begins with the blank lines before it
        number = binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
        where = f"line {number} of {FILE}"
        if binding.key is None:
            continue  # blank, or what `read` warned of
        if binding.value is None:
            doubts.append(f"{where} has no =; it sets nothing")
        elif binding.key not in settings and binding.key not in _FOREIGN:
            doubts += [
                f"{binding.key[:_MAX_NAME_LENGTH]!a} in {where} is not a setting; did you mean {name}?"
                for name in _nearest(binding.key, settings)
            ]
    return doubts


def _nearest(name: str, settings: Sequence[str]) -> Iterator[str]:
    """Yield the setting that was probably meant, if any."""
    upper = name.upper().replace("-", "_")
    near = [each for each in settings if abs(len(each) - len(upper)) <= _MAX_LENGTH_DIFFERENCE]
    yield from get_close_matches(upper, near, n=1, cutoff=_MIN_SIMILARITY)

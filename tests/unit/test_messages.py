"""Every message that a person can meet says what to do next.

The messages are read from their sources: the errors of the service and its commands, the refusals of the chart, the
lines of the Makefile. A message passes if it instructs its reader or names the accepted values. It also passes if a
row of a table “What you see” in docs/ has its remedy. Each setting, option, subcommand or value of the chart that a
message names must exist.
"""

import ast
import importlib
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from mylist.cli import main
from mylist.config.settings import Explanation, InvalidSettingError, Settings, explain
from mylist.domain.errors import ServiceError
from tests.unit.test_documents import DOCS, NEVER_SENT, OF_HTTP, PACKAGE, ROOT, errors, subcommands

CHART = ROOT / "charts" / "mylist"
_GAP = "…"
"""Replaces the variable parts of a message."""
_MIN_PATTERN = 10
"""Characters besides the gaps: a shorter text would be found in many others."""

_ACTIONS = (
    "add|change|choose|close|copy|correct|delete|disable|drop|enable|get|give|have|import|install|leave|"
    "look at|make|mend|move|name|pip install|put|raise|read|remove|repeat|replace|restart|run|save|say|"
    "see|send|set|start|stop|take|try|use|wait|write"
)
_ACTION = re.compile(rf"(?:^|[;:,.(] |\b(?:or|and|then|please) )(?:{_ACTIONS})\b")
_ACCEPTED = re.compile(
    r"\b(?:may|must|has to|have to|can) (?:be|end|have|hold|name|stand|not)\b"
    r"|\bnone of\b|\bexactly one of\b|\bexpected\b"
)
_NOT_FOR_PEOPLE = {
    "ArgumentTypeError": "argparse tells it, and `--help` is named after it",
    "BadRequest": "a protocol error of Sanic, which becomes a code of the API",
    "PayloadTooLarge": "likewise",
    "BypassedError": "a defect, which a test finds",
    "ContradictoryDelaysError": "a defect, which a test finds",
    "ScriptMismatchError": "a defect, which a test finds",
    "IndexError": "caught where the list is read",
    "ValueError": "caught where the text is read",
    "UnreadableListError": "caught where the list is read: it is not cached then",
    "ProcessLookupError": "for tests, which freeze servers",
    "RedisConnectionError": "a part of the log line about Redis",
    "UnusableKeyError": "a part of the log line about keys",
    "MongoRefusedError": "a part of “MongoDB … refuses: …”",
    "lost": "how to begin anew is named after it",
    "_unknown": "what is accepted stands beside it in the answer",
}

_NO_STEP = {
    "interrupted": "the person who reads it did that",
    f"it is {_GAP}": "what it is says what to do",
}


@dataclass(frozen=True)
class Message:
    """A message with gaps, and where it is made."""

    text: str
    place: str


def modules() -> Iterator[tuple[Path, ModuleType]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name not in {"__main__.py", "watchdog.py"}:
            parts = path.relative_to(PACKAGE).with_suffix("").parts
            yield path, importlib.import_module(".".join(("mylist", *parts)).removesuffix(".__init__"))


def text_of(node: ast.expr, module: ModuleType) -> str:  # noqa: PLR0911 - one for each kind of expression
    """Return the text of an expression, as far as it is literal or in a constant of its module."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(text_of(part, module) for part in parts)
        case ast.FormattedValue(value=value):
            return text_of(value, module)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return text_of(left, module) + text_of(right, module)
        case ast.IfExp(body=body):
            return text_of(body, module)
        case ast.Name(id=name) if isinstance(getattr(module, name, None), str):
            return str(getattr(module, name))
        case _:
            return _GAP


def raised() -> Iterator[tuple[str, Message]]:
    """Yield each message of an exception, or of a command's failure, with the name of the exception."""
    for path, module in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Raise(exc=ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[first, *_])):
                    kind = getattr(module, name, None)
                    if isinstance(kind, type) and issubclass(kind, ServiceError):
                        continue  # the client acts by the code
                case ast.Call(func=ast.Name(id="_fail" as name), args=[first, *_]):
                    pass
                case ast.Call(func=ast.Attribute(attr="_fail" as name), args=[first]) if path.name == "lifecycle.py":
                    pass
                case _:
                    continue
            text = text_of(first, module)
            if re.search(r"\w", text) and text not in _NO_STEP:  # otherwise it passes on the message of another error
                yield name, Message(text, f"{path.relative_to(ROOT)}:{node.lineno}")


def remedies() -> list[str]:
    """Return the messages in the tables whose other column has the remedy."""
    seen = []
    for page in DOCS.glob("*.md"):
        for table in re.findall(r"^\| [Ww]hat you see \|.*?(?=^[^|]|\Z)", page.read_text(), re.MULTILINE | re.DOTALL):
            for row in table.splitlines()[2:]:
                cell, remedy = re.split(r"(?<!\\) \| ", row.strip("| "), maxsplit=1)
                assert len(remedy) > 15, row
                seen += re.findall(r"`([^`]+)`", cell)
    return seen


REMEDIES = remedies()


def has_row(text: str) -> bool:
    """Whether a row is about a message; each may have more gaps than the other."""

    return any(_is_in(text, row) or _is_in(row, text) for row in REMEDIES)


def _is_in(pattern: str, text: str) -> bool:
    """Whether a text contains the parts of a pattern between its gaps, in order."""
    parts = [part.strip(" ;:,.()") for part in pattern.replace("`", "").split(_GAP)]
    found = ".*".join(re.escape(part) for part in parts if part)
    return sum(map(len, parts)) >= _MIN_PATTERN and bool(re.search(found, text.replace("`", "")))


def says_what_to_do(text: str) -> bool:
    passes_on_remedy = text.startswith(f"{_GAP}; ") or text.endswith(f"; {_GAP}")
    return bool(_ACTION.search(text) or _ACCEPTED.search(text)) or passes_on_remedy or has_row(text)


RAISED = list(raised())
OF_COMMANDS = [message for name, message in RAISED if name not in _NOT_FOR_PEOPLE]


class TestCommandsAndStart:
    @pytest.mark.parametrize("message", OF_COMMANDS, ids=lambda each: each.place)
    def test_each_message_says_what_to_do(self, message: Message) -> None:
        assert says_what_to_do(message.text), f"{message.place}: {message.text}"

    def test_every_exempt_message_is_still_raised(self) -> None:
        assert set(_NOT_FOR_PEOPLE) <= {name for name, _ in RAISED}

    def test_settings_options_and_commands_named_in_messages_exist(self, capsys: pytest.CaptureFixture[str]) -> None:
        known = {each.variable for each in explain()} | {"MYLIST_TOKEN", "MYLIST_URL", "TMPDIR"}
        known |= {"HTTPS_PROXY", "SSL_CERT_FILE"} | {f"`mylist {name}" for name in subcommands(capsys)}
        known |= {option for path, _ in modules() for option in re.findall(r'"(--[a-z-]+)"', path.read_text())}
        known.add("--help")
        named = re.compile(r"(?<![\w-])--[a-z-]+|`mylist [a-z]+|\b(?!OTEL_)[A-Z]+_[A-Z_]+\b")

        assert [each for each in OF_COMMANDS if not set(named.findall(each.text)) <= known] == []

    @pytest.mark.parametrize("command", [["lsit"], ["list", "--page", "x"], ["token"], ["events", "--name", "a b"]])
    def test_wrong_usage_points_to_the_help(self, command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            main(command)
        assert re.search(r"; see `mylist[a-z ]* --help`\n$", capsys.readouterr().err)


class TestSettings:
    @pytest.mark.parametrize("setting", explain(), ids=lambda each: each.variable)
    def test_an_invalid_value_is_refused_with_the_accepted_ones(self, setting: Explanation) -> None:
        if setting.accepts == "any text":
            return
        for value in ("{", "-1", "no such thing, nor this", "http://[", ","):
            with suppress(InvalidSettingError):
                Settings.load({setting.variable: value})
                continue
            break
        else:
            pytest.fail(f"{setting.variable} takes anything, and says that it takes {setting.accepts}")
        with pytest.raises(InvalidSettingError) as told:
            Settings.load({setting.variable: value})
        assert str(told.value).startswith(f"{setting.variable} is ")
        assert setting.accepts in str(told.value) or says_what_to_do(str(told.value))


class TestApi:
    """A table of docs/api.md has the client's reaction to each code."""

    @staticmethod
    def rows() -> dict[str, list[str]]:
        """The codes of each row, by the client's reaction."""
        [table] = re.findall(r"^\| Do this \|.*?(?=^[^|])", (DOCS / "api.md").read_text(), re.MULTILINE | re.DOTALL)
        cells = [row.strip("| ").split(" | ") for row in table.splitlines()[2:]]
        return {action: re.findall(r"`([A-Z_]+)`", codes) for action, codes in cells}

    def test_table_lists_each_code_once(self) -> None:
        codes = Counter(chain.from_iterable(self.rows().values()))
        assert codes == dict.fromkeys({each.code for each in errors(ServiceError)} - NEVER_SENT | set(OF_HTTP), 1)

    def test_table_says_to_wait_if_the_answer_has_retry_after(self) -> None:
        [waiting] = [set(codes) for action, codes in self.rows().items() if "Retry-After" in action]
        told = {each.code for each in errors(ServiceError) if each.retry_after is not None}
        unsure = {"OUTCOME_UNKNOWN", "PARTLY_APPLIED"}  # the client must read the list first
        for_operators = {"DATABASE_REFUSED"}
        assert waiting == told - unsure - for_operators


class TestChart:
    """Refusals of values; tests/chart/test_contradictions.py makes Helm print each."""

    REFUSALS = tuple(
        Message(text.replace("%s", _GAP).replace("%v", _GAP), path.relative_to(ROOT).as_posix())
        for path in sorted(CHART.rglob("templates/**/*"))
        if path.is_file()
        for text in re.findall(r'(?:append \$refuse|fail) (?:\(printf )?"((?:[^"\\]|\\.)*)"', path.read_text())
        if re.search(r"[a-z]{2}", text)
    )

    @pytest.mark.parametrize("message", REFUSALS, ids=lambda each: each.text[:60])
    def test_each_refusal_says_what_to_do(self, message: Message) -> None:
        assert says_what_to_do(message.text), f"{message.place}: {message.text}"

    def test_each_value_named_in_a_refusal_exists(self) -> None:
        values = set(paths(yaml.safe_load((CHART / "values.yaml").read_text())))
        for name in ("mongodb", "redis"):
            subchart = yaml.safe_load((CHART / "charts" / name / "values.yaml").read_text())
            values |= {f"{name}.{each}" for each in paths(subchart)} | set(paths(subchart))
        named = re.compile(r"(?<![\w.…/-])[a-z][A-Za-z]*(?:\.[a-z][A-Za-z]*)+(?![\w.…/-])")
        unknown = [
            (name, each.place) for each in self.REFUSALS for name in named.findall(each.text) if name not in values
        ]
        assert unknown == []


def paths(values: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """The path of each value and group of a values.yaml."""
    for name, value in values.items():
        yield f"{before}{name}"
        if isinstance(value, dict):
            yield from paths(value, f"{before}{name}.")


class TestMake:
    @pytest.mark.parametrize("target", ["image", "up", "down", "kind-up", "kind-down"])
    def test_a_missing_tool_is_named_with_the_way_to_install_it(self, target: str, tmp_path: Path) -> None:
        for tool in ("sh", "sed", "git", "awk"):
            (tmp_path / tool).symlink_to(shutil.which(tool) or pytest.fail(f"{tool} is not installed"))
        make = shutil.which("make") or pytest.fail("make is not installed")
        ended = subprocess.run(
            [make, target], cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
        )
        assert ended.returncode != 0
        assert re.search(
            r"^make \S+ needs (Docker|kind)[^;\n]*; install .* `make run` needs neither", ended.stderr, re.MULTILINE
        )

    def test_each_failure_says_what_to_do(self) -> None:
        recipes = [ROOT / "Makefile", ROOT / "devtools" / "install.sh"]
        told = [text for path in recipes for text in re.findall(r'echo "([^"]+)" >&2', path.read_text())]
        assert told
        assert [text for text in told if not says_what_to_do(text)] == []

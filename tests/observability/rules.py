"""The committed rules, their tests and runbooks, and promtool, which checks them."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.requirements import skip_or_fail

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "observability"
METRICS = ROOT / "docs" / "metrics.md"
RULES = ROOT / "charts" / "mylist" / "files" / "rules"
RULE_FILES = sorted(RULES.glob("*.yaml"))
TEST_FILES = sorted(Path(__file__).with_name("rule_tests").glob("*.yaml"))
RUNBOOKS = sorted((FOLDER / "runbooks").iterdir())

_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*\{([^{}]*)\}")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
_CLAUSE = re.compile(r"\b(?:by|on|group_left|group_right) \([^)]*\)")
_NAME = re.compile(r"\b[a-zA-Z_:][\w:]*\b(?!\s*\()")
_WORDS = {"and", "or", "unless", "bool", "offset", "group_left", "group_right"}
_TABLE_ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<kind>\w+) \|(?P<labels>[^|]*)\|", re.MULTILINE)
_CODE = re.compile(r"`(\w+)`")


def load(path: Path) -> Any:
    """Return the content of a YAML file."""
    return yaml.load(path.read_text(), Loader=yaml.CSafeLoader)


def rules(kind: str) -> list[dict[str, Any]]:
    """Return the rules of all files that are an `alert` or a `record`."""
    groups = [group for path in RULE_FILES for group in load(path)["groups"]]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


def alert_tests() -> list[dict[str, Any]]:
    """Return every check of an alert in the rule tests."""
    tests = [test for path in TEST_FILES for test in load(path)["tests"]]
    return [look for test in tests for look in test.get("alert_rule_test", [])]


def promql(runbook: Path) -> list[str]:
    """Return the queries of a runbook."""
    return re.findall(r"^```promql\n(.*?)^```$", runbook.read_text(), re.MULTILINE | re.DOTALL)


def metrics(expression: str) -> set[str]:
    """Return the metrics that an expression asks for."""
    bare = re.sub(r"\[[^]]*\]", "", _CLAUSE.sub("", _SELECTOR.sub(r"\1", expression)))
    return set(_NAME.findall(re.sub(r"\{[^{}]*\}", "", bare))) - _WORDS


def matchers(expression: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield each matcher of an expression: the metric, the label, and the values."""
    for metric, selector in _SELECTOR.findall(expression):
        for label, value in _MATCHER.findall(selector):
            yield metric, label, value.split("|")


def documented() -> dict[str, set[str]]:
    """Return the labels of each metric of the service, under the names that Prometheus has for it."""
    found: dict[str, set[str]] = {}
    for row in _TABLE_ROW.finditer(METRICS.read_text()):
        parts = ("_bucket", "_count", "_sum") if row["kind"] == "histogram" else ("",)
        found |= {row["name"] + part: set(_CODE.findall(row["labels"])) for part in parts}
    return found


def documented_words() -> set[str]:
    """Return all words in code style in docs/metrics.md, which include the values of the labels."""
    return set(_CODE.findall(METRICS.read_text()))


def as_rules(queries: list[str], folder: Path) -> Path:
    """Write queries as rules, which promtool can check; return the file."""
    path = folder / "queries.yaml"
    groups = [{"name": str(at), "rules": [{"record": "query", "expr": query}]} for at, query in enumerate(queries)]
    path.write_text(yaml.safe_dump({"groups": groups}))
    return path


def promtool(*arguments: str) -> str:
    """Run promtool, assert that it succeeds, and return its output."""
    if not shutil.which("promtool"):
        skip_or_fail("promtool is not installed; it is in Debian's package prometheus")
    result = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout

"""What the README says about the code, held against the code."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools import documents
from mylist.config.settings import explain
from mylist.domain.errors import ServiceError

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PACKAGE = ROOT / "service" / "mylist"
DOCUMENTS = [README, *sorted((ROOT / "docs").rglob("*.md"))]
# Statuses that HTTP itself asks for, and codes that are no class in `mylist.domain.errors`.
OF_HTTP = {
    "ROUTE_NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "REQUEST_TIMEOUT": 408,
    "BODY_TOO_LARGE": 413,
    "URI_TOO_LONG": 414,
    "EXPECTATION_FAILED": 417,
    "HEADERS_TOO_LARGE": 431,
    "INTERNAL_ERROR": 500,
}
# The parent of two others, never sent itself.
NEVER_SENT = {"NOT_FOUND"}


def errors(kind: type[ServiceError]) -> Iterator[type[ServiceError]]:
    for each in kind.__subclasses__():
        yield each
        yield from errors(each)


@pytest.fixture
def readme() -> str:
    return README.read_text()


@pytest.mark.usefixtures("_no_settings")
def test_tables_of_routes_and_settings_are_the_ones_of_the_code(readme: str) -> None:
    assert readme == documents.readme(), f"run {documents.COMMAND}"


@pytest.fixture
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keeps out what is set where the tests run; the defaults are what is documented."""
    monkeypatch.chdir(tmp_path)
    for setting in explain():
        monkeypatch.delenv(setting.variable, raising=False)


def test_table_of_errors_is_the_one_of_the_code(readme: str) -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (\d{3}) \|", readme, re.MULTILINE)
    raised = {each.code: int(each.status) for each in errors(ServiceError) if each.code not in NEVER_SENT}
    assert {code: int(status) for code, status in rows} == raised | OF_HTTP


def test_table_of_commands_is_the_one_of_the_makefile(readme: str) -> None:
    [commands] = re.findall(r"^## Commands\n(.*?)^## ", readme, re.MULTILINE | re.DOTALL)
    [targets] = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"`make ([a-z0-9-]+)`", commands)) == set(targets.split()) - {"help"}


def test_table_of_commands_has_every_script_of_the_original(readme: str) -> None:
    scripts = {"npm run dev", "npm run build", "npm start", "npm test", "npm run test:watch", "npm run test:coverage"}
    scripts |= {"npm run seed", "npm run lint", "npm run format"}
    assert scripts == set(re.findall(r"^\| `(npm [^`]+)` \| `make ", readme, re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path) if path else document
        assert target.exists(), link
        assert not anchor or anchor in documents.headings(target.read_text()), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_are_named_exist(document: Path) -> None:
    for name in re.findall(r"`([\w/.-]+/[\w.-]+\.(?:py|lua|html|js))`", document.read_text()):
        assert (ROOT / name).exists() or (PACKAGE / name).exists(), name


def test_start_fits_on_a_screen(readme: str) -> None:
    lines = readme.splitlines()
    [first_curl] = [number for number, line in enumerate(lines) if line.startswith("curl ")][:1]
    assert first_curl < 30


def test_design_names_every_part() -> None:
    parts = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    [listed] = re.findall(
        r"^## The parts\n+```text\n(.*?)```", (ROOT / "docs/design.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert set(re.findall(r"^(\w+)/ ", listed, re.MULTILINE)) == parts

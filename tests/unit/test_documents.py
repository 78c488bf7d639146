"""The documents against the code: tables, links, files, commands. And each statement is made once."""

import importlib.util
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from devtools import documents
from mylist.app import _USER_REQUESTS_AT_ONCE
from mylist.cli import main
from mylist.config.settings import explain
from mylist.domain.errors import ServiceError
from tests.contract.test_documented_commands import PAGES
from tests.markdown import blocks

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PACKAGE = ROOT / "service" / "mylist"
_FOLDERS = (".devcontainer", ".github", "charts", "docs", "findings", "k8s", "loadtests", "observability")
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *chain.from_iterable((ROOT / folder).rglob("*.md") for folder in _FOLDERS)],
    key=lambda path: path.relative_to(ROOT).as_posix(),
)
# Files that name pages of the documentation: messages, templates, comments, rules.
_NAMING = (*_FOLDERS, ".ci", "bench", "devtools", "service", "tests")
_TEXTS = {".py", ".lua", ".sh", ".yaml", ".yml", ".tpl", ".txt", ".json", ".html", ".js", ".md", ""}
# Statuses that HTTP itself defines, and codes without a class in `mylist.domain.errors`.
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
ON_A_CLUSTER = {"docs/kubernetes.md"}
"""Pages whose service is one in a cluster; tests/chart/test_documentation.py looks at them."""
RUN_BY_ITSELF = {"docs/reading.md"}
"""Pages whose requests need the sample as it is seeded; tests/contract/test_docs_reading.py runs them."""
_NUMBERS = {8: "eight"}
_MIN_PARAGRAPH = 100
"""Characters: from this length on, a paragraph that is in two places counts as a copy."""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)


def errors(kind: type[ServiceError]) -> Iterator[type[ServiceError]]:
    for each in kind.__subclasses__():
        yield each
        yield from errors(each)


@pytest.fixture
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove the settings of this machine, because the documents name the defaults."""
    monkeypatch.chdir(tmp_path)
    for setting in explain():
        monkeypatch.delenv(setting.variable, raising=False)


class TestTable:
    def test_of_routes_is_up_to_date(self) -> None:
        assert documents.API.read_text() == documents.api(), f"run {documents.COMMAND}"

    @pytest.mark.usefixtures("_no_settings")
    def test_of_settings_is_up_to_date(self) -> None:
        assert documents.CONFIGURATION.read_text() == documents.configuration(), f"run {documents.COMMAND}"

    def test_of_routes_links_each_route_to_its_section(self) -> None:
        [table] = re.findall(r"<!-- routes: .*?-->\n(.*?)<!-- end", documents.API.read_text(), re.DOTALL)
        rows = [line for line in table.splitlines() if line.startswith("| ")][2:]

        assert rows
        assert [row for row in rows if not re.match(r"\| \[`[A-Z]+ /", row)] == []

    def test_of_routes_links_to_sections_of_other_pages(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        page = tmp_path / "api.md"
        page.write_text(documents.API.read_text().replace("## Count the list: `GET /api/mylist/stats`", "## Count"))
        (tmp_path / "counts.md").write_text("# Counts\n\n## All: `GET /api/mylist/stats`\n")
        monkeypatch.setattr(documents, "API", page)

        assert "| [`GET /api/mylist/stats`](counts.md#all-get-apimyliststats) |" in documents.api()

    def test_of_errors_has_the_codes_and_statuses_of_the_service(self) -> None:
        rows = re.findall(r"^\| `([A-Z_]+)` \| (\d{3}) \|", documents.API.read_text(), re.MULTILINE)
        raised = {each.code: int(each.status) for each in errors(ServiceError) if each.code not in NEVER_SENT}
        assert {code: int(status) for code, status in rows} == raised | OF_HTTP

    def test_of_make_commands_has_the_targets_of_the_makefile(self) -> None:
        [commands] = re.findall(r"^## `make`\n(.*?)^## ", (DOCS / "commands.md").read_text(), re.MULTILINE | re.DOTALL)
        assert set(re.findall(r"`make ([a-z0-9-]+)`", commands)) == make_targets() - {"help"}

    def test_of_make_commands_has_every_npm_script_of_the_original(self) -> None:
        scripts = {"npm run dev", "npm run build", "npm start", "npm test", "npm run test:watch"}
        scripts |= {"npm run test:coverage", "npm run seed", "npm run lint", "npm run format"}
        rows = re.findall(r"^\| `(npm [^`]+)` \| `make ", (DOCS / "commands.md").read_text(), re.MULTILINE)
        assert scripts == set(rows)

    def test_of_mylist_has_every_subcommand(self, capsys: pytest.CaptureFixture[str]) -> None:
        [table] = re.findall(r"^## `mylist`\n(.*?)^## ", (DOCS / "commands.md").read_text(), re.MULTILINE | re.DOTALL)
        named = set(re.findall(r"(?<=`mylist )[a-z]+(?=`)|(?<=, `)[a-z]+(?=`)", table))

        assert named == subcommands(capsys)


def subcommands(capsys: pytest.CaptureFixture[str]) -> set[str]:
    with pytest.raises(SystemExit):
        main(["--help"])
    return set(re.findall(r"^    ([a-z]+)\b", capsys.readouterr().out, re.MULTILINE))


def make_targets() -> set[str]:
    [targets] = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return set(targets.split())


def test_docs_api_states_the_number_of_concurrent_requests_per_user() -> None:
    text = " ".join(documents.API.read_text().split())
    assert f"works on up to {_NUMBERS[_USER_REQUESTS_AT_ONCE]} requests of one user" in text


class TestLinks:
    @each_document
    def test_lead_to_an_existing_file_and_heading(self, document: Path) -> None:
        for link in re.findall(r"\]\(([^)\s]+)\)", without_blocks(document.read_text())):
            if link.startswith(("https://", "http://")):
                continue
            path, _, anchor = link.partition("#")
            target = (document.parent / path) if path else document
            assert target.exists(), link
            assert not anchor or anchor in documents.anchors(target.read_text()), link

    @pytest.mark.parametrize("folder", _NAMING)
    def test_to_pages_named_in_other_files_are_valid(self, folder: str) -> None:
        for path, page, anchor in pages_named_in(folder):
            target = ROOT / page
            assert target.exists(), (name_of(path), page)
            assert not anchor or anchor in documents.anchors(target.read_text()), (name_of(path), page, anchor)

    def test_to_known_pages_are_found_in_other_files(self) -> None:
        named = {page for folder in _NAMING for _, page, _ in pages_named_in(folder)}
        assert {"docs/coming-from-express.md", "docs/kubernetes.md", "docs/metrics.md"} <= named

    def test_to_repeated_headings_end_in_a_number(self) -> None:
        document = "# A\n\n## `B`, [c](d.md)!\n\n```bash\n# no heading\n```\n\n## `B`, c\n\n### a\n"
        assert documents.anchors(document) == {"a", "b-c", "b-c-1", "a-1"}

    @each_document
    def test_files_that_are_named_exist(self, document: Path) -> None:
        for name in re.findall(r"`([\w/.-]+/[\w.-]+\.(?:py|lua|html|js))`", document.read_text()):
            assert any((base / name).exists() for base in (ROOT, PACKAGE, document.parent)), name


def pages_named_in(folder: str) -> Iterator[tuple[Path, str, str]]:
    """Yield the pages that the files of a folder name by their path from the root, with the anchor."""
    for path in sorted((ROOT / folder).rglob("*")):
        if path.suffix in _TEXTS and path.is_file() and "__pycache__" not in path.parts and path != Path(__file__):
            text = path.read_text(errors="replace")
            for page, anchor in re.findall(r"(?<![\w./-])(docs/[\w/-]+\.md)(?:#([\w-]+))?", text):
                yield path, page, anchor


def without_blocks(text: str) -> str:
    return re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL)


class TestReadme:
    def test_has_at_most_150_lines(self) -> None:
        assert len(README.read_text().splitlines()) <= 150

    def test_shows_how_to_start_near_the_top(self) -> None:
        lines = README.read_text().splitlines()
        assert lines.index("make run") < 20
        assert next(number for number, line in enumerate(lines) if line.startswith("curl ")) < 50

    def test_features_have_evidence(self) -> None:
        [table] = re.findall(r"^\| Feature \| Evidence \|\n(.*?)^$", README.read_text(), re.MULTILINE | re.DOTALL)
        rows = table.splitlines()[1:]
        assert len(rows) > 4
        assert [row for row in rows if "](" not in row.split(" | ")[1]] == []


def test_every_page_is_in_the_index() -> None:
    index = (DOCS / "README.md").read_text()
    pages = {name_of(path).removeprefix("docs/") for path in DOCS.glob("*.md")} - {"README.md"}
    assert pages - set(re.findall(r"\]\(([\w-]+\.md)\)", index)) == set(), "add these pages to docs/README.md"


@pytest.mark.parametrize(
    "page", ["api", "commands", "configuration", "design", "kubernetes", "operations", "troubleshooting"]
)
def test_long_pages_begin_with_an_index_of_all_their_sections(page: str) -> None:
    beginning, *_ = (DOCS / f"{page}.md").read_text().partition("\n## ")
    sections = re.findall(r"^## (.+)$", without_blocks((DOCS / f"{page}.md").read_text()), re.MULTILINE)
    listed = re.findall(r"\]\(#([\w-]+)\)", beginning)

    lacking = [each for each in sections if not documents.anchors(f"# {each}") & set(listed)]
    assert lacking == []


def test_no_paragraph_is_in_two_places() -> None:
    count = Counter(chain.from_iterable(set(paragraphs(document)) for document in DOCUMENTS))
    assert [paragraph for paragraph, places in count.items() if places > 1] == []


def paragraphs(document: Path) -> Iterator[str]:
    """Yield the paragraphs, items and rows of a document that are long enough to be a copy."""
    text = without_blocks(document.read_text())
    for part in re.split(r"\n\s*\n|\n(?=\|)|\n(?= *(?:[-*]|\d+\.) )", text):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", " ".join(part.split()))
        if len(words) >= _MIN_PARAGRAPH:
            yield words


class TestCommands:
    """Commands in shell blocks and in running text."""

    def test_that_call_a_running_service_are_tested(self) -> None:
        asking = {
            name_of(document)
            for document in DOCUMENTS
            for block in blocks(document.read_text())
            if block.is_shell and "localhost:3000/" in block.text
        }
        assert asking - ON_A_CLUSTER - RUN_BY_ITSELF == {page for page in PAGES if page in asking}

    @each_document
    def test_in_shell_blocks_are_valid_bash(self, document: Path) -> None:
        for block in blocks(document.read_text()):
            if block.is_shell:
                checked = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
                assert checked.returncode == 0, (block.text, checked.stderr)

    @each_document
    def test_name_only_existing_make_targets(self, document: Path) -> None:
        named = re.findall(r"(?:^|`)make ((?:[a-z][a-z0-9-]*\b(?!\.) ?)+)", document.read_text(), re.MULTILINE)
        assert {target for targets in named for target in targets.split()} <= make_targets()

    @each_document
    def test_name_only_existing_modules(self, document: Path) -> None:
        for module in set(re.findall(r"python -m ([a-z_][\w.]*\w)", document.read_text())):
            name = re.sub(r"\.?__main__$", "", module)
            found = (ROOT / name.replace(".", "/")).is_dir() or (ROOT / f"{name.replace('.', '/')}.py").exists()
            assert found or importlib.util.find_spec(name.partition(".")[0]), module

    @each_document
    def test_name_only_existing_subcommands_of_mylist(self, document: Path, capsys: pytest.CaptureFixture[str]) -> None:
        text = "\n".join([*(block.text for block in blocks(document.read_text()) if block.is_shell)])
        named = re.findall(r"(?:^|\.venv/bin/|-- )mylist ([a-z]+)\b", text, re.MULTILINE)
        assert set(named) <= subcommands(capsys)


def test_design_names_every_part() -> None:
    parts = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    design = (DOCS / "design.md").read_text()
    [listed] = re.findall(r"^## The parts\n+```text\n(.*?)```", design, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"^(\w+)/ ", listed, re.MULTILINE)) == parts

"""The generated parts of the documents: tables in docs/, .env.example, schemas, Postman's collection, the chart.

`python -m devtools.documents` regenerates them; a test fails if one is out of date.
"""

import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

from devtools import chart_documents, decision_index, postman
from mylist.api.openapi import openapi_path
from mylist.api.route import Route
from mylist.api.router import ROUTES
from mylist.catalogue_files.title_schema import SCHEMA_FILE, schema
from mylist.config.settings import explain

ROOT = Path(__file__).parents[1]
COMMAND = ".venv/bin/python -m devtools.documents"
API = ROOT / "docs" / "api.md"
CONFIGURATION = ROOT / "docs" / "configuration.md"
ENV_EXAMPLE = ROOT / ".env.example"
POSTMAN_COLLECTION = ROOT / "docs" / "postman_collection.json"
TITLE_SCHEMAS = (ROOT / "service/mylist/catalogue_files" / SCHEMA_FILE, ROOT / "docs" / SCHEMA_FILE)

_SECTION = re.compile(r"^#{2,3} (.+)$", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
_BLOCK = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


def api() -> str:
    """Return docs/api.md with its table of routes rewritten.

    Raises:
        ValueError: it has no place for the table.
    """
    text = _replaced(API, "routes", "")  # the sections, without the table that links to them
    return _replaced(API, "routes", _route_table(text))


def configuration() -> str:
    """Return docs/configuration.md with its table of settings rewritten.

    Raises:
        ValueError: it has no place for the table.
    """
    return _replaced(CONFIGURATION, "configuration", _settings_table())


def decisions() -> str:
    """Return docs/decisions/README.md with its table rewritten.

    Raises:
        ValueError: it has no place for the table.
        DecisionError: a file is not a decision.
    """
    return _replaced(decision_index.INDEX, "decisions", decision_index.index(decision_index.decisions()))


def anchors(text: str) -> set[str]:
    """Return the anchors that links to a document may name: one for each heading, as a forge makes them.

    Of headings with the same text, the second ends in `-1`, the third in `-2`.
    """
    found: set[str] = set()
    for heading in _HEADING.findall(_BLOCK.sub("", text)):
        anchor = first = _anchor(heading)
        number = 0
        while anchor in found:
            number += 1
            anchor = f"{first}-{number}"
        found.add(anchor)
    return found


def _replaced(document: Path, name: str, table: str) -> str:
    """Return a document with the text between two comments replaced."""
    opening, closing = f"<!-- {name}: made by {COMMAND} -->\n", f"<!-- end of {name} -->"
    before, start, rest = document.read_text().partition(opening)
    _, end, after = rest.partition(closing)
    if not start or not end:
        raise ValueError(f"{document} lacks {opening.strip()} or {closing}")
    return before + start + table + end + after


def env_example() -> str:
    """Return the text of .env.example."""
    lines = [
        "# Every setting of the service with its default. To change one, copy this file to .env and take the # off",
        "# the setting's line; environment variables override .env.",
        f"# Made by: {COMMAND}",
    ]
    for each in explain():
        lines += ["", f"# {each.meaning}", f"# Accepts {each.accepts}.", f"#{each.variable}={each.default}".rstrip()]
    lines += [
        "",
        "# --- `make up` only. Its MongoDB and Redis are made with MONGODB_USER, MONGODB_PASSWORD and REDIS_PASSWORD",
        "# as set above, or with mylist, development and development; MongoDB keeps those of its first start. The",
        "# password of its administrator, which the service does not get:",
        "#MONGODB_ROOT_PASSWORD=development",
    ]
    return "\n".join(lines) + "\n"


def title_schema() -> str:
    """Return the JSON Schema of the titles that an import takes."""
    return json.dumps(schema(), indent=2) + "\n"


def _route_table(text: str) -> str:
    rows = ["| Route | What it does | Kind | Success | Errors |", "| --- | --- | --- | --- | --- |"]
    for route in ROUTES:
        name = f"`{route.method} {openapi_path(route)}`"
        target = _section_about(route, text)
        link = f"[{name}]({target})" if target else name
        rows.append(
            f"| {link} | {route.summary} | {route.kind} | {_statuses(route, errors=False)} "
            f"| {_statuses(route, errors=True)} |"
        )
    return "\n".join(["", *rows, "", ""])


def _statuses(route: Route, *, errors: bool) -> str:
    statuses = {*route.answers, *route.errors}
    return ", ".join(str(each) for each in sorted(statuses) if (each >= HTTPStatus.BAD_REQUEST) == errors)


def _section_about(route: Route, text: str) -> str:
    """Return the place of a route's section: its heading on any page names the route, or it is the first of `text`."""
    path = re.escape(openapi_path(route)) + r"(?![\w/])"
    named = rf"`{route.method}\b.*{path}"
    others = sorted({*API.parent.glob("*.md")} - {API})
    for page, content in (("", text), *((other.name, other.read_text()) for other in others)):
        for heading, _ in _sections(content):
            if re.search(named, heading):
                return f"{page}#{_anchor(heading)}"
    for pattern in (f"{route.method} {path}", path):
        for heading, section in _sections(text):
            if re.search(pattern, section):
                return f"#{_anchor(heading)}"
    return ""


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """Yield the heading of each section and the text up to the next heading."""
    _, *parts = _SECTION.split(text)
    yield from zip(parts[::2], parts[1::2], strict=True)


def _anchor(heading: str) -> str:
    """Return the anchor of a heading, as a forge makes it."""
    return re.sub(r"[^\w\- ]", "", _LINK.sub(r"\1", heading).lower()).replace(" ", "-")


def _settings_table() -> str:
    rows = ["| Variable | Default | Meaning | Accepts |", "| --- | --- | --- | --- |"]
    for setting in explain():
        default = f"`{setting.default}`" if setting.default else ""
        accepts = setting.accepts.replace("|", "\\|")
        rows.append(f"| `{setting.variable}` | {default} | {setting.meaning} | {accepts} |")
    return "\n".join(["", *rows, "", ""])


def main() -> None:
    """Write every document."""
    API.write_text(api())
    CONFIGURATION.write_text(configuration())
    ENV_EXAMPLE.write_text(env_example())
    POSTMAN_COLLECTION.write_text(postman.collection())
    decision_index.write()
    decision_index.INDEX.write_text(decisions())
    chart_documents.write()
    for path in TITLE_SCHEMAS:
        path.write_text(title_schema())


if __name__ == "__main__":
    main()

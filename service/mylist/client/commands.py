"""The subcommands: each sends requests and prints the answer, as a table on a terminal and as JSON elsewhere."""

import argparse
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from mylist.client.api import Client, ClientError, ImportedLine, ListedItem, UnusableError, user_of_token
from mylist.client.terminal import counts_table, plain, table

_STANDARD_INPUT = "-"
_JSON_LINES = "application/x-ndjson"
_CSV = "text/csv"
_MEDIA_TYPES = {".csv": _CSV, ".json": "application/json"}
"""By the suffix of a file; other files are JSON Lines."""
_DONE = {"added", "existing", "dated", "removed"}
"""With these outcomes, the list matches the line."""


def run(arguments: argparse.Namespace) -> None:
    """Run the subcommand that `arguments.ask` names.

    Raises:
        UnusableError: as `Client`, or the token names another user than `--user`; nothing was requested.
        ClientError: a request failed; of several items, the message has a line for each that failed.
    """
    token = os.environ.get("MYLIST_TOKEN", "").strip()
    with Client(arguments.url, arguments.user or "", token) as client:
        if token and arguments.user:
            _refuse_other_user(client, token, arguments.user)
        _COMMANDS[arguments.ask](client, arguments)


def _refuse_other_user(client: Client, token: str, user_id: str) -> None:
    """Refuse to show or change the list of another user than `--user` names.

    A gateway may require a token of the caller and pass `--user` on, or take the user from the token. A service that
    verifies tokens itself ignores `--user`.
    """
    if not client.identifies_by_token():
        if not client.asks_for(user_id):
            raise UnusableError(
                f"--user is {user_id!r}, but the gateway takes another user from MYLIST_TOKEN; leave --user out"
            )
        return
    claim, profile_claim = (os.environ.get(name, "").strip() for name in ("JWT_USER_CLAIM", "JWT_PROFILE_CLAIM"))
    named = user_of_token(token, claim or "sub", profile_claim)
    if named != user_id:
        whose = "cannot be read here" if named is None else f"names {plain(named)!r}"
        raise UnusableError(
            f"--user is {user_id!r}, but the service takes the user from MYLIST_TOKEN, which {whose}; leave --user out"
        )


def _list(client: Client, arguments: argparse.Namespace) -> None:
    if arguments.all:
        items = client.items(arguments.page_size)
        _print(arguments, {"items": items, "total": len(items)}, [*_titles(items), _count(len(items))])
    else:
        page = client.page(arguments.page, arguments.page_size)
        which = f"page {page['page']} of {max(page['totalPages'], 1)}"
        _print(arguments, page, [*_titles(page["items"]), f"{_count(page['total'])}, {which}"])


def _titles(items: Sequence[ListedItem]) -> list[str]:
    rows = [("ADDED", "TYPE", "CONTENT ID", "TITLE")]
    for item in items:
        title = "(withdrawn)" if item["content"] is None else str(item["content"].get("title") or "")
        rows.append((item["addedAt"], item["contentType"], item["contentId"], title))
    width = shutil.get_terminal_size((sys.maxsize, 0)).columns  # no truncation in a pipe
    return [table(rows, width=width)] if items else []


def _count(number: int) -> str:
    return "1 item" if number == 1 else f"{number} items"


def _add(client: Client, arguments: argparse.Namespace) -> None:
    item = client.add(arguments.content_id, arguments.content_type)
    row = (item["addedAt"], item["contentType"], item["contentId"])
    _print(arguments, item, [table([("ADDED", "TYPE", "CONTENT ID"), row])])


def _remove(client: Client, arguments: argparse.Namespace) -> None:
    removed: list[str] = []
    failures: list[str] = []
    for number, content_id in enumerate(arguments.content_ids, start=1):
        try:
            client.remove(content_id)
            removed.append(content_id)
        except ClientError as error:
            failures.append(f"{content_id}: {error}")
            if error.code != "ITEM_NOT_IN_LIST":  # the others would fail in the same way
                failures += [f"{each}: not tried" for each in arguments.content_ids[number:]]
                break
    _print(arguments, {"removed": removed}, [table([("REMOVED",), *((each,) for each in removed)])] if removed else [])
    if failures:
        raise ClientError("\n".join(failures))


def _contains(client: Client, arguments: argparse.Namespace) -> None:
    presence = client.contains(arguments.content_ids)
    answers = ["yes" if each else "no" for each in presence["contains"]]
    rows = [("CONTENT ID", "ON THE LIST"), *zip(arguments.content_ids, answers, strict=True)]
    _print(arguments, presence, [table(rows)])


def _stats(client: Client, arguments: argparse.Namespace) -> None:
    stats = client.stats()
    _print(arguments, stats, [counts_table([("total", stats["total"]), *stats["byType"].items()])])


def _changes(client: Client, arguments: argparse.Namespace) -> None:
    found = client.changes(arguments.since)
    rows = [("CHANGED", "CHANGE", "TYPE", "CONTENT ID")]
    rows += [
        (each["changedAt"], each["change"], each.get("contentType", ""), each["contentId"]) for each in found["changes"]
    ]
    lines = [table(rows)] if found["changes"] else ["nothing changed"]
    _print(arguments, found, [*lines, f"Next: --since {plain(found['token'])}"])


def _clear(client: Client, arguments: argparse.Namespace) -> None:
    removed = client.clear()
    _print(arguments, {"removed": removed}, [f"{_count(removed)} removed"])


def _export(client: Client, arguments: argparse.Namespace) -> None:
    """Write an export. A file appears only once it is complete."""
    file: Path | None = arguments.file
    with client.export(_CSV if file and file.suffix.lower() == ".csv" else _JSON_LINES) as parts:
        if file is None:
            for part in parts:
                sys.stdout.buffer.write(part)
            sys.stdout.buffer.flush()
            return
        partial = file.with_name(f"{file.name}.part")
        try:
            with partial.open("wb") as target:
                target.writelines(parts)
            partial.replace(file)
        except OSError as error:
            raise ClientError(f"{file}: {error.strerror}") from None
        finally:
            partial.unlink(missing_ok=True)


def _import(client: Client, arguments: argparse.Namespace) -> None:
    name: str = arguments.file
    try:
        body = sys.stdin.buffer.read() if name == _STANDARD_INPUT else Path(name).read_bytes()
    except OSError as error:
        raise ClientError(f"{name}: {error.strerror}") from None
    lines = client.import_(body, _media_type(name), replace=arguments.replace, confirm=arguments.confirm)
    outcomes = Counter(each.outcome for each in lines)
    failed = [each for each in lines if each.outcome not in _DONE]
    rows = [("LINE", "OUTCOME", "TITLE OR ID", "WHY")]
    rows += [(str(each.line or ""), each.outcome, _named(each), _reason(each)) for each in failed]
    told = msgspec.to_builtins(failed)
    tables = [counts_table(sorted(outcomes.items()))] if outcomes else []
    tables += [table(rows)] if failed else []
    _print(arguments, {"outcomes": dict(outcomes), "failed": told}, tables)
    if failed:
        raise ClientError(
            f"{len(failed):,} of {len(lines):,} lines are not on the list as the file says; "
            "correct them, and import the file again"
        )


def _named(line: ImportedLine) -> str:
    """Return the title of a line, as far as the service could read it."""
    return line.content_id or "" if line.title is None else _with_year(line.title, line.year)


def _reason(line: ImportedLine) -> str:
    """Return why a line is not on the list, with the titles that it may mean."""
    meant = [
        f"{each.content_type} {each.content_id} {_with_year(each.title, each.year)}".rstrip()
        for each in line.candidates
    ]
    parts = [line.error or "", f"it may be {', '.join(meant)}" if meant else ""]
    return "; ".join(filter(None, parts))


def _with_year(title: str, year: int | None) -> str:
    return title if year is None else f"{title} ({year})"


def _media_type(name: str) -> str:
    return _MEDIA_TYPES.get(Path(name).suffix.lower(), _JSON_LINES)


def _print(arguments: argparse.Namespace, document: Mapping[str, object], lines: Sequence[str]) -> None:
    if arguments.as_json or (arguments.as_json is None and not sys.stdout.isatty()):
        lines = [json.dumps(document, indent=2)]
    encoding = sys.stdout.encoding
    for line in lines:
        # Characters that the terminal's encoding lacks are replaced; JSON is ASCII.
        sys.stdout.write(f"{line}\n".encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()


_COMMANDS: dict[str, Callable[[Client, argparse.Namespace], None]] = {
    "list": _list,
    "add": _add,
    "remove": _remove,
    "contains": _contains,
    "stats": _stats,
    "changes": _changes,
    "export": _export,
    "import": _import,
    "clear": _clear,
}

"""The subcommands: each sends requests and prints the answer, as a table on a terminal and as JSON elsewhere."""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence

from mylist.client.api import Client, ClientError, ListedItem, UnusableError, user_of_token
from mylist.client.terminal import plain, table


def run(arguments: argparse.Namespace) -> None:
    """Run the subcommand that `arguments.ask` names.

    Raises:
        UnusableError: as `Client`, or the token names another user than `--user`; nothing was asked or changed.
        ClientError: a request failed; of several items, the message has a line for each that failed.
    """
    token = os.environ.get("MYLIST_TOKEN", "").strip()
    with Client(arguments.url, arguments.user or "", token) as client:
        if token and arguments.user:
            _refuse_other_user(client, token, arguments.user)
        _COMMANDS[arguments.ask](client, arguments)


def _refuse_other_user(client: Client, token: str, user_id: str) -> None:
    """Refuse to show or change the list of another user than `--user` names.

    A gateway may want a token of whoever asks and pass `--user` on. A service that verifies tokens itself does not look
    at `--user`.
    """
    if not client.identifies_by_token():
        return
    named = user_of_token(token, os.environ.get("JWT_USER_CLAIM", "").strip() or "sub")
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
    width = shutil.get_terminal_size((sys.maxsize, 0)).columns  # nothing is cut in a pipe
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
            if error.code != "ITEM_NOT_IN_LIST":  # the others would fail likewise
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
}

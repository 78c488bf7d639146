"""The subcommands of the client and their arguments. Every `mylist` command imports this: it must stay quick."""

import argparse
import os
import re
from collections.abc import Callable
from pathlib import Path

DEFAULT_URL = "http://localhost:3000"
_ID = re.compile("[ -~]{1,128}")
_TOKEN = re.compile("[A-Za-z0-9_-]{1,8192}")
_TYPES = ("movie", "tvshow")
_ID_FORM = "a contentId, or an external id such as imdb:tt0133093 or, with its type, movie:tmdb:603"
_EPILOG = """\
environment:
  MYLIST_URL    URL of the service, unless --url is given
  MYLIST_TOKEN  bearer token, for a service or gateway that needs one; if the service takes the user from the
                token, omit --user

On a terminal the answer is a table, elsewhere it is JSON.
"""


def define(add: Callable[[str, str], argparse.ArgumentParser], run: Callable[[argparse.Namespace], None]) -> None:
    """Define the subcommands.

    Args:
        add: return the parser of a new subcommand for its name and summary.
        run: run the subcommand whose name is in `ask`.
    """

    def define_one(name: str, summary: str) -> argparse.ArgumentParser:
        parser = add(name, summary)
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.epilog = _EPILOG
        parser.set_defaults(command=run, ask=name)
        has_token = bool(os.environ.get("MYLIST_TOKEN", "").strip())
        parser.add_argument("--user", type=_id, required=not has_token, metavar="ID", help="the owner of the list")
        default = os.environ.get("MYLIST_URL") or DEFAULT_URL
        parser.add_argument("--url", default=default, help=f"URL of the service (default {DEFAULT_URL})")
        form = parser.add_mutually_exclusive_group()
        form.add_argument(
            "--json", dest="as_json", action="store_true", default=None, help="print JSON, even on a terminal"
        )
        form.add_argument("--table", dest="as_json", action="store_false", help="print a table, even to a file or pipe")
        return parser

    pages = define_one("list", "print a user's list, newest first")
    which = pages.add_mutually_exclusive_group()
    which.add_argument("--page", type=_number, default=1, metavar="N", help="which page (default 1)")
    which.add_argument("--all", action="store_true", help="every page")
    pages.add_argument("--page-size", type=_number, metavar="N", help="items on a page (default: the service's)")

    define_one("stats", "count a user's list by type")

    feed = define_one("changes", "print what was added to a user's list and removed from it")
    feed.add_argument("--since", type=_token, metavar="TOKEN", help="only what changed since this token")

    file = define_one("export", "write a user's list to a file, which an import accepts unchanged")
    file.add_argument(
        "file",
        nargs="?",
        type=Path,
        metavar="FILE",
        help="file to write, as CSV if its name ends in .csv (default: standard output)",
    )

    file = define_one("import", "put the items of a file on a user's list")
    file.add_argument("file", metavar="FILE", help="JSON Lines, CSV (.csv) or JSON (.json); - is standard input")
    file.add_argument("--replace", action="store_true", help="remove what the file does not name")
    file.add_argument("--confirm", action="store_true", help="replace the list even if no line of the file is on it")

    emptied = define_one("clear", "remove everything from a user's list")
    emptied.add_argument("--confirm", action="store_true", required=True, help="confirm that the whole list is removed")

    one = define_one("add", "add a movie or show to a user's list")
    one.add_argument("content_id", type=_id, metavar="CONTENT_ID", help=f"which movie or show: {_ID_FORM}")
    one.add_argument("--type", required=True, choices=_TYPES, dest="content_type", help="its type")

    for name, summary in (
        ("remove", "remove items from a user's list"),
        ("contains", "print which of some items are on a user's list"),
    ):
        define_one(name, summary).add_argument(
            "content_ids", type=_id, nargs="+", metavar="CONTENT_ID", help=f"which movies and shows: {_ID_FORM}"
        )


def _id(text: str) -> str:
    """Return an id without surrounding blanks, which come from copying; refuse an id that no request can contain."""
    stripped = text.strip()
    if not _ID.fullmatch(stripped):
        raise argparse.ArgumentTypeError(f"{text!a} is not an id")
    return stripped


def _token(text: str) -> str:
    """Return a token without surrounding blanks."""
    stripped = text.strip()
    if not _TOKEN.fullmatch(stripped):
        raise argparse.ArgumentTypeError("this is not a token")
    return stripped


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!a} is not a whole number from 1")
    return int(text)

"""The arguments of the commands for operators. Every `mylist` command imports this: it must stay quick."""

import argparse
from collections.abc import Callable

from mylist.domain.content import parse_content_id
from mylist.domain.user_id import PROFILE_SEPARATOR, USER_ID

_ACCESS = """\
It uses the MongoDB and the Redis of the running service, and needs the same settings (MONGODB_URI, REDIS_HOST or
REDIS_URL). docs/support.md describes it.
"""
_AGAIN = f"""\
You may stop it at any time and run it again; it then completes the rest. {_ACCESS}"""
_Run = Callable[[argparse.Namespace], None]


def define(
    add: Callable[[str, str], argparse.ArgumentParser], *, show: _Run, erase: _Run, move: _Run, withdraw: _Run
) -> None:
    """Define the commands.

    Args:
        add: return the parser of a new subcommand for its name and summary.
        show: runs the command `show`.
        erase: runs the command `erase`.
        move: runs the command `move`.
        withdraw: runs the command `withdraw`.
    """

    def define_one(name: str, summary: str, epilog: str, run: _Run) -> argparse.ArgumentParser:
        parser = add(name, summary)
        parser.epilog = epilog
        parser.set_defaults(command=run)
        return parser

    shown = define_one("show", "print all data about a user or an account, as JSON", _ACCESS, show)
    erased = define_one("erase", "erase all data about a user or an account, and print a receipt", _AGAIN, erase)
    for parser in (shown, erased):
        who = parser.add_mutually_exclusive_group(required=True)
        who.add_argument("--user", type=_user_id, metavar="ID", help="the user, who has one list")
        who.add_argument("--account", type=_account, metavar="ID", help="the account, with all of its profiles")

    moved = define_one("move", "move a list to another user id", _AGAIN, move)
    moved.add_argument(
        "--from", dest="source", type=_user_id, required=True, metavar="ID", help="present owner of the list"
    )
    moved.add_argument("--to", dest="target", type=_user_id, required=True, metavar="ID", help="new owner of the list")
    moved.add_argument("--merge", action="store_true", help="move it even if the new owner has other items")

    withdrawn = define_one("withdraw", "remove a title from all lists", _AGAIN, withdraw)
    withdrawn.add_argument("--content", type=_content_id, required=True, metavar="ID", help="the id of the title")

    for parser in (erased, moved, withdrawn):
        parser.add_argument("--dry-run", action="store_true", help="count what would be done, and change nothing")


def _user_id(text: str) -> str:
    if not USER_ID.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!a} is not a user id")
    return text


def _account(text: str) -> str:
    if not USER_ID.fullmatch(text) or PROFILE_SEPARATOR in text:
        raise argparse.ArgumentTypeError(f"{text!a} is not an account, which is a user id without a slash")
    return text


def _content_id(text: str) -> str:
    content_id = parse_content_id(text)
    if content_id is None:
        raise argparse.ArgumentTypeError(f"{text!a} is not the id of a title, which has 24 hexadecimal digits")
    return content_id.hex()

"""The arguments of `mylist events`. Every `mylist` command imports this: it must stay quick."""

import argparse
import re
from pathlib import Path

DEFAULT_NAME = "default"
_MAX_PORT = 65535
_EPILOG = """\
Each line on standard output is a JSON object: userId, contentId, contentType, change (added or removed), addedAt, at
and token. Each change is written at least once, in order for each user. Logs go to standard error. With a COMMAND, each
batch of lines is its standard input instead. The batch is delivered once the command exits with status 0.

`mylist events` runs until SIGTERM or SIGINT, and resumes at its saved position at the next start. Exit statuses: 0
stopped by a signal, 1 failed (start it again), 2 wrong usage, 3 the saved position is unusable: the consumer must start
from a snapshot. docs/events.md has the format and the guarantees.
"""


def define(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of the command."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    position = parser.add_mutually_exclusive_group()
    position.add_argument(
        "--name",
        type=_name,
        default=DEFAULT_NAME,
        help=f"save the position in MongoDB under this name, one for each consumer (default {DEFAULT_NAME})",
    )
    position.add_argument("--position", type=Path, metavar="FILE", help="save the position in this file instead")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--anew", action="store_true", help="ignore the saved position")
    start.add_argument(
        "--after", metavar="TOKEN", help="start after the line with this token, and ignore the saved position"
    )
    parser.add_argument(
        "--snapshot",
        action="store_true",
        help="if there is no saved position, write all items of all lists first, as added; without this option, "
        "start with new changes",
    )
    parser.add_argument("--metrics-port", type=_port, metavar="PORT", help="serve metrics for Prometheus on this port")
    parser.add_argument("consumer", nargs="*", metavar="COMMAND", help="after --: a program, and its arguments")


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!a} is not a name: up to 64 of letters, digits, _, . and -")
    return text


def _port(text: str) -> int:
    if not re.fullmatch(r"\d{1,5}", text, re.ASCII) or not 0 < int(text) <= _MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!a} is not a port from 1 to {_MAX_PORT}")
    return int(text)

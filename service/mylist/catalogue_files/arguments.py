"""The arguments of `mylist catalogue`. Every `mylist` command imports this: it must stay quick."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path

DEFAULT_WITHDRAWN_PERCENT = 5.0
"""The share of a type's titles that may be withdrawn without a confirmation."""
_MAX_PERCENT = 100
_IMPORT_EPILOG = """\
FILE may be JSON Lines or CSV as docs/catalogue.md describes, IMDb's title.basics.tsv, or one of TMDB's daily exports
(movie_ids, tv_series_ids). It may be compressed with gzip. The import recognizes the format by the content.

You may stop an import at any time and run it again. A run that has nothing to do changes nothing. Running services
show the titles within CATALOGUE_TTL. The exit status is 1 if a line was rejected or a file could not be read to its
end; all other lines are in the catalogue even then.
"""
_Run = Callable[[argparse.Namespace], None]


def define(catalogue: argparse.ArgumentParser, import_files: _Run, export_file: _Run) -> None:
    """Define the actions and their arguments.

    Args:
        catalogue: the parser of the command.
        import_files: runs an import.
        export_file: runs an export.
    """
    actions = catalogue.add_subparsers(title="actions", required=True, metavar="ACTION")

    summary = "insert and update the titles of files"
    parser = actions.add_parser("import", help=summary, description=f"{summary.capitalize()}.", epilog=_IMPORT_EPILOG)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.set_defaults(command=import_files)
    parser.add_argument("files", nargs="+", metavar="FILE", help="a file of titles; - is standard input")
    parser.add_argument("--dry-run", action="store_true", help="validate, count what would be done, and change nothing")
    parser.add_argument(
        "--errors",
        type=Path,
        metavar="FILE",
        help="write each rejected line to this file, with its error",
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="save the position in this file, and resume from the position that is in it",
    )
    parser.add_argument(
        "--withdraw-missing",
        action="store_true",
        help="withdraw the titles that no line names, but only of the types that the files have",
    )
    parser.add_argument(
        "--withdraw-up-to",
        type=_percent,
        metavar="PERCENT",
        help=(
            "allow up to this percentage of the titles of a type to be withdrawn (default: at most "
            f"{DEFAULT_WITHDRAWN_PERCENT:g})"
        ),
    )

    summary = "write all titles as JSON Lines, which an import accepts unchanged"
    parser = actions.add_parser("export", help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    parser.set_defaults(command=export_file)
    parser.add_argument(
        "file",
        nargs="?",
        type=Path,
        metavar="FILE",
        help="file to write, compressed if its name ends in .gz (default: standard output)",
    )


def _percent(text: str) -> float:
    if not re.fullmatch(r"\d{1,3}(\.\d+)?", text, re.ASCII) or not 0 < float(text) <= _MAX_PERCENT:
        raise argparse.ArgumentTypeError(f"{text!a} is not a percentage above 0 and up to {_MAX_PERCENT}")
    return float(text)

"""The `mylist` command. An expected failure is one line on standard error, never a traceback.

Exit statuses: 0 done, 1 failed, 2 wrong usage, 130 interrupted, and 3 of `mylist events`. Each subcommand does its own
imports, so that the others start fast.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from mylist import __version__
from mylist.catalogue_files import arguments as catalogue_parser
from mylist.client import arguments as client_parser
from mylist.config.settings import InvalidSettingError, Settings, doubts, explain
from mylist.domain.user_id import USER_ID
from mylist.events import arguments as events_parser
from mylist.optional_imports import without_unused
from mylist.support import arguments as support_parser

if TYPE_CHECKING:
    from pymongo.asynchronous.database import AsyncDatabase

    from mylist.mongodb.database import Document
    from mylist.seeding.sample import Seeded

_T = TypeVar("_T")
_FAILED = 1
_USAGE = 2
_BEGIN_ANEW = 3
_INTERRUPTED = 130
_DEFAULT_TITLES = 1000
_DEFAULT_ITEMS = 25


class _CommandError(Exception):
    """The command cannot do its work. The message is for the person who ran it."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit with one line, as for every other failure. `--help` explains the usage."""
        _fail(f"{message}; see `{self.prog} --help`", status=_USAGE)


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command line, by default the process' own."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.command(arguments)
    except (InvalidSettingError, _CommandError) as error:
        _fail(str(error), status=_FAILED)
    except KeyboardInterrupt:
        _fail("interrupted", status=_INTERRUPTED)
    except BrokenPipeError:  # the reader of the output closed it, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(_FAILED) from None


def _fail(message: str, *, status: int) -> NoReturn:
    sys.stderr.write("".join(f"mylist: {line}\n" for line in message.splitlines()))
    raise SystemExit(status)


def _parser() -> _Parser:
    parser = _Parser(prog="mylist", description="The My List service of an OTT platform.")
    parser.add_argument("--version", action="version", version=f"mylist {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, summary: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")

    add("serve", "serve the API until SIGINT or SIGTERM").set_defaults(command=_serve)
    add("dev", "serve with embedded stores and the sample data").set_defaults(command=_dev)
    add("indexes", "create the indexes in MongoDB, as a step before a rollout").set_defaults(command=_indexes)
    add("openapi", "print the OpenAPI document").set_defaults(command=_openapi)
    add("config", "print every setting, its value and its source").set_defaults(command=_config)

    token = add("token", "print a bearer token for development, signed with JWT_SECRET")
    token.set_defaults(command=_token)
    token.add_argument("--user", type=_user_id, required=True, metavar="ID", help="the user that the token names")

    seed = add("seed", "add the documented sample to MongoDB or, with --users, synthetic data")
    seed.epilog = (
        "Running processes show the lists of the sample at once if REDIS_HOST or REDIS_URL names their Redis, and "
        "otherwise within CACHE_TTL. They show the titles within CATALOGUE_TTL. If a list of the synthetic data was "
        "read before, they show the new one within CACHE_TTL."
    )
    seed.set_defaults(command=_seed)
    seed.add_argument("--users", type=int, metavar="N", help="how many users the synthetic data has")
    seed.add_argument("--titles", type=int, metavar="N", help=f"how many titles (default {_DEFAULT_TITLES})")
    seed.add_argument("--items", type=int, metavar="N", help=f"how many items each list has (default {_DEFAULT_ITEMS})")
    seed.add_argument("--reset", action="store_true", help="reset the sample, including removed items")

    adopt = add("adopt", "take over the lists of the original service, and those of a former version of this one")
    adopt.epilog = (
        "You may stop it at any time and run it again, and a run that has nothing to do changes nothing. "
        "docs/coming-from-express.md has every step, and the way back."
    )
    adopt.set_defaults(command=_adopt)
    adopt.add_argument("--dry-run", action="store_true", help="count what would be done, and change nothing")
    adopt.add_argument("--back", action="store_true", help="carry back to the original service what changed here")
    adopt.add_argument(
        "--report", type=Path, metavar="FILE", help="write the documents that are not items to this file"
    )
    catalogue_parser.define(
        add("catalogue", "import titles from files into the catalogue, or export the catalogue to a file"),
        _import_catalogue,
        _export_catalogue,
    )
    support_parser.define(add, show=_show, erase=_erase, move=_move, withdraw=_withdraw)
    events = add("events", "follow MongoDB's change stream and write one line for each change of a list")
    events_parser.define(events)
    events.set_defaults(command=_events)
    client_parser.define(add, _ask)
    return parser


def _serve(_: argparse.Namespace) -> None:
    # The first process of a container ignores SIGTERM unless it handles it. Until the server handles it, there is
    # nothing to drain.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    with without_unused():
        from mylist import server  # noqa: PLC0415 - see the module's docstring

    try:
        server.run(Settings.from_environment())
    except (server.PortTakenError, server.StartupError) as error:
        raise _CommandError(str(error)) from error


def _dev(_: argparse.Namespace) -> None:
    with without_unused():
        from mylist import server  # noqa: PLC0415 - see the module's docstring
    from mylist.devserver import dev, embedded_servers  # noqa: PLC0415
    from mylist.seeding.open_database import DatabaseError  # noqa: PLC0415

    try:
        dev.run()
    except (server.PortTakenError, server.StartupError, DatabaseError) as error:
        raise _CommandError(str(error)) from error
    except (dev.DataFolderError, embedded_servers.ServerMissingError, embedded_servers.ServerStartError) as error:
        raise _CommandError(str(error)) from error


def _seed(arguments: argparse.Namespace) -> None:
    from mylist.seeding import sample, synthetic  # noqa: PLC0415 - see the module's docstring
    from mylist.seeding.open_database import DatabaseError, open_database_to_seed  # noqa: PLC0415
    from mylist.seeding.synthetic_data import InvalidSyntheticDataError, SyntheticData  # noqa: PLC0415

    data = None
    if arguments.reset and arguments.users is not None:
        _fail("--reset is for the sample, and --users asks for a load-test data set; leave one out", status=_USAGE)
    if arguments.users is not None:
        titles = _DEFAULT_TITLES if arguments.titles is None else arguments.titles
        items = _DEFAULT_ITEMS if arguments.items is None else arguments.items
        try:
            data = SyntheticData(users=arguments.users, titles=titles, items=items)
        except InvalidSyntheticDataError as error:
            _fail(str(error), status=_USAGE)
    elif arguments.titles is not None or arguments.items is not None:
        _fail("--titles and --items are sizes of a load-test data set; add --users", status=_USAGE)

    settings = _settings()

    async def seed() -> sample.Seeded:
        async with open_database_to_seed(settings) as database:
            if data:
                return await synthetic.seed(database, data)
            return await (sample.reset if arguments.reset else sample.seed)(database, settings)

    logging.getLogger("mylist").addHandler(logging.NullHandler())  # the errors are printed below
    try:
        done = asyncio.run(seed())
    except DatabaseError as error:
        raise _CommandError(str(error)) from error
    _say(_told(done, settings, reset=arguments.reset))


def _told(done: "Seeded", settings: Settings, *, reset: bool) -> str:
    """Return the last line of a run of `seed`."""
    counts = f"{done.titles} titles, {done.users} users and {done.items} items"
    if reset:
        told = f"Reset {counts}; the sample is in its original state."
    elif done.removed:
        left = f"{done.removed} items were removed by their users and stay removed; --reset brings them back."
        told = f"Added {counts}; {left}"
    else:
        told = f"Added {counts}; the rest already existed."
    if done.stale_lists:
        told += f"\nRedis did not answer: users may see outdated lists for up to {settings.cache_ttl} s (CACHE_TTL)."
    return told


def _adopt(arguments: argparse.Namespace) -> None:
    from mylist.adoption import adopt  # noqa: PLC0415 - see the module's docstring
    from mylist.seeding.open_database import DatabaseError, open_database  # noqa: PLC0415

    settings = _settings()
    back, dry, report = arguments.back, arguments.dry_run, arguments.report

    async def run() -> adopt.Adoption:
        async with open_database(settings) as database:
            return await adopt.adopt(database, settings, back=back, dry=dry, report=report)

    logging.getLogger("mylist").addHandler(logging.NullHandler())  # the errors are printed below
    try:
        done = asyncio.run(run())
    except (DatabaseError, adopt.NothingToCarryError, adopt.ReportError) as error:
        raise _CommandError(str(error)) from error
    _say(adopt.told(done, settings, back=back, dry=dry, report=report))


def _import_catalogue(arguments: argparse.Namespace) -> None:
    from mylist.catalogue_files import import_files  # noqa: PLC0415 - see the module's docstring
    from mylist.catalogue_files.checkpoint import CheckpointError  # noqa: PLC0415
    from mylist.catalogue_files.run_options import Import, Options, told  # noqa: PLC0415
    from mylist.catalogue_files.seen_titles import NoTemporaryFileError  # noqa: PLC0415
    from mylist.seeding.open_database import DatabaseError, open_database  # noqa: PLC0415

    if arguments.withdraw_up_to is not None and not arguments.withdraw_missing:
        _fail("--withdraw-up-to is for --withdraw-missing; add it, or leave out both", status=_USAGE)
    if arguments.dry_run and arguments.checkpoint:
        _fail(
            "--checkpoint keeps the position of written titles, but --dry-run writes none; leave one out", status=_USAGE
        )
    if arguments.files.count(import_files.STANDARD_INPUT) > 1:
        _fail("- is standard input, which can be read only once; name it once", status=_USAGE)
    settings = _settings()
    options = Options(
        files=arguments.files,
        dry=arguments.dry_run,
        errors=arguments.errors,
        checkpoint=arguments.checkpoint,
        withdraws=arguments.withdraw_missing,
        withdraw_up_to=arguments.withdraw_up_to or catalogue_parser.DEFAULT_WITHDRAWN_PERCENT,
        external_ids=settings.external_ids,
    )

    async def run() -> Import:
        async with open_database(settings) as database:
            return await import_files.import_files(database, options)

    logging.getLogger("mylist").addHandler(logging.NullHandler())  # the errors are printed below
    try:
        done = asyncio.run(run())
    except (DatabaseError, import_files.ImportFileError, CheckpointError, NoTemporaryFileError) as error:
        raise _CommandError(str(error)) from error
    _say(told(done, options))
    if done.problem:
        raise _CommandError(done.problem)


def _export_catalogue(arguments: argparse.Namespace) -> None:
    from mylist.catalogue_files import export_file  # noqa: PLC0415 - see the module's docstring
    from mylist.seeding.open_database import DatabaseError, open_database  # noqa: PLC0415

    settings = _settings()

    async def run() -> export_file.Export:
        async with open_database(settings) as database:
            return await export_file.export_file(database, arguments.file)

    logging.getLogger("mylist").addHandler(logging.NullHandler())  # the errors are printed below
    try:
        done = asyncio.run(run())
    except (DatabaseError, export_file.ExportFileError) as error:
        raise _CommandError(str(error)) from error
    # Standard output may be used for the titles.
    sys.stderr.write(f"Wrote {done.titles:,} titles.\n")
    if done.left_out:
        sys.stderr.write(f"Left out {done.left_out:,} documents whose _id is not an ObjectId: no list can have them.\n")


def _show(arguments: argparse.Namespace) -> None:
    from mylist.support import show  # noqa: PLC0415 - see the module's docstring
    from mylist.support.kept_documents import Subject  # noqa: PLC0415

    subject = Subject(user=arguments.user, account=arguments.account)
    shown = _run_on_lists(lambda database, settings: show.show(database, settings, subject))
    _say(shown.json)
    if shown.problem:
        raise _CommandError(shown.problem)


def _erase(arguments: argparse.Namespace) -> None:
    from mylist.support import erase  # noqa: PLC0415 - see the module's docstring
    from mylist.support.kept_documents import Subject  # noqa: PLC0415

    subject = Subject(user=arguments.user, account=arguments.account)
    receipt = _run_on_lists(lambda database, settings: erase.erase(database, settings, subject, dry=arguments.dry_run))
    _say(receipt.json())
    if receipt.problem:
        raise _CommandError(receipt.problem)


def _move(arguments: argparse.Namespace) -> None:
    from mylist.support import move  # noqa: PLC0415 - see the module's docstring

    source, target, merges, dry = arguments.source, arguments.target, arguments.merge, arguments.dry_run
    if source == target:
        _fail("--from and --to are the same user; name two different users", status=_USAGE)
    try:
        done = _run_on_lists(lambda _, settings: move.move(settings, source, target, merges=merges, dry=dry))
    except move.NotMovedError as error:
        raise _CommandError(str(error)) from error
    _say(move.told(done, dry=dry))
    if done.left and not dry:
        raise _CommandError(f"{done.left:,} items are left on the first list: run the command again")


def _withdraw(arguments: argparse.Namespace) -> None:
    from mylist.support import withdraw  # noqa: PLC0415 - see the module's docstring

    content_id, dry = arguments.content, arguments.dry_run
    done = _run_on_lists(lambda database, settings: withdraw.withdraw(database, settings, content_id, dry=dry))
    _say(withdraw.told(done, dry=dry))
    if done.left:
        raise _CommandError(f"{done.left:,} lists have the title again: run the command again")


def _run_on_lists(work: "Callable[[AsyncDatabase[Document], Settings], Awaitable[_T]]") -> _T:
    """Run a command's work on the lists while the service runs; return its result."""
    from mylist.seeding.open_database import DatabaseError, open_database  # noqa: PLC0415 - see the module's docstring
    from mylist.support.fenced_services import CacheOutOfReachError  # noqa: PLC0415

    settings = _settings()

    async def run() -> _T:
        async with open_database(settings) as database:
            return await work(database, settings)

    logging.getLogger("mylist").addHandler(logging.NullHandler())  # the errors are printed below
    try:
        return asyncio.run(run())
    except (DatabaseError, CacheOutOfReachError) as error:
        raise _CommandError(str(error)) from error


def _events(arguments: argparse.Namespace) -> None:
    from mylist.events.event_lines import parse_token  # noqa: PLC0415 - see the module's docstring
    from mylist.events.follow import Options, follow  # noqa: PLC0415
    from mylist.events.stream_errors import EventsError, UselessPositionError  # noqa: PLC0415
    from mylist.telemetry import logging_config  # noqa: PLC0415

    if arguments.after is not None:
        try:
            parse_token(arguments.after)
        except ValueError:
            _fail("--after is not a token; take one from a line of `mylist events`", status=_USAGE)
    given = vars(arguments)
    options = Options(**{name: given[name] for name in Options.__slots__})
    settings = Settings.from_environment()
    logging_config.configure(settings, lambda: None)
    for doubt in doubts():
        logging.getLogger(__name__).warning("%s", doubt)
    try:
        asyncio.run(follow(settings, options))
    except UselessPositionError as error:
        _fail(str(error), status=_BEGIN_ANEW)
    except EventsError as error:
        raise _CommandError(str(error)) from error


def _indexes(_: argparse.Namespace) -> None:
    from mylist.mongodb.indexes import IndexState, create_indexes, indexes_of  # noqa: PLC0415
    from mylist.seeding.open_database import DatabaseError, open_database  # noqa: PLC0415 - see the module's docstring

    settings = _settings()

    async def create() -> list[IndexState]:
        async with open_database(settings) as database:
            return await create_indexes(database, indexes_of(settings.external_ids))

    # A long build reports its progress.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("mylist: %(message)s"))
    logger = logging.getLogger("mylist")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        indexes = asyncio.run(create())
    except DatabaseError as error:
        raise _CommandError(str(error)) from error
    finally:
        logger.removeHandler(handler)
    _say("\n".join(index.full_name for index in indexes if not index.problem))
    if problems := [f"{index.full_name}: {index.problem}" for index in indexes if index.problem]:
        raise _CommandError("\n".join(problems))


def _openapi(_: argparse.Namespace) -> None:
    from mylist.api.openapi import document  # noqa: PLC0415 - see the module's docstring
    from mylist.api.router import ROUTES  # noqa: PLC0415

    _say(document(ROUTES, _settings().auth_mode).decode())


def _settings() -> Settings:
    """Return the settings of a command that ends, and warn of variables that were probably mistyped."""
    settings = Settings.from_environment()
    _tell_doubts()
    return settings


def _tell_doubts() -> None:
    sys.stderr.write("".join(f"mylist: {doubt}\n" for doubt in doubts()))


def _config(_: argparse.Namespace) -> None:
    rows = [("VARIABLE", "VALUE", "SOURCE")]
    rows += [(each.variable, each.value, each.source) for each in explain()]
    _tell_doubts()
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    _say("\n".join(lines))


def _token(arguments: argparse.Namespace) -> None:
    from mylist.auth.development_token import NoTokenError, development_token  # noqa: PLC0415 - see the docstring

    try:
        _say(development_token(_settings(), arguments.user))
    except NoTokenError as error:
        raise _CommandError(str(error)) from error


def _user_id(text: str) -> str:
    if not USER_ID.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!a} is not a user id")
    return text


def _ask(arguments: argparse.Namespace) -> None:
    from mylist.client import commands  # noqa: PLC0415 - see the module's docstring
    from mylist.client.api import ClientError, UnusableError  # noqa: PLC0415

    try:
        commands.run(arguments)
    except UnusableError as error:
        _fail(str(error), status=_USAGE)
    except ClientError as error:
        raise _CommandError(str(error)) from error


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()

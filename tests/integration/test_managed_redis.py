"""Servers that hide their replication id, or refuse the command that reports it, as some providers' servers do."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from uuid import uuid4

import httpx
import pytest

from devtools.redis_groups import Member
from devtools.waiting import wait_until
from mylist.cache.clients import connect
from mylist.cache.commands import CacheCommands
from mylist.cache.read_batcher import ReadBatcher
from mylist.config.settings import Settings
from mylist.devserver.embedded_servers import running
from mylist.domain.errors import CacheUnavailableError
from mylist.domain.packed_list import PackedList
from tests.conftest import Serve
from tests.redis_front import Command, RedisFront, bulk, error

EMPTY = PackedList.of([]).data
PASSWORD = "x"


@dataclass(frozen=True)
class Kind:
    """A service that is almost Redis.

    Attributes:
        rights: the rights of the user who logs in.
        options: the options of the server.
        answer: makes the answer to INFO; None leaves it to the server.
        edit: changes every answer, including those of scripts.
    """

    rights: str = "+@all"
    options: tuple[str, ...] = ()
    answer: Callable[[Member], bytes] | None = None
    edit: Callable[[bytes], bytes] = bytes


def told(server: Member) -> bytes:
    info = server.ask("INFO", "replication")
    return bulk("".join(f"{name}:{value}\r\n" for name, value in info.items()))


KINDS = {
    "no replication id": Kind(edit=lambda answer: answer.replace(b"master_replid:", b"something_else:"[:14])),
    "a replication id of zeros": Kind(
        edit=lambda answer: _with_id(answer, b"0" * 40),
    ),
    "no hexadecimal replication id": Kind(edit=lambda answer: _with_id(answer, b"z" * 40)),
    "a replication id that is too short": Kind(edit=lambda answer: _with_id(answer, b"abcd".ljust(40))),
    "no role either": Kind(
        edit=lambda answer: answer.replace(b"role:", b"rule:").replace(b"master_replid:", b"m" * 14)
    ),
    "INFO that the user may not call": Kind(rights="+@all -info"),
    "INFO that is not there": Kind(options=("--rename-command", "INFO", "")),
    "INFO that is refused in other words": Kind(
        rights="+@all -info", answer=lambda _: error("ERR command 'info' is not allowed in this plan")
    ),
}


def _with_id(answer: bytes, replication_id: bytes) -> bytes:
    before, name, after = answer.partition(b"master_replid:")
    return before + name + replication_id + after[40:] if name else answer


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def server(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Member]:
    server = Member(tmp_path_factory.mktemp("managed"), *kind.options)
    with running(server):
        server.ask("ACL SETUSER", "lists", "on", f">{PASSWORD}", "~*", "&*", *kind.rights.split())
        yield server


def front_of(server: Member, kind: Kind) -> RedisFront:
    def answer(command: Command) -> bytes | None:
        return kind.answer(server) if kind.answer and command[0] == b"INFO" else None

    return RedisFront(server.port, answer, edit=kind.edit)


def commands_at(port: int, **changes: object) -> CacheCommands:
    settings = Settings.load({"REDIS_URL": f"redis://lists:{PASSWORD}@127.0.0.1:{port}"})
    return CacheCommands(connect(replace(settings, redis_timeout=5.0, **changes)))  # type: ignore[arg-type] # a setting


@pytest.fixture
async def managed(server: Member, kind: Kind) -> AsyncIterator[tuple[CacheCommands, RedisFront]]:
    async with AsyncExitStack() as opened:
        front = await opened.enter_async_context(front_of(server, kind))
        commands = commands_at(front.port)
        opened.push_async_callback(commands.close)
        yield commands, front


async def fill(commands: CacheCommands) -> str:
    """Go through the protocol once; return the key, which then holds a list."""
    key = f"mylist:{{{uuid4().hex}}}"
    await commands.ping()
    assert await commands.place_fence(key, b"a writer", lifetime_ms=5000) is None
    await commands.lift_fence(key, b"a writer")
    lease = commands.new_lease(key)
    assert await commands.place_lease(key, lease, lifetime_ms=5000) is None
    assert await commands.fill(key, lease, EMPTY, lifetime_ms=5000)
    assert await read(commands, key) == EMPTY
    return key


async def read(commands: CacheCommands, key: str) -> bytes | None:
    [held] = await ReadBatcher(commands.router).get_many([(key, None)])
    return held


async def test_a_redis_without_a_replication_id_caches_lists_and_is_logged_once(
    managed: tuple[CacheCommands, RedisFront], caplog: pytest.LogCaptureFixture
) -> None:
    commands, front = managed
    for _ in range(3):
        await fill(commands)

    [line] = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert line.startswith(f"127.0.0.1:{front.port} does not report its replication id (INFO replication): ")
    assert line.endswith("lists may be stale for up to CACHE_TTL; if its user lacks +info, grant it")


async def test_heartbeats_send_no_further_info_commands(
    managed: tuple[CacheCommands, RedisFront],
) -> None:
    commands, front = managed
    await fill(commands)
    asked = len([command for command in front.seen if command[0] == b"INFO"])
    for _ in range(5):
        await commands.ping()

    assert len([command for command in front.seen if command[0] == b"INFO"]) == asked
    generation = commands.topology.generation
    await commands.ping()
    assert commands.topology.generation == generation


async def test_a_strict_cache_refuses_a_redis_without_a_replication_id(server: Member, kind: Kind) -> None:
    async with front_of(server, kind) as front:
        commands = commands_at(front.port, cache_strict=True)
        with pytest.raises(CacheUnavailableError) as refused:
            await commands.ping()
        await commands.close()

    assert (
        "does not report its replication id (INFO replication), which CACHE_STRICT=true needs: "
        "grant its user +info, or use another Redis" in str(refused.value.__cause__)
    )


@pytest.mark.parametrize(
    "kind",
    [Kind(rights="+@all -info", options=("--enable-debug-command", "yes"), answer=told)],
    ids=["INFO that no script may call"],
)
async def test_info_is_sent_as_a_separate_command_if_scripts_may_not_call_it(
    managed: tuple[CacheCommands, RedisFront], server: Member, caplog: pytest.LogCaptureFixture
) -> None:
    commands, _ = managed
    key = await fill(commands)
    [primary] = commands.topology.all

    assert primary.replication_epoch is not None
    assert primary.replication_epoch.hex() == server.ask("INFO", "replication")["master_replid"][:16]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    generation = commands.topology.generation
    server.ask("DEBUG", "CHANGE-REPL-ID")
    await commands.ping()
    assert commands.topology.generation > generation
    assert await read(commands, key) is None, "a list of another epoch counts as nothing"


@pytest.mark.parametrize("kind", [KINDS["INFO that the user may not call"]], ids=["INFO that the user may not call"])
async def test_a_heartbeat_refuses_a_replica_that_does_not_report_its_role(
    server: Member, kind: Kind, tmp_path_factory: pytest.TempPathFactory
) -> None:
    primary = Member(tmp_path_factory.mktemp("primary"))
    with running(primary):
        server.ask("REPLICAOF", "127.0.0.1", primary.port)
        async with front_of(server, kind) as front:
            commands = commands_at(front.port)
            with pytest.raises(CacheUnavailableError):
                await commands.ping()
            await commands.close()


@pytest.mark.parametrize("kind", [KINDS["no replication id"]], ids=["no replication id"])
async def test_any_other_refusal_of_info_is_an_outage(server: Member, kind: Kind) -> None:
    """A server that is busy with a script, or still loading, does not say anything about its epoch."""
    busy = replace(kind, answer=lambda _: error("BUSY Redis is busy running a script"))
    async with front_of(server, busy) as front:
        commands = commands_at(front.port)
        with pytest.raises(CacheUnavailableError):
            await commands.ping()
        await commands.close()


@pytest.mark.parametrize("kind", [KINDS["INFO that is not there"]], ids=["INFO that is not there"])
def test_a_service_caches_lists_in_a_redis_without_info(serve: Serve, server: Member, user_id: str) -> None:
    service = serve(REDIS_URL=f"redis://lists:{PASSWORD}@127.0.0.1:{server.port}")

    def cached() -> bool:
        answer = httpx.get(f"{service.url}/api/mylist/items", headers={"user-id": user_id}, trust_env=False)
        return answer.headers["x-cache"] == "hit"

    wait_until(cached, within=30)
    assert service.log.read_text().count("does not report its replication id") == 1

"""The votes of the Sentinels of a group: different spellings of an address may name the same server."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

import pytest

from devtools.ports import free_port
from devtools.redis_groups import PRIMARY_NAME, Member
from mylist.cache.clients import connect
from mylist.cache.commands import CacheCommands
from mylist.cache.topology.base import Topology
from mylist.config.settings import Settings
from mylist.devserver.embedded_servers import running
from mylist.domain.errors import CacheUnavailableError
from tests.redis_front import Command, RedisFront, mapping

RUN_A, RUN_B = "a" * 40, "b" * 40


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Member, Member]]:
    """Two primaries, as after a partition."""
    one, other = (Member(tmp_path_factory.mktemp(name)) for name in ("one", "other"))
    with running(one, other):
        yield one, other


@dataclass
class Told:
    """The answer of a Sentinel, or none if the Sentinel is down."""

    host: str
    server: Member
    run_id: str = RUN_A
    epoch: int = 1
    is_away: bool = False
    asked: int = field(default=0, init=False)

    def answer(self, command: Command) -> bytes | None:
        if command[0] != b"SENTINEL":
            return None
        self.asked += 1
        return mapping(
            name=PRIMARY_NAME,
            ip=self.host,
            port=str(self.server.port),
            runid=self.run_id,
            flags="master",
            config_epoch=str(self.epoch),
        )


class Group:
    """The commands of a process, and the Sentinels that it asks."""

    def __init__(self, commands: CacheCommands, names: list[str]) -> None:
        self.commands = commands
        self.names = names

    @property
    def topology(self) -> Topology:
        return self.commands.topology

    async def primary(self) -> tuple[str, int]:
        """Return the address at which a heartbeat found the primary."""
        await self.commands.ping()
        assert self.topology.single
        return self.topology.single.address

    async def why_not(self) -> str:
        with pytest.raises(CacheUnavailableError) as refused:
            await self.commands.ping()
        return str(refused.value.__cause__)


MakeGroup = Callable[..., Awaitable[Group]]


@pytest.fixture
async def group_of() -> AsyncIterator[MakeGroup]:
    async with AsyncExitStack() as open_ones:

        async def make(*told: Told) -> Group:
            ports = []
            for each in told:
                if each.is_away:
                    ports.append(free_port())
                else:
                    front = await open_ones.enter_async_context(RedisFront(each.server.port, each.answer))
                    ports.append(front.port)
            names = [f"127.0.0.1:{port}" for port in ports]
            url = f"redis+sentinel://{','.join(names)}/{PRIMARY_NAME}"
            commands = CacheCommands(connect(replace(Settings.load({"REDIS_URL": url}), redis_timeout=5.0)))
            open_ones.push_async_callback(commands.close)
            return Group(commands, names)

        yield make


async def test_two_spellings_of_one_address_count_as_one_server(
    group_of: MakeGroup, servers: tuple[Member, Member]
) -> None:
    one, _ = servers
    group = await group_of(Told("localhost", one), Told("127.0.0.1", one), Told("", one, is_away=True))

    _, port = await group.primary()

    assert port == one.port


async def test_the_spelling_that_most_sentinels_report_is_used(
    group_of: MakeGroup, servers: tuple[Member, Member]
) -> None:
    one, _ = servers
    group = await group_of(Told("localhost", one), Told("127.0.0.1", one), Told("127.0.0.1", one))

    assert await group.primary() == ("127.0.0.1", one.port)


async def test_three_spellings_of_one_address_count_as_one_server(
    group_of: MakeGroup, servers: tuple[Member, Member]
) -> None:
    one, _ = servers
    group = await group_of(Told("localhost", one), Told("127.0.0.1", one), Told("127.1", one))

    _, port = await group.primary()

    assert port == one.port


async def test_hosts_that_resolve_to_one_address_count_as_one_server_without_run_ids(
    group_of: MakeGroup, servers: tuple[Member, Member]
) -> None:
    one, _ = servers
    group = await group_of(Told("localhost", one, ""), Told("127.0.0.1", one, ""), Told("", one, is_away=True))

    _, port = await group.primary()

    assert port == one.port


async def test_a_restarted_server_counts_as_one_while_sentinels_report_two_run_ids(
    group_of: MakeGroup, servers: tuple[Member, Member]
) -> None:
    one, _ = servers
    group = await group_of(Told("127.0.0.1", one, RUN_A), Told("127.0.0.1", one, RUN_B), Told("", one, is_away=True))

    assert await group.primary() == ("127.0.0.1", one.port)


@pytest.mark.parametrize(
    ("epochs", "run_ids"),
    [((1, 2), (RUN_A, RUN_B)), ((1, 1), (RUN_A, RUN_B)), ((1, 2), ("", "")), ((1, 1), ("", ""))],
    ids=["after a failover", "of one epoch", "without run ids", "of one epoch without run ids"],
)
async def test_two_servers_never_count_as_one(
    group_of: MakeGroup, servers: tuple[Member, Member], epochs: tuple[int, int], run_ids: tuple[str, str]
) -> None:
    """A partition leaves one Sentinel with the primary that was replaced."""
    one, other = servers
    group = await group_of(
        Told("127.0.0.1", one, run_ids[0], epochs[0]),
        Told("127.0.0.1", other, run_ids[1], epochs[1]),
        Told("", one, is_away=True),
    )

    assert (await group.why_not()).startswith("no majority of the Sentinels names the same address of ")
    assert group.topology.single is None


async def test_the_error_has_the_answer_of_each_sentinel(group_of: MakeGroup, servers: tuple[Member, Member]) -> None:
    one, other = servers
    group = await group_of(
        Told("127.0.0.1", one, RUN_A, 1), Told("localhost", other, RUN_B, 2), Told("", one, is_away=True)
    )

    why = await group.why_not()

    first, second, third = group.names
    assert f"{first} says 127.0.0.1:{one.port}, run id aaaaaaaa, config-epoch 1; " in why
    assert f"{second} says localhost:{other.port}, run id bbbbbbbb, config-epoch 2; " in why
    assert f"{third} says " in why
    assert "Connect call failed" in why


async def test_a_reachable_primary_keeps_its_spelling_if_most_sentinels_change_theirs(
    group_of: MakeGroup, servers: tuple[Member, Member]
) -> None:
    """Another spelling would count as a failover, which costs seconds without a cache."""
    one, _ = servers
    told = [Told("127.0.0.1", one), Told("127.0.0.1", one), Told("localhost", one)]
    group = await group_of(*told)
    assert await group.primary() == ("127.0.0.1", one.port)
    generation = group.topology.generation

    told[0].host = "localhost"
    for _ in range(3):
        assert await group.primary() == ("127.0.0.1", one.port)
    assert group.topology.generation == generation


async def test_a_spelling_that_cannot_be_resolved_is_replaced_by_another(
    group_of: MakeGroup, servers: tuple[Member, Member]
) -> None:
    one, _ = servers
    group = await group_of(Told("10.invalid", one), Told("127.0.0.1", one), Told("", one, is_away=True))

    async def found() -> bool:
        try:
            return await group.primary() == ("127.0.0.1", one.port)
        except CacheUnavailableError:
            return False

    assert any([await found(), await found(), await found()])


async def test_a_minority_that_agrees_on_one_server_is_not_enough(
    group_of: MakeGroup, servers: tuple[Member, Member]
) -> None:
    one, _ = servers
    away = [Told("", one, is_away=True) for _ in range(3)]
    group = await group_of(Told("localhost", one), Told("127.0.0.1", one), *away)

    assert "no majority of the Sentinels names" in await group.why_not()


async def test_an_incomplete_answer_does_not_count_as_a_vote(
    group_of: MakeGroup, servers: tuple[Member, Member]
) -> None:
    one, _ = servers
    told = Told("127.0.0.1", one)
    told.answer = lambda command: mapping(flags="master") if command[0] == b"SENTINEL" else None  # type: ignore[method-assign]
    group = await group_of(told)

    assert "no majority of the Sentinels names" in await group.why_not()

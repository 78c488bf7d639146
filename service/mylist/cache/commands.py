"""What is said to Redis: each command and each Lua script as one typed function.

A key holds one of four things, told apart by the first byte:

    nothing
    L…            a list (`mylist.lists.value`)
    R<nonce>      a read lease: whoever placed it may fill the key, if it still stands then
    W<nonce>…     a write fence: one nonce for each write under way; nobody may fill the key

Any failure to get an answer is `CacheUnavailableError`; a command that failed this way may still take effect later, and
the protocol allows for that.
"""

import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from mylist.errors import CacheUnavailableError
from mylist.settings import Settings

LEASE_TAG = b"R"
FENCE_TAG = b"W"
NONCE_SIZE = 8

_MAX_CONNECTIONS = 64

# KEYS: the list. ARGV: nonce, fence lifetime (ms), most items the list may have (0: do not look).
# Answers the number of items of the list that was cached, -1 when none was. A list that is full is left as it is.
PLACE_FENCE = """
local cached = -1
local tag = redis.call('GETRANGE', KEYS[1], 0, 0)
if tag == 'W' then
    redis.call('APPEND', KEYS[1], ARGV[1])
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return cached
end
if tag == 'L' then
    local movies, shows = struct.unpack('>I4I4', redis.call('GETRANGE', KEYS[1], 4, 11))
    cached = movies + shows
    local most = tonumber(ARGV[3])
    if most > 0 and cached >= most then
        return cached
    end
end
redis.call('SET', KEYS[1], 'W' .. ARGV[1], 'PX', ARGV[2])
return cached
"""

# KEYS: the list. ARGV: nonce. Without a fence whatever is there may predate the write, so it goes.
LIFT_FENCE = """
local tag = redis.call('GETRANGE', KEYS[1], 0, 0)
if tag ~= 'W' then
    return redis.call('DEL', KEYS[1])
end
local held = redis.call('GET', KEYS[1])
local others = {}
for at = 2, #held, #ARGV[1] do
    local nonce = string.sub(held, at, at + #ARGV[1] - 1)
    if nonce ~= ARGV[1] then
        others[#others + 1] = nonce
    end
end
if #others == 0 then
    return redis.call('DEL', KEYS[1])
end
redis.call('SET', KEYS[1], 'W' .. table.concat(others), 'KEEPTTL')
return 0
"""

# KEYS: the list. ARGV: the lease as it was placed, the list, its lifetime (ms). Answers 1 when it was stored.
FILL = """
if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1]) ~= ARGV[1] then
    return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""


def new_nonce() -> bytes:
    """Draws the nonce of one write or one lease."""
    return os.urandom(NONCE_SIZE)


def holds(tag: bytes, held: bytes) -> bool:
    """Says whether what a key holds is of the kind that `tag` names."""
    return held[:1] == tag


def connect(settings: Settings) -> Redis:
    """Makes a client; it connects when first used. It belongs to the event loop that is running."""
    options: dict[str, Any] = {
        "socket_timeout": settings.redis_timeout,
        "socket_connect_timeout": settings.redis_timeout,
        # One more try when a pooled connection turns out dead; never after a timeout.
        "retry": Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        "max_connections": _MAX_CONNECTIONS,
        "timeout": settings.redis_timeout,
        "client_name": "mylist",
    }
    if settings.redis_password:
        options["password"] = settings.redis_password
    if settings.redis_url:
        pool = BlockingConnectionPool.from_url(settings.redis_url, **options)
    else:
        pool = BlockingConnectionPool(
            host=settings.redis_host, port=settings.redis_port, db=settings.redis_db, **options
        )
    return Redis.from_pool(pool)


class CacheCommands:
    """The commands that the protocol is made of.

    Every method raises `CacheUnavailableError` when Redis does not answer in time.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._execute: Callable[..., Awaitable[Any]] = client.execute_command
        self._place_fence = _script(client, PLACE_FENCE)
        self._lift_fence = _script(client, LIFT_FENCE)
        self._fill = _script(client, FILL)

    async def ping(self) -> None:
        """Asks Redis for any answer."""
        with _translated():
            await self._execute("PING")

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Gives what each key holds, in one round trip."""
        with _translated():
            return cast("list[bytes | None]", await self._execute("MGET", *keys))

    async def place_lease(self, key: str, lease: bytes, *, milliseconds: int) -> bytes | None:
        """Places a read lease on a key that holds nothing; gives what it holds otherwise, None when it was placed."""
        with _translated():
            return cast("bytes | None", await self._client.set(key, lease, nx=True, get=True, px=milliseconds))

    async def fill(self, key: str, lease: bytes, value: bytes, *, milliseconds: int) -> bool:
        """Replaces a lease that still stands by the list; says whether it did."""
        with _translated():
            return bool(await self._fill([key], [lease, value, milliseconds]))

    async def place_fence(self, key: str, nonce: bytes, *, milliseconds: int, most_items: int = 0) -> int | None:
        """Fences a key for one write; gives the number of items that were cached, None when no list was.

        A list that has `most_items` already is not fenced (0: whatever it has).
        """
        with _translated():
            cached = await self._place_fence([key], [nonce, milliseconds, most_items])
        return None if cached < 0 else cached

    async def lift_fence(self, key: str, nonce: bytes) -> None:
        """Takes one write's nonce out of the fence; leaves nothing that could predate the write."""
        with _translated():
            await self._lift_fence([key], [nonce])

    async def close(self) -> None:
        """Closes every connection."""
        await self._client.aclose()
        await self._client.connection_pool.disconnect()


def _script(client: Redis, source: str) -> Callable[[Sequence[str], Sequence[bytes | int]], Awaitable[int]]:
    # Runs by digest, and loads the script again when Redis lost it.
    return cast("Callable[[Sequence[str], Sequence[bytes | int]], Awaitable[int]]", client.register_script(source))


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise CacheUnavailableError from error

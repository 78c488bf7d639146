"""The memory of cached lists, by the allocator of each installed server: `python -m bench.redis_sizes`.

The embedded Valkey allocates with libc. The Redis and Valkey of distributions and images allocate with
jemalloc, which has other size classes: the sizes of docs/cost.md are those of `redis-server` on the PATH.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from redis import Redis
from redis.exceptions import RedisError

from bench.redis_fill import CachedLists, fill, memory_of
from devtools.ports import free_port
from devtools.stores import choose_redis
from devtools.waiting import wait_until

_LENGTHS = (25, 100, 1000, 5000)
_TITLES = 10_000
_ALL = 200_000
# A user's id has 8 digits after these: 24 as an ObjectId has, or 36 as a UUID has.
_OBJECT_ID = "0123456789abcdef"
_UUID = "01234567-89ab-cdef-0123-4567"


@contextmanager
def _server(command: str) -> Iterator[str]:
    """Run a server that is installed, without persistence."""
    with TemporaryDirectory() as folder:
        url = f"redis://127.0.0.1:{(port := free_port())}"
        process = subprocess.Popen(
            [command, "--port", str(port), "--save", "", "--dir", folder], stdout=subprocess.DEVNULL
        )
        try:
            wait_until(lambda: _answers(url), within=10)
            yield url
        finally:
            process.terminate()
            process.wait()


def _answers(url: str) -> bool:
    with Redis.from_url(url) as redis:
        try:
            return bool(redis.ping())
        except RedisError:
            return False


def _report(url: str) -> None:
    with Redis.from_url(url) as redis:
        told = redis.info()
        name = "Valkey" if told.get("server_name") == "valkey" else "Redis"
        version = told.get("valkey_version", told["redis_version"])
        print(f"\n{name} {version}, {told['mem_allocator']}")
        for ids, prefix in (("24 digits", _OBJECT_ID), ("a UUID", _UUID)):
            for length in _LENGTHS:
                redis.flushall()
                fill(url, CachedLists(prefix, 1, length), _TITLES)
                [size] = memory_of(url, [f"{prefix}{1:08d}"])
                print(f"  MEMORY USAGE of a list of {length}, user id of {ids}: {size}")
            redis.flushall()
            before = redis.info("memory")["used_memory"]
            fill(url, CachedLists(prefix, _ALL, _LENGTHS[0]), _TITLES)
            each = (redis.info("memory")["used_memory"] - before) / _ALL
            print(f"  used_memory for each of {_ALL} lists of {_LENGTHS[0]}, user ids of {ids}: {each:.0f}")


def main() -> None:
    """Measure the embedded server, and those that are installed."""
    with choose_redis().start() as url:
        _report(url)
    for command in filter(None, map(shutil.which, ("redis-server", "valkey-server"))):
        with _server(command) as url:
            _report(url)


if __name__ == "__main__":
    main()

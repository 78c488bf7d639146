"""`mylist` with the fence switched off. `python no_fence.py serve`.

A write deletes the key after it has changed MongoDB, like the original service does. A read that misses fills the key,
even if a write happened meanwhile. With it the checker shows that it notices stale reads.
"""

from mylist import cli
from mylist.cache import commands


async def _no_lease(*_: object, **__: object) -> None:
    """Let every read that misses fill the key."""


commands.PLACE_FENCE = commands.Script("return -1")
commands.LIFT_FENCE = commands.Script("return redis.call('DEL', KEYS[1])")
commands.FILL = commands.Script("""
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
""")
commands.CacheCommands.place_lease = _no_lease  # type: ignore[method-assign]

if __name__ == "__main__":
    cli.main()

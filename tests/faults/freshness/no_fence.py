"""`mylist` with the fence switched off: what the cache would be without it. `python no_fence.py serve`.

A write deletes the key after it has changed MongoDB, as the original service does, and a read that misses fills the key
whatever happened meanwhile. This is how the checker shows that it would notice.
"""

from mylist import cli
from mylist.cache import commands


async def _no_lease(*_: object, **__: object) -> None:
    """Tell every reader that misses that the key is its own to fill."""


commands.PLACE_FENCE = commands.Script("return -1")
commands.LIFT_FENCE = commands.Script("return redis.call('DEL', KEYS[1])")
commands.FILL = commands.Script("""
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
""")
commands.CacheCommands.place_lease = _no_lease  # type: ignore[method-assign]

if __name__ == "__main__":
    cli.main()

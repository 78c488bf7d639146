"""`mylist` with the fence switched off: what the cache would be without it. `python no_fence.py serve`.

A write deletes the key after it has changed MongoDB, as the original service does, and a read that misses fills the key
whatever happened meanwhile. This is how the checker shows that it would notice.
"""

from mylist import cli
from mylist.cache import commands, scripts


async def _no_lease(*_: object, **__: object) -> None:
    """Tell every reader that misses that the key is its own to fill."""


scripts.PLACE_FENCE = scripts.Script("return -1")
scripts.LIFT_FENCE = scripts.Script("return redis.call('DEL', KEYS[1])")
scripts.FILL = scripts.Script("""
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
""")
commands.CacheCommands.place_lease = _no_lease  # type: ignore[method-assign]

if __name__ == "__main__":
    cli.main()

"""`mylist` as if processes told each other nothing of the Redis that they use. `python no_registry.py serve`.

This is how the checker shows that it would notice what a process changes that does not reach the others' Redis.
"""

from mylist import cli
from mylist.domain.process_registry import CacheAgreement

CacheAgreement.blocked = frozenset()  # type: ignore[assignment]
CacheAgreement.epoch = ""  # type: ignore[assignment]
CacheAgreement.agrees_on = lambda *_: True  # type: ignore[method-assign]
CacheAgreement.covers = lambda *_, **__: True  # type: ignore[method-assign]

if __name__ == "__main__":
    cli.main()

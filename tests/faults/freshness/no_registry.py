"""`mylist` without the registry of processes and their Redis. `python no_registry.py serve`.

With it the checker shows that it notices changes that do not reach the Redis of other processes.
"""

from mylist import cli
from mylist.domain.process_registry import CacheAgreement

CacheAgreement.blocked = frozenset()  # type: ignore[assignment]
CacheAgreement.epoch = ""  # type: ignore[assignment]
CacheAgreement.agrees_on = lambda *_: True  # type: ignore[method-assign]
CacheAgreement.covers = lambda *_, **__: True  # type: ignore[method-assign]

if __name__ == "__main__":
    cli.main()

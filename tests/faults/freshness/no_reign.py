"""`mylist` as if MongoDB had no elections, so that any primary is believed. `python no_reign.py serve`.

With it the checker shows that it notices changes that a deposed or a new primary does not show.
"""

from mylist import cli
from mylist.domain.reign import NO_REIGN
from mylist.mongodb.database import Database


def _no_reign(self: Database) -> str:  # noqa: ARG001 - replaces a method
    return NO_REIGN


Database._reign = _no_reign  # type: ignore[method-assign]  # noqa: SLF001 - it is switched off from outside

if __name__ == "__main__":
    cli.main()

"""The loops over the items of a page, which take most of the time of a read that no cached answer serves.

They exist twice. `_hot_loops.pyx` is compiled if the package is installed with a C compiler, and takes a fraction of
the time (docs/performance.md). Otherwise the functions of `plain_loops.py` run. Both return the same.
"""

try:
    from mylist.domain._hot_loops import are_listed, find_entries, first_by_title, join_items, join_versions
except ImportError:
    from mylist.domain.plain_loops import are_listed, find_entries, first_by_title, join_items, join_versions

IS_COMPILED = find_entries.__module__ != "mylist.domain.plain_loops"

__all__ = ["IS_COMPILED", "are_listed", "find_entries", "first_by_title", "join_items", "join_versions"]

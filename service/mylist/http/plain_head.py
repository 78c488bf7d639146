"""Parses the head of a request, if it is like most.

The function exists twice. `_plain_head.pyx` is compiled if the package is installed with a C compiler, and takes a
fraction of the time (docs/performance.md). Otherwise the function of `head.py` runs. Both return the same.
"""

try:
    from mylist.http._plain_head import parse_plain_head
except ImportError:
    from mylist.http.head import parse_plain_head

__all__ = ["parse_plain_head"]

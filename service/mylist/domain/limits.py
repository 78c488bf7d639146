"""Limits that are not settings. `GET /api/mylist/limits` publishes those that clients must know."""

from datetime import timedelta

MAX_BODY_BYTES = 64 * 1024
"""Of the body of a request that is not an import."""
MAX_HEAD_BYTES = 16 * 1024
"""Of the request line and the headers of a request."""
MAX_IDS_PER_REQUEST = 100
"""Content ids in one request."""
MAX_CHANGES = 1000
"""Changes in one answer of the change feed."""
DEFAULT_CHANGES = 500
"""Changes in one answer of the change feed if the client sends no limit."""
MAX_GENRES = 10
"""Genres that a request may include, and also the number that it may exclude."""
MAX_GENRE_LENGTH = 100
"""Characters."""
MAX_SEARCH_LENGTH = 64
"""Characters, as sent and as words without accents. With longer ones, `Link` would be too long for proxies."""
MAX_SEARCH_WORDS = 8
"""Words in one search."""
MAX_SEED_LENGTH = 64
"""Characters."""
MAX_CURSOR_LENGTH = 1024
"""Characters; the service issues no longer cursors."""
CHANGE_RETENTION = timedelta(days=30)
"""How long MongoDB remembers that an item was removed or its date was changed."""
MAX_CLOCK_SKEW = timedelta(minutes=1)
"""How far in the future the date of an imported item may be, for clients whose clocks are fast."""
IMPORT_TIMEOUT_S = 20
"""Seconds in which the body of an import must arrive. After as many seconds again, the import starts no more lines."""
USER_IMPORTS = 2
"""Imports in flight that one user may have."""

_IMPORT_BYTES_PER_ITEM = 256  # twice the bytes of an export
_LIST_FILE_BYTES_PER_ITEM = 1024  # three times the bytes of the widest export's row
_IMPORT_LINES_PER_ITEM = 4
_IMPORT_MEMORY_BYTES = 32_000_000
_USERS_AT_LEAST = 10
_MIN_USER_REQUESTS = 4


def max_import_bytes(max_list_size: int) -> int:
    """Return the maximum size of an import, in bytes, if a list may have `max_list_size` items."""
    return _IMPORT_BYTES_PER_ITEM * (max_list_size + 1)


def max_list_file_bytes(max_list_size: int) -> int:
    """Return the maximum size of another service's file, in bytes, if a list may have `max_list_size` items."""
    return _LIST_FILE_BYTES_PER_ITEM * (max_list_size + 1)


def import_memory_bytes(max_list_size: int) -> int:
    """Return the maximum memory for the bodies of all imports, in bytes, if a list may have `max_list_size` items."""
    return max(_IMPORT_MEMORY_BYTES, 2 * max_list_file_bytes(max_list_size))


def user_requests(max_concurrent_requests: int) -> int:
    """Return the maximum of one user's requests in flight: 10 % of the process' maximum, but at least four."""
    return max(max_concurrent_requests // _USERS_AT_LEAST, _MIN_USER_REQUESTS)


def max_import_lines(max_list_size: int) -> int:
    """Return the maximum number of lines of an import, if a list may have `max_list_size` items."""
    return _IMPORT_LINES_PER_ITEM * (max_list_size + 1)

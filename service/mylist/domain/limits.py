"""The limits that no setting changes. `GET /api/mylist/limits` publishes those that clients have to know."""

from datetime import timedelta

MAX_BODY_BYTES = 64 * 1024
"""Of a request, unless it is an import."""
MAX_HEAD_BYTES = 16 * 1024
"""Of a request: its first line and its headers."""
MAX_IDS_PER_REQUEST = 100
"""Content ids that one request may name."""
MAX_CHANGES = 1000
"""Changes in one answer of the change feed."""
DEFAULT_CHANGES = 500
"""Changes in one answer of the change feed when the client names no limit."""
MAX_GENRES = 10
"""Genres that a request may name as wanted, and as many as unwanted."""
MAX_GENRE_LENGTH = 100
"""Characters."""
MAX_SEARCH_LENGTH = 64
"""Characters; as they are sent, and as words without accents. Longer ones would make `Link` too long for proxies."""
MAX_SEARCH_WORDS = 8
"""Words that a title may be searched for."""
MAX_SEED_LENGTH = 64
"""Characters."""
MAX_CURSOR_LENGTH = 1024
"""Characters; the service issues no longer cursor."""
CHANGE_RETENTION = timedelta(days=30)
"""How long MongoDB keeps that an item was removed, or got another date."""
MAX_CLOCK_SKEW = timedelta(minutes=1)
"""How far in the future an imported item may be added, by the importing client's clock."""
IMPORT_TIMEOUT_S = 20
"""Seconds in which the body of an import has to arrive, and again seconds after which it begins no more lines."""
USER_IMPORTS = 2
"""Imports that one user may have under way."""

_IMPORT_BYTES_PER_ITEM = 256  # twice what an export takes
_LIST_FILE_BYTES_PER_ITEM = 1024  # three times what a row of the widest export takes
_IMPORT_LINES_PER_ITEM = 4
_IMPORT_MEMORY_BYTES = 32_000_000
_USERS_AT_LEAST = 10
_MIN_USER_REQUESTS = 4


def max_import_bytes(max_list_size: int) -> int:
    """Return how many bytes an import may have where a list may have `max_list_size` items."""
    return _IMPORT_BYTES_PER_ITEM * (max_list_size + 1)


def max_list_file_bytes(max_list_size: int) -> int:
    """Return how many bytes the file of another service may have where a list may have `max_list_size` items."""
    return _LIST_FILE_BYTES_PER_ITEM * (max_list_size + 1)


def import_memory_bytes(max_list_size: int) -> int:
    """Return how many bytes the bodies of all imports may take where a list may have `max_list_size` items."""
    return max(_IMPORT_MEMORY_BYTES, 2 * max_list_file_bytes(max_list_size))


def user_requests(max_concurrent_requests: int) -> int:
    """Return how many requests one user may have under way: a tenth of those that a process takes on, at least four."""
    return max(max_concurrent_requests // _USERS_AT_LEAST, _MIN_USER_REQUESTS)


def max_import_lines(max_list_size: int) -> int:
    """Return how many lines an import may have where a list may have `max_list_size` items."""
    return _IMPORT_LINES_PER_ITEM * (max_list_size + 1)

"""User ids: opaque text from the clients, in an alphabet that JSON, HTTP and Redis need not escape.

If an account has several profiles, each profile has its own list, and its user id is `account/profile`. Only the code
for accounts parses that form; the rest of the service uses a user id as a whole.
"""

import re
from typing import NamedTuple

USER_ID_PATTERN = r"[A-Za-z0-9._~:@|/+=-]{1,128}"
USER_ID = re.compile(USER_ID_PATTERN, re.ASCII)
PROFILE_SEPARATOR = "/"
_AFTER_SEPARATOR = chr(ord(PROFILE_SEPARATOR) + 1)


class UserIdRange(NamedTuple):
    """The user ids from `first` (inclusive) to `end` (exclusive), ordered by code point, as in MongoDB."""

    first: str
    end: str


def account_of(user_id: str) -> str:
    """Return the account of a user id: the part before the first slash, or the whole id without a slash."""
    return user_id.partition(PROFILE_SEPARATOR)[0] or user_id


def profiles_of(account: str) -> UserIdRange:
    """Return the user ids of an account's profiles, without the account itself."""
    return UserIdRange(f"{account}{PROFILE_SEPARATOR}", f"{account}{_AFTER_SEPARATOR}")

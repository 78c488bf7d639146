"""User ids: opaque text of the clients, from an alphabet that neither JSON, HTTP nor Redis has to escape.

Where an account has several profiles, each of them has a list of its own, and its user id is `account/profile`. Only
what is about accounts looks at that form: the rest of the service takes a user id as a whole.
"""

import re
from typing import NamedTuple

USER_ID_PATTERN = r"[A-Za-z0-9._~:@|/+=-]{1,128}"
USER_ID = re.compile(USER_ID_PATTERN, re.ASCII)
PROFILE_SEPARATOR = "/"
_AFTER_SEPARATOR = chr(ord(PROFILE_SEPARATOR) + 1)


class UserIdRange(NamedTuple):
    """The user ids from `first` on and before `end`, in the order of their characters' codes, as MongoDB has it."""

    first: str
    end: str


def account_of(user_id: str) -> str:
    """Return the account that a user id belongs to: what stands before its first slash, else the whole of it."""
    return user_id.partition(PROFILE_SEPARATOR)[0] or user_id


def profiles_of(account: str) -> UserIdRange:
    """Return the user ids of an account's profiles, to which the account itself does not belong."""
    return UserIdRange(f"{account}{PROFILE_SEPARATOR}", f"{account}{_AFTER_SEPARATOR}")

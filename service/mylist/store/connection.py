"""The connection to MongoDB: deadlines, a cap on concurrent work, and errors in the service's own words.

Every operation runs inside `Database.operation`, which refuses work while MongoDB is known to be away or too much is
under way, and translates the driver's errors. An operation ends by the driver's deadline (`timeoutMS`) and is never
cancelled from outside: a cancelled command would leave its connection unusable and its outcome unknown.
"""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pymongo
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import (
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
)

from mylist import metrics
from mylist.errors import DatabaseBusyError, OutcomeUnknownError, StoreUnavailableError
from mylist.settings import Settings, without_password

Document = dict[str, Any]

DEFAULT_DATABASE = "mylist-ott"
DUPLICATE_KEY = 11000
"""The code with which MongoDB refuses what contradicts a unique index."""
_APP_NAME = "mylist"
# Codes with which MongoDB refuses whoever asks and whatever is asked, and what helps; 8000 is Atlas's own.
_CREDENTIALS = "check MONGODB_USER, MONGODB_PASSWORD and the authSource of MONGODB_URI"
_REMEDIES = {
    13: "its user, MONGODB_USER, needs the role readWrite on the database",
    18: _CREDENTIALS,
    8000: _CREDENTIALS,
}
_CLOSING_TIMEOUT = 1.0

_logger = logging.getLogger(__name__)


class StoreRefusedError(Exception):
    """MongoDB answers but will not serve us: a wrong password, a missing right. Trying again does not help."""


def connect(settings: Settings) -> AsyncMongoClient[Document]:
    """Makes a client; it connects when first used. It belongs to the event loop that is running.

    Raises:
        StoreRefusedError: the connection string cannot be used.
    """
    credentials: dict[str, Any] = {}
    if settings.mongodb_user:
        credentials = {"username": settings.mongodb_user, "password": settings.mongodb_password}
    try:
        # An option that the driver warns of is one that it goes on without, be it the one that asks for TLS.
        with warnings.catch_warnings(action="error", category=UserWarning):
            return AsyncMongoClient(
                settings.mongodb_uri,
                appname=_APP_NAME,
                tz_aware=True,
                timeoutMS=int(_driver_timeout(settings) * 1000),
                # One for the background check: when requests use all of theirs, MongoDB is not away.
                maxPoolSize=settings.mongodb_pool_size + 1,
                # An acknowledged write survives a failover, and a list is never filled from one that might not.
                w="majority",
                readConcernLevel="majority",
                readPreference="primary",
                unicode_decode_error_handler="replace",
                datetime_conversion="DATETIME_CLAMP",
                **credentials,
            )
    except (PyMongoError, ValueError, OSError, UserWarning) as error:
        raise StoreRefusedError(_unusable(settings.mongodb_uri, error)) from None


def _unusable(uri: str, error: Exception) -> str:
    words = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
    if "@" in words:  # then they quote what is left of a password with a slash in it
        words = "user and password have to be percent-encoded"
    return (
        f"MONGODB_URI cannot be used: {words}; it is {without_password(uri)!r}, and may be as in "
        "mongodb://host:27017/mylist-ott, with MONGODB_USER and MONGODB_PASSWORD beside it"
    )


def address(settings: Settings) -> str:
    """Gives the hosts that the connection string names, for people."""
    return re.split("[/?]", settings.mongodb_uri.partition("//")[2].rpartition("@")[2])[0]


async def close(client: AsyncMongoClient[Document]) -> None:
    """Closes a client, without much patience for a MongoDB that is away: the driver would look for it half a minute."""
    with pymongo.timeout(_CLOSING_TIMEOUT):
        await client.close()


def _driver_timeout(settings: Settings) -> float:
    # Looking for a server, the driver notices up to half a second late that its time is up.
    return max(settings.mongodb_timeout - 0.5, settings.mongodb_timeout / 2)


def refusal(error: OperationFailure) -> str:
    """Gives MongoDB's own words for a refusal, and what helps."""
    remedy = _REMEDIES.get(error.code or 0)
    return f"{reason(error)}; {remedy}" if remedy else reason(error)


def database_of(client: AsyncMongoClient[Document]) -> AsyncDatabase[Document]:
    """Gives the database that the connection string names."""
    return client.get_default_database(DEFAULT_DATABASE)


def reason(error: PyMongoError) -> str:
    """Gives MongoDB's or the driver's own words for a failure, in one line and without the driver's view of it all."""
    words = (error.details or {}).get("errmsg") if isinstance(error, OperationFailure) else None
    return str(words or error).partition(", Timeout:")[0].partition(" (configured")[0].replace("\n", " ")


class Database:
    """MongoDB as the rest of the service sees it: there or not, and never asked for more than it has connections."""

    def __init__(self, client: AsyncMongoClient[Document], settings: Settings) -> None:
        self.handle = database_of(client)
        self._address = address(settings)
        self._timeout = _driver_timeout(settings)
        self.pool_size = settings.mongodb_pool_size
        self.under_way = 0
        self.available = False
        """Whether MongoDB answered the last check."""
        self._checked = False

    def require(self) -> None:
        """Makes sure that asking MongoDB makes sense now.

        Raises:
            StoreUnavailableError: it did not answer the last check.
            DatabaseBusyError: every connection is in use.
        """
        if not self.available:
            raise StoreUnavailableError
        if self.under_way >= self.pool_size:
            raise DatabaseBusyError

    def deadline(self) -> AbstractContextManager[None]:
        """Surrounds several operations that have to end within the deadline of one."""
        return pymongo.timeout(self._timeout)

    @contextmanager
    def operation(self, name: str, *, writes: bool = False) -> Iterator[None]:
        """Surrounds one operation, which is measured under a name.

        Raises:
            DatabaseBusyError: as many operations are under way as there are connections; none waits for another.
            StoreUnavailableError: MongoDB is away, or did not do it in time.
            OutcomeUnknownError: it `writes`, and may have taken effect all the same.
        """
        self.require()
        self.under_way += 1
        try:
            with metrics.operation("mongodb", name):
                yield
        except ServerSelectionTimeoutError as error:
            raise StoreUnavailableError from error
        except PyMongoError as error:
            _logger.warning("MongoDB operation failed: %s", reason(error))
            raise (OutcomeUnknownError if writes else StoreUnavailableError) from error
        finally:
            self.under_way -= 1

    async def check(self) -> None:
        """Asks MongoDB whether it is there, and remembers the answer.

        Raises:
            StoreRefusedError: it is there and refuses us.
        """
        try:
            with metrics.operation("mongodb", "ping"):
                await self.handle.command("ping")
        except OperationFailure as error:
            self._note(available=False, why=refusal(error))
            if error.code in _REMEDIES:
                raise StoreRefusedError(refusal(error)) from error
        except WaitQueueTimeoutError:
            pass  # our own load keeps the pool busy; that says nothing about MongoDB
        except PyMongoError as error:
            self._note(available=False, why=f"{reason(error)}; start it or mend MONGODB_URI, it is tried again")
        else:
            self._note(available=True)

    def _note(self, *, available: bool, why: str = "") -> None:
        if available != self.available or not self._checked:
            _logger.log(
                logging.INFO if available else logging.ERROR,
                "MongoDB at %s is %s",
                self._address,
                "available" if available else f"not available: {why}",
            )
        self.available = available
        self._checked = True

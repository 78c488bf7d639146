"""The MongoDB client and `Database`: deadlines, a limit on concurrent operations, and the service's own errors.

Every operation runs inside `Database.operation`, which rejects work while MongoDB is unreachable or has too much to do,
and translates the driver's errors. Only the driver's deadline (`timeoutMS`) ends an operation:
the service cancels none, as a cancelled command would leave its connection unusable and its outcome unknown.
"""

import importlib.util
import logging
import re
import warnings
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

import pymongo
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import (
    ConfigurationError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
)

from mylist.config.settings import Settings, without_password
from mylist.domain.errors import DatabaseUnavailableError, OutcomeUnknownError
from mylist.mongodb.operation_limit import OperationLimit
from mylist.telemetry import metrics

Document = dict[str, Any]

DEFAULT_DATABASE = "mylist-ott"
DUPLICATE_KEY = 11000
"""MongoDB's error code for a violation of a unique index."""
_APP_NAME = "mylist"
_CREDENTIALS = "check MONGODB_USER, MONGODB_PASSWORD and the authSource of MONGODB_URI"
# Error codes that every operation of this user would meet, and the remedy for each; Atlas alone uses 8000.
_REMEDIES = {
    13: "its user, MONGODB_USER, needs the role readWrite on the database",
    18: _CREDENTIALS,
    8000: _CREDENTIALS,
}
# What a mechanism of authentication needs beyond the driver: the modules, any of which will do, and the remedy.
_MODULES = {
    "MONGODB-AWS": (("pymongo_auth_aws",), "install mylist[aws]; docs/kubernetes.md says how in an image"),
    "GSSAPI": (("kerberos", "winkerberos"), "install pymongo[gssapi]"),
}
_TRUE = "true"
_CLOSING_TIMEOUT_S = 1.0
_SECOND_PING_TIMEOUT_S = 1.0
"""The driver takes up to half a second to look at a server again whose connection it lost."""
DRIVER_ERRORS = (PyMongoError, OSError, RuntimeError, ValueError)
"""What an operation may raise: the driver's own errors, and those of logging in, as for a token file that is gone."""

_logger = logging.getLogger(__name__)


class MongoRefusedError(Exception):
    """MongoDB answers but rejects this client, for a wrong password or a missing privilege. A retry does not help."""


def connect(settings: Settings) -> AsyncMongoClient[Document]:
    """Return a client, which connects on first use and belongs to the running event loop.

    Raises:
        MongoRefusedError: MONGODB_URI cannot be used.
    """
    credentials: dict[str, Any] = {}
    if problem := _missing(settings.mongodb_uri):
        raise MongoRefusedError(_unusable(settings.mongodb_uri, ConfigurationError(problem)))
    if settings.mongodb_user:
        credentials = {"username": settings.mongodb_user, "password": settings.mongodb_password}
    try:
        # The driver warns of an option that it then ignores, which could be the one that enables TLS.
        with warnings.catch_warnings(action="error", category=UserWarning):
            return AsyncMongoClient(
                settings.mongodb_uri,
                appname=_APP_NAME,
                tz_aware=True,
                timeoutMS=int(_driver_timeout(settings) * 1000),
                # One more for the background check: it must get through when requests use all the others.
                maxPoolSize=settings.mongodb_pool_size + 1,
                # An acknowledged write survives a failover, and a list is cached only from such writes.
                w="majority",
                readConcernLevel="majority",
                readPreference="primary",
                unicode_decode_error_handler="replace",
                datetime_conversion="DATETIME_CLAMP",
                **credentials,
            )
    except (PyMongoError, ValueError, OSError, UserWarning) as error:
        raise MongoRefusedError(_unusable(settings.mongodb_uri, error)) from None


def _missing(uri: str) -> str:
    """Return what the mechanism of authentication lacks, which the driver notices when it logs in; else nothing."""
    options = {name.lower(): value for name, value in parse_qsl(uri.partition("?")[2])}
    mechanism = options.get("authmechanism", "").upper()
    if mechanism == "MONGODB-X509":
        is_tls = options.get("tls", options.get("ssl", _TRUE if uri.startswith("mongodb+srv:") else "")) == _TRUE
        if not (is_tls and "tlscertificatekeyfile" in options):
            return "MONGODB-X509 needs tls=true and tlsCertificateKeyFile"
    modules, remedy = _MODULES.get(mechanism, ((), ""))
    if modules and not any(map(importlib.util.find_spec, modules)):
        return f"{mechanism} needs the package {modules[0].replace('_', '-')}: {remedy}"
    return ""


def _unusable(uri: str, error: Exception) -> str:
    problem = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
    if "@" in problem:  # the driver quotes part of a password that contains a slash
        problem = "user and password have to be percent-encoded"
    return (
        f"MONGODB_URI cannot be used: {problem}; it is {without_password(uri)!r}, and may be as in "
        "mongodb://host:27017/mylist-ott, with MONGODB_USER and MONGODB_PASSWORD beside it"
    )


def address(settings: Settings) -> str:
    """Return the hosts in the connection string, for messages."""
    return re.split("[/?]", settings.mongodb_uri.partition("//")[2].rpartition("@")[2])[0]


async def close(client: AsyncMongoClient[Document]) -> None:
    """Close a client, soon even if MongoDB is unreachable: the driver alone would look for it for half a minute."""
    with pymongo.timeout(_CLOSING_TIMEOUT_S):
        await client.close()


def _driver_timeout(settings: Settings) -> float:
    # While it selects a server, the driver exceeds its timeout by up to half a second.
    return max(settings.mongodb_timeout - 0.5, settings.mongodb_timeout / 2)


def refusal(error: OperationFailure) -> str:
    """Return MongoDB's reason for a refusal, with the remedy if there is one."""
    remedy = _REMEDIES.get(error.code or 0)
    return f"{reason(error)}; {remedy}" if remedy else reason(error)


def _is_final(error: Exception) -> bool:
    """Return whether every operation of this process would fail in the same way."""
    if isinstance(error, ConfigurationError):
        # With another cause it is a host of mongodb+srv:// that could not be looked up.
        return error.__cause__ is None or isinstance(error.__cause__, ImportError)
    return isinstance(error, OperationFailure) and error.code in _REMEDIES


def database_of(client: AsyncMongoClient[Document]) -> AsyncDatabase[Document]:
    """Return the database that the connection string names."""
    return client.get_default_database(DEFAULT_DATABASE)


def reason(error: Exception) -> str:
    """Return MongoDB's or the driver's message for a failure, in one line and without the topology description."""
    message = (error.details or {}).get("errmsg") if isinstance(error, OperationFailure) else None
    return (
        (str(message or error) or repr(error))
        .partition(", Timeout:")[0]
        .partition(" (configured")[0]
        .replace("\n", " ")
    )


class Database:
    """MongoDB for the rest of the service: knows whether it is available, and limits the concurrent operations.

    Attributes:
        handle: the driver's database.
        limit: how many operations run, and may run at once.
        available: whether MongoDB answered the last check.
    """

    def __init__(self, client: AsyncMongoClient[Document], settings: Settings) -> None:
        self._client = client
        self.handle = database_of(client)
        self._address = address(settings)
        self._timeout = _driver_timeout(settings)
        self.limit = OperationLimit(settings.mongodb_pool_size)
        self.available = False
        self._checked = False

    async def require_available(self) -> None:
        """Wait until an operation could run, for as long as it would wait itself.

        Raises:
            DatabaseUnavailableError: MongoDB did not answer the last check.
            DatabaseBusyError: every connection is in use, and none comes free in time.
        """
        await self._enter()
        self.limit.leave()

    async def _enter(self) -> None:
        self._require_answers()
        await self.limit.enter()
        try:
            self._require_answers()
        except BaseException:
            self.limit.leave()
            raise

    def _require_answers(self) -> None:
        if not self.available:
            raise DatabaseUnavailableError

    def deadline(self) -> AbstractContextManager[None]:
        """Surround several operations that must end within the deadline of one."""
        return pymongo.timeout(self._timeout)

    @asynccontextmanager
    async def operation(self, name: str, *, writes: bool = False) -> AsyncIterator[None]:
        """Surround one operation, which the metrics report under `name`.

        Raises:
            DatabaseBusyError: every connection is in use, and none comes free in time.
            DatabaseUnavailableError: MongoDB is unreachable, or the operation failed and does not write.
            OutcomeUnknownError: the operation `writes` and failed; it may have taken effect.
        """
        await self._enter()
        try:
            with metrics.operation("mongodb", name):
                yield
        except ServerSelectionTimeoutError as error:
            raise DatabaseUnavailableError from error
        except DRIVER_ERRORS as error:
            _logger.warning("MongoDB operation failed: %s", reason(error))
            raise (OutcomeUnknownError if writes else DatabaseUnavailableError) from error
        finally:
            self.limit.leave()

    async def check(self) -> None:
        """Ping MongoDB and update `available`.

        Whatever fails, MongoDB is not available then: this process may have cached lists to serve.

        Raises:
            MongoRefusedError: MongoDB answers but rejects this client, or the driver rejects the settings.
        """
        try:
            with self.deadline():
                await self._ping_up_to_twice()
        except WaitQueueTimeoutError:
            pass  # the service's own load keeps the pool busy, which says nothing about MongoDB
        except OperationFailure as error:
            self._record(available=False, problem=refusal(error))
            if _is_final(error):
                raise MongoRefusedError(refusal(error)) from error
        except Exception as error:
            remedy = "start it or mend MONGODB_URI, " if isinstance(error, PyMongoError) else ""
            self._record(available=False, problem=f"{reason(error)}; {remedy}it is tried again")
            if _is_final(error):
                raise MongoRefusedError(reason(error)) from error
        else:
            self._record(available=True)

    async def _ping_up_to_twice(self) -> None:
        """Ping, and ping once more if that fails without a wait: one lost connection says nothing about the others."""
        try:
            await self._ping()
        except Exception as error:
            if getattr(error, "timeout", False) or _is_final(error):
                raise
            with pymongo.timeout(_SECOND_PING_TIMEOUT_S):
                await self._ping()

    async def _ping(self) -> None:
        with metrics.operation("mongodb", "ping"):
            await self.handle.command("ping")

    def _record(self, *, available: bool, problem: str = "") -> None:
        if available != self.available or not self._checked:
            _logger.log(
                logging.INFO if available else logging.ERROR,
                "MongoDB at %s is %s",
                self._address,
                "available" if available else f"not available: {problem}",
            )
        self.available = available
        self._checked = True

    async def close(self) -> None:
        """Close the client."""
        await close(self._client)

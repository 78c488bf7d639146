"""The MongoDB client and `Database`: deadlines, a limit on concurrent operations, and the service's own errors.

Every operation runs inside `Database.operation`, which rejects work while MongoDB is unreachable or has too much to do,
and translates the driver's errors. Only the driver's deadline (`timeoutMS`) ends an operation. The service never
cancels one: a cancelled command would leave its connection unusable and its outcome unknown.
"""

import asyncio
import importlib.util
import logging
import math
import re
import time
import warnings
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from typing import Any
from urllib.parse import parse_qsl

import pymongo
from bson import ObjectId
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import (
    ConfigurationError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WriteConcernError,
)

from mylist.background import spawn_for_process
from mylist.config.redis_timing import FENCE_PATIENCE_S, HANDOVER_S
from mylist.config.settings import Settings, without_password
from mylist.domain.errors import (
    DatabaseRefusedError,
    DatabaseUnavailableError,
    OutcomeUnknownError,
    ServiceError,
    UnavailableError,
)
from mylist.domain.reign import NO_REIGN, Reigns
from mylist.mongodb.collections import LISTS
from mylist.mongodb.driver_overrides import wait_for_conditions_in_one_task
from mylist.mongodb.hello import Hello
from mylist.mongodb.majority_lag import MajorityLag
from mylist.mongodb.operation_breaker import BreakerState, OperationBreaker
from mylist.mongodb.operation_limit import OperationLimit
from mylist.mongodb.retry_limit import (
    ELSEWHERE_CODES,
    RetryLimit,
    failed_commands,
    last_answer,
    limited_retries,
    sent_commands,
)
from mylist.telemetry import metrics
from mylist.telemetry.line_limit import LineLimit
from mylist.telemetry.outage_reasons import OutageReasons

Document = dict[str, Any]

DEFAULT_DATABASE = "mylist-ott"
DUPLICATE_KEY = 11000
"""MongoDB's error code for a violation of a unique index."""
_APP_NAME = "mylist"
_CREDENTIALS = "check MONGODB_USER, MONGODB_PASSWORD and the authSource of MONGODB_URI"
_ROLE = "its user, MONGODB_USER, needs the role readWrite on the database"
_NO_RETRIES = "this MongoDB has no retryable writes: add retryWrites=false to MONGODB_URI"
_REMEDIES = {
    13: _ROLE,
    18: _CREDENTIALS,
    20: _NO_RETRIES,
    61: "shard the collection by userId, as docs/cost.md says",
    301: _NO_RETRIES,
    8000: f"{_CREDENTIALS}; {_ROLE}",  # Atlas uses this code for missing privileges as well
}
"""Remedies by error code."""
_FINAL_CODES = frozenset({2, 13, 18, 20, 67, 72, 85, 86, 115, 197, 238, 301, 8000, DUPLICATE_KEY})
"""Error codes that abort the start if a required operation fails with one. Other failures are retried."""
_REFUSAL_CODES = frozenset({13, 20, 61, 72, 301, 323})
"""Error codes of an operation that MongoDB rejects without starting it, and would reject again."""
_MAJORITY_LOST_AFTER_S = 5.0
"""If a change waits longer for its majority, its fence in Redis may expire before the change takes effect."""
# The needs of an authentication mechanism besides the driver: alternative modules, and the remedy.
_MODULES = {
    "MONGODB-AWS": (("pymongo_auth_aws",), "install mylist[aws]; docs/kubernetes.md has the steps for an image"),
    "GSSAPI": (("kerberos", "winkerberos"), "install pymongo[gssapi]"),
}
_TRUE = "true"
MAX_REIGN_WAIT_S = FENCE_PATIENCE_S
"""How long an operation waits, before its turn, after an election or until Redis counts as down."""
_REIGN_POLL_S = 0.02
_ANNOUNCED_FOR_S = 10.0
"""A reign is announced for this long after the last answered check."""
_REPLACED = (
    "another process has seen a later primary; requests that are not cached get 503 until this process sees it too, so "
    "check the network between this process and the other members"
)
_CLOSING_TIMEOUT_S = 1.0
_SECOND_ASKING_TIMEOUT_S = 1.0
"""The driver takes up to half a second to check a server again after it lost the connection."""
DRIVER_ERRORS = (PyMongoError, OSError, RuntimeError, ValueError)
"""The errors that an operation may raise: the driver's own, and those of logging in, such as a missing token file."""

_logger = logging.getLogger(__name__)


class MongoRefusedError(Exception):
    """MongoDB answers but rejects this client, for a wrong password or a missing privilege. A retry does not help."""


def connect(settings: Settings) -> AsyncMongoClient[Document]:
    """Return a client, which connects on first use and belongs to the running event loop.

    Raises:
        MongoRefusedError: MONGODB_URI cannot be used.
    """
    wait_for_conditions_in_one_task()
    credentials: dict[str, Any] = {}
    if problem := _missing(settings.mongodb_uri):
        raise MongoRefusedError(_unusable(settings.mongodb_uri, ConfigurationError(problem)))
    if settings.mongodb_user:
        credentials = {"username": settings.mongodb_user, "password": settings.mongodb_password}
    try:
        # The driver only warns about an option that it ignores, even if that option enables TLS.
        with warnings.catch_warnings(action="error", category=UserWarning):
            return AsyncMongoClient(
                settings.mongodb_uri,
                appname=_APP_NAME,
                tz_aware=True,
                timeoutMS=int(_driver_timeout(settings) * 1000),
                # Extra connections for the background check and the registry: they must get through even if requests
                # use all others.
                maxPoolSize=settings.mongodb_pool_size + 2,
                # An acknowledged write survives a failover, and a list is cached only from such writes.
                w="majority",
                journal=True,  # in MongoDB a majority implies it, in the embedded server it does not
                readConcernLevel="majority",
                readPreference="primary",
                unicode_decode_error_handler="replace",
                datetime_conversion="DATETIME_CLAMP",
                event_listeners=[RetryLimit()],
                **credentials,
            )
    except (PyMongoError, ValueError, OSError, UserWarning) as error:
        raise MongoRefusedError(_unusable(settings.mongodb_uri, error)) from None


def _missing(uri: str) -> str:
    """Return what the authentication mechanism lacks, which the driver would notice only at login; else nothing."""
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
        problem = "user and password must be percent-encoded"
    return (
        f"MONGODB_URI cannot be used: {problem}; it is {without_password(uri)!r}, and must be like "
        "mongodb://host:27017/mylist-ott, with MONGODB_USER and MONGODB_PASSWORD set separately"
    )


def address(settings: Settings) -> str:
    """Return the hosts in the connection string, for messages."""
    return re.split("[/?]", settings.mongodb_uri.partition("//")[2].rpartition("@")[2])[0]


async def close(client: AsyncMongoClient[Document]) -> None:
    """Close a client quickly, even if MongoDB is unreachable: the driver alone would look for it for half a minute."""
    with pymongo.timeout(_CLOSING_TIMEOUT_S):
        await client.close()


def _driver_timeout(settings: Settings) -> float:
    # While it selects a server, the driver exceeds its timeout by up to half a second.
    return max(settings.mongodb_timeout - 0.5, settings.mongodb_timeout / 2)


def refusal(error: OperationFailure) -> str:
    """Return MongoDB's reason for a refusal, with the remedy if there is one."""
    remedy = _REMEDIES.get(error.code or 0)
    return f"{reason(error)}; {remedy}" if remedy else reason(error)


def is_final(error: Exception) -> bool:
    """Return whether an error of a required operation aborts the start, because a retry would fail again."""
    if isinstance(error, ConfigurationError):
        # With another cause, a host of mongodb+srv:// could not be resolved.
        return error.__cause__ is None or isinstance(error.__cause__, ImportError)
    return isinstance(error, OperationFailure) and error.code in _FINAL_CODES


def database_of(client: AsyncMongoClient[Document]) -> AsyncDatabase[Document]:
    """Return the database in the connection string."""
    return client.get_default_database(DEFAULT_DATABASE)


def reason(error: Exception) -> str:
    """Return MongoDB's or the driver's message for a failure, in one line and without the topology description."""
    message = (error.details or {}).get("errmsg") if isinstance(error, OperationFailure) else None
    return (
        (str(message or error) or repr(error))
        .partition(", Timeout:")[0]
        .partition(", full error:")[0]
        .partition(" (configured")[0]
        .replace("\n", " ")
    )


class Database:
    """MongoDB for the rest of the service: tracks whether it is available, and limits concurrent operations.

    Attributes:
        handle: the driver's database.
        limit: counts and limits the operations in flight.
        available: whether MongoDB answered the last check.
        problem: why MongoDB is unavailable, in one line; empty while it is available, and before the first check.
        hello: the answer to the last answered check; None before the first.
        reigns: what the process knows about reigns. Nothing is known before the cache's heartbeats.
        last_success: when MongoDB last completed an operation or answered a check, except at a replaced primary.
    """

    def __init__(self, client: AsyncMongoClient[Document], settings: Settings) -> None:
        self._client = client
        self.handle = database_of(client)
        self._address = address(settings)
        self._timeout = _driver_timeout(settings)
        self.limit = OperationLimit(settings.mongodb_pool_size)
        self.available = False
        self.problem = ""
        self.hello: Hello | None = None
        self._reign_sources: tuple[object, object] = (None, None)
        self._known_reign = NO_REIGN
        self.reigns = Reigns(handover_s=HANDOVER_S, seen=self._reign, announced=self._announced_reign)
        self._committed_reign = NO_REIGN
        self._tells_majority = False
        self._answered_at = self.last_success = -math.inf
        self._looking: asyncio.Task[None] | None = None
        self._breaker = OperationBreaker()
        self._majority_lag = MajorityLag()
        self._majority_is_lost = False
        self._checked = False
        self._reasons = OutageReasons()
        self._failure_lines = LineLimit(10, period_s=10)
        self._refusal_lines = LineLimit(1, period_s=10)

    @property
    def breaker(self) -> BreakerState:
        """Whether operations may run: not while MongoDB is unavailable."""
        return self._breaker.state if self.available else "open"

    @property
    def majority_lag_s(self) -> float | None:
        """Seconds since a check first saw the oldest write that no majority has; None if unknown."""
        return self._majority_lag.seconds if self.available else None

    @property
    def election_id(self) -> ObjectId | None:
        """The highest election id that a primary has reported; None without elections, or before the first report.

        A later election has a higher id. The driver learns of a new primary by itself, between two checks.
        """
        ids = (self._client.topology_description.max_election_id, self.hello.election_id if self.hello else None)
        return max(filter(None, ids), default=None)

    def _reign(self) -> str:
        # Operations ask many times. The driver replaces its description when it learns something; it never changes it.
        sources = self._client.topology_description, self.hello
        if sources[0] is not self._reign_sources[0] or sources[1] is not self._reign_sources[1]:
            election_id = self.election_id
            self._known_reign = NO_REIGN if election_id is None else str(election_id)
            self._reign_sources = sources
        return self._known_reign

    def _announced_reign(self) -> str:
        # The members of a restored replica set count elections from the beginning. A process that only remembers a
        # higher id must not keep others from using them.
        return self._reign() if time.monotonic() - self._answered_at <= _ANNOUNCED_FOR_S else NO_REIGN

    async def require_available(self) -> None:
        """Wait until an operation could run, at most as long as an operation would wait itself.

        Raises:
            DatabaseUnavailableError: MongoDB did not answer the last check, fails one operation after the other, or has
                a new primary that this process does not see.
            DatabaseBusyError: every connection is in use, and none became free in time.
        """
        await self._enter()
        self._leave()

    async def _enter(self) -> None:
        self._require_answers()
        limit = self.limit
        if limit.running < limit.maximum:  # inlined from `limit.enter`, which is only called if an operation must wait
            limit.running += 1
            return
        await limit.enter()
        try:
            self._require_answers()
        except BaseException:
            limit.leave()
            raise

    def _leave(self) -> None:
        if self.limit.waiting:
            self.limit.leave()
        else:
            self.limit.running -= 1

    def _require_answers(self) -> None:
        if not self.available or self.reigns.is_replaced:
            raise DatabaseUnavailableError
        if not self._breaker.is_clear:
            self._breaker.require_closed()

    def _is_current(self, reign: str, *, writes: bool) -> bool:
        """Return whether an operation under a reign sees everything acknowledged before, also in earlier reigns.

        At a replaced primary it does not. At a new primary a read does not, until a majority has a write of the new
        term. A change does, because it works on the data of that primary itself.
        """
        if reign == NO_REIGN:
            return True
        is_committed = writes or reign <= self._committed_reign or not self._tells_majority
        return is_committed and self.reigns.is_told and not self.reigns.replaces(reign)

    async def _until_current(self, *, writes: bool) -> None:
        """Wait until an operation may begin: right after an election, and while the highest reign is unknown.

        Raises:
            DatabaseUnavailableError: the wait takes too long.
        """
        end = time.monotonic() + MAX_REIGN_WAIT_S
        while not self._is_current(reign := self._reign(), writes=writes):
            self._require_answers()
            if time.monotonic() >= end:
                raise DatabaseUnavailableError
            if reign > self._committed_reign and (self._looking is None or self._looking.done()):
                self._looking = spawn_for_process(self._look_for_commit())
            await asyncio.sleep(_REIGN_POLL_S)

    async def _look_for_commit(self) -> None:
        """Ask what a majority has, more often than the regular check does."""
        with suppress(*DRIVER_ERRORS), pymongo.timeout(MAX_REIGN_WAIT_S):
            self._take(await self._ask())

    def deadline(self) -> AbstractContextManager[None]:
        """Surround several operations, which share the deadline of one."""
        return pymongo.timeout(self._timeout)

    @asynccontextmanager
    async def operation(self, name: str, *, writes: bool = False) -> AsyncIterator[None]:
        """Surround one operation, which the metrics report under `name`.

        Raises:
            DatabaseBusyError: every connection is in use, and none became free in time.
            DatabaseUnavailableError: MongoDB is unreachable, or the operation failed and does not write.
            DatabaseRefusedError: MongoDB rejected the operation, and would reject it again.
            OutcomeUnknownError: the operation `writes` and failed; it may have taken effect.
        """
        await self._until_current(writes=writes)
        await self._enter()
        breaker = self._breaker
        if not breaker.is_clear:
            breaker.begin()
        worked: bool | None = None
        problem = ""
        reign = self._reign()
        before = failed_commands.set(0), last_answer.set(None)
        try:
            if not self._is_current(reign, writes=writes):
                raise DatabaseUnavailableError
            with metrics.operation("mongodb", name):
                yield
            worked = True
            if not writes and self._reign() != reign:
                # A new primary may have answered, before a majority had the same data.
                raise DatabaseUnavailableError
            self.last_success = time.monotonic()
        except ServiceError as error:
            worked = None if isinstance(error, UnavailableError) else True
            raise
        except ServerSelectionTimeoutError as error:
            # Nothing was sent, unless this was a retry or the operation has several commands.
            raise (OutcomeUnknownError if writes and sent_commands() else DatabaseUnavailableError) from error
        except DRIVER_ERRORS as error:
            problem = refusal(error) if isinstance(error, OperationFailure) else reason(error)
            worked = _worked(error)
            self._tell_of_failure(name, error, problem)
            raise _translated(error, writes=writes) from error
        finally:
            failed_commands.reset(before[0])
            last_answer.reset(before[1])
            if (worked is False or not breaker.is_clear) and breaker.end(worked=worked):
                self._tell_of_breaker(problem)
            self._leave()

    @asynccontextmanager
    async def unlimited_operation(self, name: str, *, writes: bool = False) -> AsyncIterator[None]:
        """Surround an operation of the process itself, apart from requests; the metrics report it under `name`.

        One such operation at a time has its own connection. A write need not check reigns, because a replaced primary
        finds no majority to acknowledge it.

        Raises:
            MongoRefusedError: MongoDB rejects the operation, and would reject it again.
            DatabaseUnavailableError: the operation failed otherwise. If it `writes`, it may have taken effect.
        """
        reign = self._reign()
        if not writes and not self._is_current(reign, writes=False):
            raise DatabaseUnavailableError
        try:
            with self.deadline(), limited_retries(), metrics.operation("mongodb", name):
                yield
        except DRIVER_ERRORS as error:
            if isinstance(error, OperationFailure) and _is_refused(error) and is_final(error):
                raise MongoRefusedError(refusal(error)) from error
            raise DatabaseUnavailableError from error
        if not writes and self._reign() != reign:
            raise DatabaseUnavailableError
        self.last_success = time.monotonic()

    def _tell_of_failure(self, name: str, error: Exception, problem: str) -> None:
        if not _is_refused(error):
            if self._failure_lines.allows():
                _logger.warning("MongoDB operation failed: %s", problem)
        elif self._refusal_lines.allows():
            _logger.error("MongoDB at %s rejects the operation %s each time: %s", self._address, name, problem)

    def _tell_of_breaker(self, problem: str) -> None:
        if self._breaker.state == "closed":
            _logger.info("MongoDB at %s executes operations again", self._address)
            return
        _logger.error(
            "MongoDB at %s answers, but one operation after the other fails: %s; restore the shard or member that "
            "it cannot reach. The service tries one operation at a time until one succeeds",
            self._address,
            problem,
        )

    async def ask_hello(self) -> Hello:
        """Return the current answer to `hello` of MongoDB's primary or of a mongos."""
        return Hello.of(await self.handle.command("hello", codec_options=self.handle.codec_options))

    async def check(self) -> None:
        """Check MongoDB, and update its state.

        After any failure, MongoDB counts as unavailable, but the process goes on: it may have cached lists to serve.

        Raises:
            MongoRefusedError: MongoDB answers but rejects this client, or the driver rejects the settings.
        """
        try:
            with self.deadline():
                hello = await self._ask_up_to_twice()
        except WaitQueueTimeoutError:
            pass  # the service's own load keeps the pool busy, which says nothing about MongoDB
        except OperationFailure as error:
            self._record(available=False, problem=refusal(error))
            if is_final(error):
                raise MongoRefusedError(refusal(error)) from error
        except Exception as error:
            remedy = "start it or fix MONGODB_URI; " if isinstance(error, PyMongoError) else ""
            self._record(available=False, problem=f"{reason(error)}; {remedy}the service retries")
            if is_final(error):
                raise MongoRefusedError(reason(error)) from error
        else:
            self._take(hello)
            if self._is_current(self._reign(), writes=False):
                self.last_success = time.monotonic()
            self._record(available=not self.reigns.is_replaced, problem=_REPLACED)
            self._breaker.try_again()

    async def try_write(self) -> None:
        """Send a write that changes nothing. MongoDB rejects it if it would reject every change.

        Raises:
            MongoRefusedError: MongoDB rejects the write.
        """
        try:
            with self.deadline(), limited_retries():
                await self.handle[LISTS].update_one({"userId": "", "contentId": ""}, {"$unset": {"tried": ""}})
        except OperationFailure as error:
            if _is_refused(error) and is_final(error):
                raise MongoRefusedError(f"no list can be changed: {refusal(error)}") from error
        except DRIVER_ERRORS:
            pass  # the next check will report it, and lists can still be read

    async def _ask_up_to_twice(self) -> Hello:
        """Ask, and retry once if the attempt fails at once: one lost connection says nothing about the others."""
        try:
            return await self._ask()
        except Exception as error:
            if getattr(error, "timeout", False) or is_final(error):
                raise
            with pymongo.timeout(_SECOND_ASKING_TIMEOUT_S):
                return await self._ask()

    async def _ask(self) -> Hello:
        with limited_retries(), metrics.operation("mongodb", "hello"):
            return await self.ask_hello()

    def _take(self, hello: Hello) -> None:
        """Store the result of a check, and log what an operator must know."""
        if self.hello is None and hello.arbiters:
            _logger.warning(
                "MongoDB at %s has arbiters, %s: if one data-bearing member fails, there is no majority, and "
                "each change gets 503 OUTCOME_UNKNOWN; replace arbiters with members that hold data",
                self._address,
                ", ".join(hello.arbiters),
            )
        self.hello = hello
        self._answered_at = time.monotonic()
        self._tells_majority = self._tells_majority or hello.majority is not None
        if hello.election_id is not None and hello.has_committed_in_term:
            self._committed_reign = max(self._committed_reign, str(hello.election_id))
        before_s = self._majority_lag.seconds or 0.0
        self._majority_lag.observe(hello, time.monotonic())
        is_lost = (self._majority_lag.seconds or 0.0) > _MAJORITY_LOST_AFTER_S
        if is_lost and not self._majority_is_lost:
            _logger.error(
                "MongoDB at %s has no majority for a write of %.0f s ago: changes get 503 OUTCOME_UNKNOWN; restore the "
                "members that are down or lag, which rs.status() in mongosh lists",
                self._address,
                self._majority_lag.seconds,
            )
        elif self._majority_is_lost and not is_lost:
            _logger.info("MongoDB at %s has a majority again, after %.0f s", self._address, before_s)
        self._majority_is_lost = is_lost

    def _record(self, *, available: bool, problem: str = "") -> None:
        if available != self.available or not self._checked:
            _logger.log(
                logging.INFO if available else logging.ERROR,
                "MongoDB at %s is %s",
                self._address,
                "available" if available else f"not available: {problem}",
            )
            self._reasons.note_logged(problem)
        elif not available and self._reasons.is_news(problem):
            _logger.error("MongoDB at %s is still not available: %s", self._address, problem)
        self.available = available
        self.problem = "" if available else problem
        self._checked = True

    async def close(self) -> None:
        """Close the client."""
        await close(self._client)


def _worked(error: Exception) -> bool | None:
    """Return whether MongoDB was able to run or reject a failed operation; None if the error does not show this."""
    if not isinstance(error, OperationFailure):
        return None
    if _is_refused(error):
        return True
    return False if error.code in ELSEWHERE_CODES else None


def _is_refused(error: Exception) -> bool:
    # With a failed write concern, the write itself was done.
    is_done = isinstance(error, WriteConcernError)
    return isinstance(error, OperationFailure) and error.code in _REFUSAL_CODES and not is_done


def _translated(error: Exception, *, writes: bool) -> UnavailableError:
    """Return the service's error for a driver's error, within the operation."""
    # A retry may be rejected because the first attempt already made the change.
    if _is_refused(error) and sent_commands() <= 1:
        return DatabaseRefusedError()
    return OutcomeUnknownError() if writes else DatabaseUnavailableError()

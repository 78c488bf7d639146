"""Before a run, every list is read once: the thresholds are for lists that have been read before."""

import time
from functools import partial

import gevent
from gevent.pool import Pool
from geventhttpclient.useragent import CompatResponse, ConnectionError, UserAgent  # noqa: A004 - its name there

from loadtests.response_checks import read_page
from mylist.seeding.synthetic_data import user_id

_CONCURRENCY = 16
_TIMEOUT_S = 10.0
"""Seconds that a service may take to trust its Redis, and a network to let a new pod in."""
_POLL_INTERVAL_S = 0.1


class NotReadyError(Exception):
    """The service cannot be tested as it is; the message is one line that says why."""


def warm(host: str, people: int) -> None:
    """Read the list of each person once.

    Raises:
        NotReadyError: the service is unnamed, does not answer or does not cache, or its data set is missing.
    """
    if not host:
        raise NotReadyError("--host names no service")
    print(f"reading {people:,} lists once ...", flush=True)
    with UserAgent(
        concurrency=_CONCURRENCY, max_retries=0, connection_timeout=_TIMEOUT_S, network_timeout=_TIMEOUT_S
    ) as agent:
        read = partial(_read, agent, host)
        try:
            _wait_for_cache(read)
            last = read(people)
            if not read_page(last.content, user_id(people)).total:
                raise NotReadyError(f"{user_id(people)} has no list; fill the service's MongoDB by `mylist seed`")
            tries = Pool(_CONCURRENCY).imap_unordered(
                partial(_failure, read), range(1, people + 1), maxsize=_CONCURRENCY
            )
            if failure := next(filter(None, tries), None):
                raise failure
        except (ConnectionError, OSError) as error:
            way = "check that it is running and, in a cluster, that a NetworkPolicy lets this pod reach it"
            raise NotReadyError(f"{host} does not answer as it should: {error}; {way}") from error


def _read(agent: UserAgent, host: str, person: int) -> CompatResponse:
    answer = agent.urlopen(f"{host}/api/mylist/items?pageSize=100", headers={"user-id": user_id(person)})
    answer.content  # noqa: B018 - reading it gives the connection back
    return answer


def _failure(read: partial[CompatResponse], person: int) -> ConnectionError | OSError | None:
    """Read a list; return why it cannot be read: an exception that ends a greenlet is printed with its traceback."""
    try:
        read(person)
    except (ConnectionError, OSError) as error:
        return error
    return None


def _wait_for_cache(read: partial[CompatResponse]) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        try:
            cache = read(1).headers.get("x-cache", "hit")
        except (ConnectionError, OSError):
            if time.monotonic() > deadline:
                raise
        else:
            if cache == "hit":
                return
            if time.monotonic() > deadline:
                raise NotReadyError(f"lists are not cached (X-Cache: {cache}); is the service's Redis there?")
        gevent.sleep(_POLL_INTERVAL_S)

"""Keys that an identity provider publishes: fetched, kept, and fetched again when they may have changed."""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from contextvars import Context

import httpx

from mylist.identity.keys import KeySource, UnusableKeyError, keys_of_jwks
from mylist.settings import without_password

REFRESH_EVERY = 300.0
RETRY_EVERY = 10.0
ASK_EVERY = 10.0
KEPT_FOR = 24 * 3600.0
DEADLINE = 3.0
LARGEST = 1_000_000

_logger = logging.getLogger(__name__)


class RemoteKeys(KeySource):
    """The keys at a URL.

    They are fetched at the start and every `REFRESH_EVERY` seconds, and at once for a token that names another key, but
    not twice in `ASK_EVERY` seconds, as anybody can make such tokens up. While they cannot be fetched, those that are
    known are good for `KEPT_FOR` seconds. However many want them, one fetch is under way at a time.

    Args:
        url: of a JSON Web Key Set.
        clock: monotonic seconds.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._url = url
        self._clock = clock
        self._tls = ssl.create_default_context()
        self._fetching: asyncio.Task[None] | None = None
        self._fetched_at = -float("inf")
        self._asked_at = -float("inf")
        self._failure = ""

    async def keep_fresh(self) -> None:
        """Fetches the keys now, and again and again."""
        while True:
            await self._fetch()
            await asyncio.sleep(RETRY_EVERY if self._failure else REFRESH_EVERY)

    async def renew(self) -> bool:
        """Fetches the keys because a token names one that is not known; says whether they are others now."""
        before = self.keys
        if self._fetching:
            await self._fetch()
        # What was under way may have begun before the key was there.
        if self.keys is before and (self._fetching or self._clock() - self._asked_at >= ASK_EVERY):
            if not self._fetching:
                self._asked_at = self._clock()
            await self._fetch()
        return self.keys is not before

    async def close(self) -> None:
        """Ends a fetch that is under way."""
        if self._fetching:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])

    async def _fetch(self) -> None:
        if not self._fetching:
            # In a context of its own: it belongs to no single request.
            self._fetching = asyncio.get_running_loop().create_task(self._replace(), context=Context())
        # Whoever waits may be cancelled, and the others wait on.
        await asyncio.shield(self._fetching)

    async def _replace(self) -> None:
        try:
            async with asyncio.timeout(DEADLINE):
                keys = keys_of_jwks(await self._get())
        except (httpx.HTTPError, UnusableKeyError, TimeoutError) as error:
            self._note_failure(str(error) or type(error).__name__)
        else:
            if self._failure:
                _logger.info("The keys of %s can be fetched again", without_password(self._url))
            self._failure = ""
            self._fetched_at = self._clock()
            if keys != self.keys:
                self.keys = keys
        finally:
            self._fetching = None

    async def _get(self) -> bytes:
        async with (
            httpx.AsyncClient(verify=self._tls) as client,
            client.stream("GET", self._url, headers={"accept-encoding": "identity"}) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise UnusableKeyError(f"the answer is {response.status_code}")
            body = b""
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > LARGEST:
                    raise UnusableKeyError(f"the answer has more than {LARGEST} bytes")
            return body

    def _note_failure(self, reason: str) -> None:
        if self.keys and self._clock() - self._fetched_at > KEPT_FOR:
            self.keys = ()
            _logger.error("The keys of %s are too old to go on with", without_password(self._url))
        if reason != self._failure:
            _logger.warning("The keys of %s cannot be fetched: %s", without_password(self._url), reason)
            self._failure = reason

"""The keys that an identity provider publishes: fetched, kept, and fetched again when they may have changed."""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable

import httpx

from mylist.auth.key_source import KeySource
from mylist.auth.keys import keys_of_jwks
from mylist.background import cancel_all, spawn_for_process
from mylist.config.public_key import UnusableKeyError
from mylist.config.settings import without_password
from mylist.telemetry.outage_reasons import OutageReasons

REFRESH_INTERVAL_S = 300.0
RETRY_INTERVAL_S = 10.0
RETRY_INTERVAL_WITHOUT_KEYS_S = 2.0
MIN_RENEWAL_INTERVAL_S = 10.0
MAX_AGE_S = 24 * 3600.0
FETCH_TIMEOUT_S = 3.0
MAX_JWKS_BYTES = 1_000_000

_logger = logging.getLogger(__name__)


class RemoteKeys(KeySource):
    """The keys at a URL.

    They are fetched at the start and every `REFRESH_INTERVAL_S`. A token that names an unknown key triggers a fetch at
    once, but only once in `MIN_RENEWAL_INTERVAL_S`, because anyone can make up such tokens. If a fetch fails, the known
    keys stay in force for `MAX_AGE_S`. Without any keys, fetches are more frequent, because no client is served. At
    most one fetch is in flight.

    Args:
        url: URL of a JSON Web Key Set.
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
        self._reasons = OutageReasons(clock=clock)

    @property
    def available(self) -> bool:
        """Whether there are any keys."""
        return bool(self.keys)

    async def keep_fresh(self) -> None:
        """Fetch the keys now and at every interval, until cancelled."""
        while True:
            await self._fetch()
            retry_interval_s = RETRY_INTERVAL_S if self.keys else RETRY_INTERVAL_WITHOUT_KEYS_S
            await asyncio.sleep(retry_interval_s if self.problem else REFRESH_INTERVAL_S)

    async def renew(self) -> bool:
        """Fetch the keys because a token names an unknown one; return whether they have changed."""
        before = self.keys
        if self._fetching:
            await self._fetch()
        # The fetch in flight may have begun before the provider published the key.
        if self.keys is before and (self._fetching or self._clock() - self._asked_at >= MIN_RENEWAL_INTERVAL_S):
            if not self._fetching:
                self._asked_at = self._clock()
            await self._fetch()
        return self.keys is not before

    async def close(self) -> None:
        """Cancel the fetch in flight."""
        if self._fetching:
            await cancel_all([self._fetching])

    async def _fetch(self) -> None:
        if not self._fetching:
            self._fetching = spawn_for_process(self._replace())
        # A waiting request may be cancelled without ending the fetch for the others.
        await asyncio.shield(self._fetching)

    async def _replace(self) -> None:
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                keys = keys_of_jwks(await self._get())
        except (httpx.HTTPError, httpx.InvalidURL, UnusableKeyError, TimeoutError) as error:
            self._note_failure(str(error) or type(error).__name__)
        else:
            if self.problem:
                _logger.info("The keys of %s can be fetched again", without_password(self._url))
            self.problem = ""
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
                if len(body) > MAX_JWKS_BYTES:
                    raise UnusableKeyError(f"the answer has more than {MAX_JWKS_BYTES} bytes")
            return body

    def _note_failure(self, reason: str) -> None:
        if self.keys and self._clock() - self._fetched_at > MAX_AGE_S:
            self.keys = ()
            _logger.error("The keys of %s are too old to use", without_password(self._url))
        if not self.problem:
            self._reasons.note_logged(reason)
            _logger.warning("The keys of %s cannot be fetched: %s", without_password(self._url), reason)
        elif self._reasons.is_news(reason):
            _logger.warning("The keys of %s still cannot be fetched: %s", without_password(self._url), reason)
        self.problem = reason

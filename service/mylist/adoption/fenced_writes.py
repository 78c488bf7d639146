"""Changes many users' lists as the running service changes one: no list that is cached outlives the change."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

import pymongo

from mylist.adoption.stored_items import STEP_TIMEOUT_S
from mylist.cache.health import RedisState
from mylist.domain.errors import CacheUnavailableError, OutcomeUnknownError
from mylist.http.services import Services
from mylist.mongodb.database import DRIVER_ERRORS


class FencedWrites:
    """Surrounds changes in MongoDB with the fences of the users whose lists they change.

    Without Redis at the start of a run there are no fences: lists may be shown as they were until they expire.

    Args:
        services: have the cache.
        step_timeout_s: within which each change must end; the fences of `services` must stand for as long.
        refuses_unfenced: whether a change is refused that may have no fence.

    Attributes:
        unfenced: whether a list was changed without a fence.
    """

    def __init__(
        self, services: Services, *, step_timeout_s: float = STEP_TIMEOUT_S, refuses_unfenced: bool = False
    ) -> None:
        self._services = services
        self._cache = services.cache
        self._has_redis = services.health.state is not RedisState.DOWN
        self._step_timeout_s = step_timeout_s
        self._refuses_unfenced = refuses_unfenced
        self.unfenced = False

    @asynccontextmanager
    async def of(self, user_ids: Iterable[str]) -> AsyncIterator[None]:
        """Surround a change of these users' lists, which must end within the timeout of a step.

        Raises:
            OutcomeUnknownError: the change failed; its fences stand until they expire.
            CacheUnavailableError: Redis went away during the run.
        """
        async with AsyncExitStack() as fences:
            for user_id in sorted(set(user_ids)):
                if self._has_redis:
                    await fences.enter_async_context(self._cache.writing(user_id))
                else:
                    self.unfenced = True
            if self._refuses_unfenced:
                require_fences(self._services)
            try:
                with pymongo.timeout(self._step_timeout_s):
                    yield
            except DRIVER_ERRORS as error:
                raise OutcomeUnknownError from error


def require_fences(services: Services) -> None:
    """Refuse a change that may have no fence, as Redis has gone away since.

    Raises:
        CacheUnavailableError: it has.
    """
    if services.health.state is RedisState.DOWN:
        raise CacheUnavailableError

"""Changes many users' lists as the running service changes one: no outdated list stays cached."""

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

    Without Redis at the start of a run there are no fences: outdated lists may be served until they expire.

    Args:
        services: the services, with the cache.
        step_timeout_s: timeout of each change, in seconds; the fences of `services` must last as long.
        refuses_unfenced: whether a change is refused if it might have no fence.

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
            OutcomeUnknownError: the change failed; its fences remain until they expire.
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
    """Refuse a change that might have no fence, because Redis has gone away since.

    Raises:
        CacheUnavailableError: Redis has gone away.
    """
    if services.health.state is RedisState.DOWN:
        raise CacheUnavailableError

"""Shows all data about a user or an account, as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from pymongo.asynchronous.database import AsyncDatabase

from mylist import __version__
from mylist.cache.clients import address as address_of
from mylist.catalogue.rendering import plain
from mylist.config.settings import Settings
from mylist.domain.errors import CacheUnavailableError
from mylist.domain.timestamps import iso_format
from mylist.http.services import Services
from mylist.mongodb.collections import ADOPTED, USERS
from mylist.mongodb.database import Document
from mylist.seeding.running_service import service_parts
from mylist.support.fenced_services import answers
from mylist.support.kept_documents import BY_USER_ID, Subject, documents_of

_SHOWN = (*BY_USER_ID, ADOPTED, USERS)


@dataclass(frozen=True, slots=True)
class Shown:
    """The data about a subject.

    Attributes:
        json: all data, over several lines.
        problem: why something may be missing, in one line; empty if nothing is.
    """

    json: str
    problem: str


async def show(database: AsyncDatabase[Document], settings: Settings, subject: Subject) -> Shown:
    """Return the data of the collections and Redis about a subject.

    Raises:
        MongoRefusedError, UnavailableError: MongoDB fails.
    """
    users, problem = [], ""
    async with service_parts(settings) as services:
        has_redis = await answers(services)
        for user_id in await subject.users(database):
            cached: Any = None
            try:
                if has_redis:
                    cached = await _cached(services, user_id)
            except CacheUnavailableError:
                has_redis = False
            documents = {name: await documents_of(database, name, user_id) for name in _SHOWN}
            users.append({"user": user_id, "mongodb": _readable(documents), "redis": cached})
    if not has_redis:
        problem = f"Redis at {address_of(settings)} does not answer, so cached lists are not shown"
    shown = {
        **subject.described(),
        "shown": iso_format(datetime.now(UTC)),
        "version": __version__,
        "complete": has_redis,
        "users": users,
    }
    return Shown(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode(), problem)


async def _cached(services: Services, user_id: str) -> dict[str, Any] | None:
    entry = await services.cache.entry(user_id)
    if entry is None:
        return None
    expires_in = None if entry.lifetime_ms is None else entry.lifetime_ms / 1000
    return {"key": entry.key, "holds": entry.holds, "items": entry.items, "expiresInSeconds": expires_in}


def _readable(value: Any) -> Any:  # noqa: ANN401 - a document holds whatever BSON can say
    """Return a value of a document with all its fields, in a form that JSON has."""
    match value:
        case Mapping():
            return {str(name): _readable(each) for name, each in value.items()}
        case list():
            return [_readable(each) for each in value]
        case _:
            return plain(value)

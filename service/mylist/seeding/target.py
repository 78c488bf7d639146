"""The database that a command works on: opened, seen to answer, and its failures put into one line."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

from mylist.errors import StoreUnavailableError
from mylist.settings import Settings
from mylist.store.connection import Document, StoreRefusedError, connect, database_of, reason

_AUTHENTICATION_FAILED = 18


class TargetError(Exception):
    """MongoDB cannot be worked on; the message is one line that says why, where, and what to do."""


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[AsyncDatabase[Document]]:
    """Gives the database that the settings name, for as long as the context lasts.

    Raises:
        TargetError: MongoDB cannot be reached, refuses, or fails in between.
    """
    address = urlsplit(settings.mongodb_uri).netloc.rpartition("@")[2]
    try:
        async with connect(settings) as client:
            await client.admin.command("ping")
            yield database_of(client)
    except StoreRefusedError as error:
        raise TargetError(f"{error} (MongoDB at {address})") from error
    except (ConnectionFailure, StoreUnavailableError) as error:
        raise TargetError(
            f"MongoDB at {address} cannot be reached; start it or set MONGODB_URI (`mylist dev` brings its own)"
        ) from error
    except OperationFailure as error:
        hint = "; check MONGODB_USER and MONGODB_PASSWORD" if error.code == _AUTHENTICATION_FAILED else ""
        raise TargetError(f"MongoDB at {address} refuses: {reason(error)}{hint}") from error
    except PyMongoError as error:
        raise TargetError(f"MongoDB at {address} fails: {str(error).splitlines()[0]}") from error

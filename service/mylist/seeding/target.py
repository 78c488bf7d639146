"""The database that a command works on: opened, seen to answer, and its failures put into one line."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

from mylist.errors import StoreUnavailableError
from mylist.settings import Settings
from mylist.store.connection import Document, StoreRefusedError, connect, database_of, refusal
from mylist.store.connection import address as address_of


class TargetError(Exception):
    """MongoDB cannot be worked on; the message is one line that says why, where, and what to do."""


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[AsyncDatabase[Document]]:
    """Gives the database that the settings name, for as long as the context lasts.

    Raises:
        TargetError: MongoDB cannot be reached, refuses, or fails in between.
    """
    address = address_of(settings)
    try:
        connection = connect(settings)
    except StoreRefusedError as error:
        raise TargetError(str(error)) from error
    try:
        async with connection as client:
            await client.admin.command("ping")
            yield database_of(client)
    except StoreRefusedError as error:
        raise TargetError(f"MongoDB at {address} refuses: {error}") from error
    except (ConnectionFailure, StoreUnavailableError) as error:
        raise TargetError(
            f"MongoDB at {address} cannot be reached; start it or set MONGODB_URI (`mylist dev` brings its own)"
        ) from error
    except OperationFailure as error:
        raise TargetError(f"MongoDB at {address} refuses: {refusal(error)}") from error
    except PyMongoError as error:
        raise TargetError(f"MongoDB at {address} fails: {str(error).splitlines()[0]}") from error

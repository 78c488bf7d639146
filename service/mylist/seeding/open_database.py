"""Opens the database for a command, and reports each failure of MongoDB in one line."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConnectionFailure, OperationFailure

from mylist.config.settings import Settings
from mylist.domain.errors import DatabaseUnavailableError, UnavailableError
from mylist.mongodb.adoption_state import NotAdoptedError, require_adopted
from mylist.mongodb.database import (
    DRIVER_ERRORS,
    Document,
    MongoRefusedError,
    connect,
    database_of,
    reason,
    refusal,
)
from mylist.mongodb.database import address as address_of


class DatabaseError(Exception):
    """MongoDB cannot be used; the message is one line with the address, the cause and the remedy."""


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[AsyncDatabase[Document]]:
    """Connect to the database that the settings name; the context closes the connection.

    Raises:
        DatabaseError: MongoDB is unreachable, rejects the client, or fails within the context.
    """
    address = address_of(settings)
    try:
        connection = connect(settings)
    except MongoRefusedError as error:
        raise DatabaseError(str(error)) from error
    try:
        async with connection as client:
            await client.admin.command("ping")
            yield database_of(client)
    except NotAdoptedError as error:
        raise DatabaseError(str(error)) from error
    except MongoRefusedError as error:
        raise DatabaseError(f"MongoDB at {address} refuses: {error}") from error
    except (ConnectionFailure, DatabaseUnavailableError) as error:
        raise DatabaseError(
            f"MongoDB at {address} cannot be reached; start it, or set MONGODB_URI to one that runs"
        ) from error
    except UnavailableError as error:
        raise DatabaseError(
            f"MongoDB at {address} or Redis failed during the run: {error.message}; run it again"
        ) from error
    except OperationFailure as error:
        raise DatabaseError(f"MongoDB at {address} refuses: {refusal(error)}") from error
    except DRIVER_ERRORS as error:
        raise DatabaseError(
            f"MongoDB at {address} fails: {reason(error)}; look at its log, and run this again"
        ) from error


@asynccontextmanager
async def open_database_to_seed(settings: Settings) -> AsyncIterator[AsyncDatabase[Document]]:
    """Open the database as `open_database` does, unless it has lists of the original service that must be adopted.

    Raises:
        DatabaseError: as `open_database`; or the lists must be adopted first.
    """
    async with open_database(settings) as database:
        await require_adopted(database, address_of(settings))
        yield database

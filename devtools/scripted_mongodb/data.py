"""What the members hold: how commands reach it, and which numbered writes it has had already."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable

from bson.binary import Binary

from devtools.scripted_mongodb.command import Command
from devtools.scripted_mongodb.connections import ServerConnection
from devtools.scripted_mongodb.wire import Request, encode_request

_MAX_REMEMBERED = 10_000


class Data:
    """One history of the data.

    The server behind has retryable writes of its own, but takes a repetition for another write when its `maxTimeMS` is
    another, as drivers with a deadline send it. So numbers stop here.
    """

    def __init__(self) -> None:
        self._numbered: OrderedDict[tuple[Binary, int], asyncio.Task[bytes | None]] = OrderedDict()

    async def ask(self, command: Command, request: Request, server: ServerConnection) -> bytes | None:
        """Have the server do it and return its reply, as the first time if it is a repeated write.

        What has begun ends, also when nobody waits for it any more.

        Raises:
            HangUpError: the server is away.
        """
        if not command.is_numbered:
            return await _to_the_end(server.ask(request.message, wants_reply=request.wants_reply))
        key = command.document["lsid"]["id"], command.document["txnNumber"]
        known = self._numbered.get(key)
        if known is None or (known.done() and (known.cancelled() or known.exception())):
            plain = {name: value for name, value in command.document.items() if name != "txnNumber"}
            message = encode_request(request.number, plain)
            known = self._numbered[key] = asyncio.create_task(server.ask(message, wants_reply=True))
            while len(self._numbered) > _MAX_REMEMBERED:
                self._numbered.popitem(last=False)
        return await asyncio.shield(known)


async def _to_the_end(asking: Awaitable[bytes | None]) -> bytes | None:
    return await asyncio.shield(asyncio.ensure_future(asking))

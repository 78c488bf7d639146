"""The original service, Express on Node.js: its start, and its data in Redis.

It is not a part of this repository; `docs/performance.md` says where it is and how it is built.
"""

import json
import shutil
from pathlib import Path

_PROGRAM = Path("dist") / "server.js"


class OriginalError(Exception):
    """The original service cannot be started; the message is one line."""


def command(folder: Path) -> list[str]:
    """Return the command line of the original service that was built in a folder.

    Raises:
        OriginalError: it was not, or Node.js is not installed.
    """
    program = folder.resolve() / _PROGRAM
    if not program.exists():
        raise OriginalError(f"{folder} has no {_PROGRAM}: build the original service there (npm ci && npm run build)")
    node = shutil.which("node")
    if node is None:
        raise OriginalError("node is not installed, and the original service needs it: apt-get install nodejs")
    return [node, str(program)]


def settings(port: int, mongodb_uri: str, redis_port: int) -> dict[str, str]:
    """Return its environment: as in production, on a MongoDB and on a Redis of this machine."""
    return {
        "NODE_ENV": "production",
        "PORT": str(port),
        "MONGODB_URI": mongodb_uri,
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(redis_port),
    }


def key_of(user: str) -> str:
    """Return the key of a user's first page of 20."""
    return f"mylist:v2:{user}:1:20"


def cached(page: bytes) -> bytes:
    """Return its entry in Redis for a page of this service.

    A title has `_id` there, as in MongoDB. It would have `createdAt` and `updatedAt`, too: less is easier to answer.
    """
    data = json.loads(page)["data"]
    for item in data["items"]:
        item["content"] = {"_id": item["content"].pop("id")} | item["content"]
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def answered(value: bytes) -> bytes:
    """Return its answer from such an entry."""
    return b'{"success":true,"data":' + value + b"}"

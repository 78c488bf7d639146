"""The service's libraries alone: routes that do nothing, and one that gets a key from Redis by plain redis-py.

python -m bench.baseline PORT REDIS_URL
"""

import sys

from redis.asyncio import Redis
from sanic import HTTPResponse, Request, Sanic

_BODY = b'{"status":"ok"}'
_BACKLOG = 2048
"""As the service has it: with Sanic's 100, a hundred of 256 connections wait a second until they are accepted."""
_PAGE = b'{"page":"' + b"." * 10_700 + b'"}'  # as long as a page of 20


def main(port: int, redis_url: str) -> None:
    """Serve until SIGTERM."""
    app = Sanic("baseline", configure_logging=False)
    app.config.ACCESS_LOG = False
    app.config.AUTO_EXTEND = False

    @app.before_server_start
    async def connect(app: Sanic) -> None:  # type: ignore[type-arg]
        app.ctx.redis = Redis.from_url(redis_url)

    @app.get("/empty")
    async def empty(_: Request) -> HTTPResponse:
        return HTTPResponse(_BODY, content_type="application/json")

    @app.get("/fixed")
    async def fixed(_: Request) -> HTTPResponse:
        return HTTPResponse(_PAGE, content_type="application/json")

    @app.get("/redis")
    async def redis(request: Request) -> HTTPResponse:
        held = await request.app.ctx.redis.get(f"mylist:{{{request.headers['user-id']}}}")
        return HTTPResponse(held, content_type="application/octet-stream")

    @app.post("/v1/traces")
    async def collect(_: Request) -> HTTPResponse:
        # The collector of the services that trace: it takes what they send and does nothing with it.
        return HTTPResponse(b"", content_type="application/x-protobuf")

    app.prepare(host="127.0.0.1", port=port, single_process=True, motd=False, access_log=False, backlog=_BACKLOG)
    Sanic.serve_single(app)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])

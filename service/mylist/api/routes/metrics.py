"""The route that Prometheus scrapes. It is not part of the API and not in the OpenAPI document."""

from prometheus_client.exposition import choose_encoder
from sanic import HTTPResponse

from mylist.http.request import ApiRequest
from mylist.telemetry import metrics


async def expose(request: ApiRequest) -> HTTPResponse:
    """Return every metric, in the format that the scraper asks for."""
    try:
        encode, content_type = choose_encoder(request.headers.getone("accept", ""))
    except (TypeError, ValueError):  # a malformed version
        encode, content_type = choose_encoder("")
    return HTTPResponse(
        encode(metrics.REGISTRY),
        content_type=content_type,
        headers={"x-request-id": request.id, "cache-control": "no-store", "x-content-type-options": "nosniff"},
    )

"""The route that Prometheus scrapes. It is neither part of the API nor in the OpenAPI document."""

from collections.abc import Iterator

from prometheus_client import generate_latest as text_of
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics_of
from sanic import HTTPResponse

from mylist.domain.etags import etag_of, names_etag_or_star
from mylist.http.request import ApiRequest
from mylist.telemetry import metrics

# The version of every answer, even if the scraper requests another version.
_OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


async def expose(request: ApiRequest) -> HTTPResponse:
    """Return every metric, in the format that the scraper asks for."""
    is_openmetrics = prefers_openmetrics(_header(request, "accept"))
    body = openmetrics_of(metrics.REGISTRY) if is_openmetrics else text_of(metrics.REGISTRY)  # type: ignore[no-untyped-call]
    etag = etag_of(body)
    headers = {
        "x-request-id": request.id,
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "vary": "Accept",
        "etag": etag,
    }
    if names_etag_or_star(_header(request, "if-none-match"), etag):
        return HTTPResponse(status=304, headers=headers)
    return HTTPResponse(body, content_type=_OPENMETRICS if is_openmetrics else _TEXT, headers=headers)


def prefers_openmetrics(accept: str) -> bool:
    """Return whether an `Accept` header names OpenMetrics with at least the weight of plain text.

    The weight of plain text is that of the most specific range that includes it (RFC 9110, section 12.5.1).
    """
    weights: dict[str, float] = {}
    for media_type, weight in _ranges(accept):
        weights[media_type] = max(weight, weights.get(media_type, 0))
    text = next((weights[each] for each in ("text/plain", "text/*", "*/*") if each in weights), 0)
    openmetrics = weights.get("application/openmetrics-text", 0)
    return openmetrics > 0 and openmetrics >= text


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    """Yield the media types of an `Accept` header, each with its weight: 0 if it is refused or malformed."""
    for media_range in accept.split(","):
        media_type, *parameters = (part.strip().lower() for part in media_range.split(";"))
        weight = next((each.partition("=")[2].strip() for each in parameters if each.startswith("q=")), "1")
        try:
            yield media_type, min(max(float(weight), 0), 1)
        except ValueError:
            yield media_type, 0


def _header(request: ApiRequest, name: str) -> str:
    return ", ".join(request.headers.getall(name, ()))

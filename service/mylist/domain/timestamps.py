"""Timestamps: milliseconds since 1970 UTC inside the service, ISO 8601 outside."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def now_ms() -> int:
    """Return the current time by this machine's clock, in milliseconds since 1970 UTC."""
    return to_milliseconds(datetime.now(UTC))


def to_milliseconds(moment: datetime) -> int:
    """Return a timezone-aware `datetime` as whole milliseconds since 1970 UTC."""
    return (moment - UNIX_EPOCH) // _MILLISECOND


def to_datetime(milliseconds: int) -> datetime:
    """Return milliseconds since 1970 UTC as a timezone-aware `datetime` in UTC."""
    return UNIX_EPOCH + milliseconds * _MILLISECOND


def iso_format(moment: datetime) -> str:
    """Return a UTC `datetime` as the API writes it: `2024-01-20T10:30:00.000Z`."""
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def iso_format_milliseconds(milliseconds: int) -> bytes:
    """Return milliseconds since 1970 UTC as the API writes them."""
    hours, seconds, rest = split_moment(milliseconds)
    return hour_text(hours) + SECONDS[seconds] + MILLISECONDS[rest]


def split_moment(milliseconds: int) -> tuple[int, int, int]:
    """Split milliseconds since 1970 UTC into whole hours since then, and seconds and milliseconds within them."""
    seconds, rest = divmod(milliseconds, 1000)
    return *divmod(seconds, 3600), rest


def join_moment(hours: int, seconds: int, milliseconds: int) -> int:
    """Return the moment of split parts, in milliseconds since 1970 UTC."""
    return (hours * 3600 + seconds) * 1000 + milliseconds


def iso_columns(
    hours: Iterable[int], seconds: Iterable[int], milliseconds: Iterable[int]
) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Return moments as the API writes them, given as the three columns of their split parts.

    It only joins ready-made texts. A conversion through `datetime` takes thirty times as long, a conversion from
    integer milliseconds seven times as long.
    """
    known = HOURS
    try:
        texts = [known[hour] for hour in hours]
    except KeyError:
        texts = list(map(hour_text, hours))
    return texts, [SECONDS[second] for second in seconds], [MILLISECONDS[each] for each in milliseconds]


def hour_text(hours: int) -> bytes:
    """Return the text of a moment up to its hour, `2024-01-20T10:`, and keep it in `HOURS`."""
    text = HOURS.get(hours)
    if text is None:
        if len(HOURS) >= _MAX_HOURS:
            HOURS.clear()
        text = HOURS[hours] = (UNIX_EPOCH + timedelta(hours=hours)).isoformat()[: len("2024-01-20T10:")].encode()
    return text


HOURS: dict[int, bytes] = {}
"""Hours since 1970 as text, each created at its first use."""
_MAX_HOURS = 20_000
"""Hours: more than two years, in 1.5 MB of memory."""
SECONDS = [b"%02d:%02d." % divmod(second, 60) for second in range(3600)]
MILLISECONDS = [b"%03dZ" % millisecond for millisecond in range(1000)]

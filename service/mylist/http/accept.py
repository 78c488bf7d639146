"""Chooses the media type that a client prefers (RFC 9110, section 12.5.1)."""

import re
from collections.abc import Sequence
from functools import lru_cache

_WEIGHT = re.compile(r"\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*", re.ASCII | re.IGNORECASE)


@lru_cache(maxsize=256)
def preferred(accept: str, offered: Sequence[str]) -> str:
    """Return the media type that an `Accept` header prefers.

    Among types of equal weight, one that the header names wins; else the first type. A client that accepts no offered
    type also gets the first type, because it may be able to read it.

    Args:
        accept: the header, its lines joined by commas; empty without one.
        offered: the media types, the usual one first.
    """
    ranges: dict[str, float] = {}
    for each in accept.lower().split(","):
        name, *parameters = each.split(";")
        weights = [match for parameter in parameters if (match := _WEIGHT.fullmatch(parameter))]
        ranges[name.strip()] = float(weights[0][1]) if weights else 1.0

    def weight(media_type: str) -> tuple[float, int]:
        kind = media_type.partition("/")[0]
        for rank, name in enumerate((media_type, f"{kind}/*", "*/*")):
            if name in ranges:
                return ranges[name], -rank
        return 0.0, -3

    best = max(offered, key=weight)
    return best if weight(best)[0] > 0 else offered[0]

"""The figures of the service's processes at `/metrics`."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from loadtests.histogram import Histogram, RestartedError, Route, Scrape, between, read

_TIMEOUT_S = 5.0
_MIN_SHARE = 0.9
"""Of the requests that Locust sent: if the service counted fewer, some of its processes were not asked."""
_DNS_PREFIX = "dns+"
"""Prefix of a URL whose name has an address for each replica, like that of a headless Service."""
_opener = build_opener(ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Counted:
    """The service's counts in the window, or a remark that explains why they are unknown."""

    by_route: dict[Route, Histogram]
    remark: str = ""


class Scrapes:
    """The two ends of a window, at every address given; without one there is nothing to compare with.

    Replicas behind a name of many may come and go. One that came was sent nothing before the window, so all that it
    counted belongs to it; one that went took along what it counted.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = urls
        self._before: dict[str, dict[str, Scrape]] = {}
        self._failed = ""

    def begin(self) -> None:
        """Scrape at the start of the window."""
        for url in self._urls:
            try:
                self._before[url] = {address: _scrape(address) for address in _addresses(url)}
            except (OSError, ValueError) as error:
                self._failed = f"{url}: {error}"

    def end(self, requests: int) -> Counted:
        """Scrape at its end, by when Locust has sent so many requests."""
        if not self._urls:
            return Counted({}, "not compared with the service's own histogram, because of --without-metrics")
        pairs: list[tuple[Scrape, Scrape]] = []
        gone = 0
        for url, before in self._before.items():
            try:
                found = _pairs_of_many(url, before) if url.startswith(_DNS_PREFIX) else [(before[url], _scrape(url))]
            except (OSError, ValueError) as error:
                self._failed = f"{url}: {error}"
                break
            pairs += found
            gone += len(before) - sum(earlier in before.values() for earlier, _ in found)
        if self._failed:
            return Counted({}, f"not compared with the service's own histogram: {self._failed}")
        try:
            by_route = between([earlier for earlier, _ in pairs], [later for _, later in pairs])
        except RestartedError:
            return Counted(
                {},
                "not compared with the service's own histogram: an address did not lead to the same process twice; "
                "name every replica by its own --metrics",
            )
        return Counted(by_route, _remark(by_route, requests, gone))


def _pairs_of_many(url: str, before: dict[str, Scrape]) -> list[tuple[Scrape, Scrape]]:
    """Scrape the current replicas, each paired with its previous counts."""
    pairs = []
    for address in _addresses(url):
        try:
            later = _scrape(address)
        except OSError:  # it goes, and the name has not yet lost it
            continue
        earlier = before.get(address)
        if earlier is None or earlier.started != later.started:
            earlier = Scrape(later.started, {})
        pairs.append((earlier, later))
    return pairs


def _remark(by_route: dict[Route, Histogram], requests: int, gone: int) -> str:
    counted = sum(histogram.count for (_, route), histogram in by_route.items() if route.startswith("/api/"))
    few = f"the service counted {counted:,.0f} of {requests:,} requests"
    if gone:
        return f"{few}: the counts of replicas that ended meanwhile ({gone}) are lost"
    return f"{few}: name every replica by its own --metrics" if counted < _MIN_SHARE * requests else ""


def _addresses(url: str) -> list[str]:
    """Return the URLs to ask: for a name of many one for each of its addresses."""
    if not url.startswith(_DNS_PREFIX):
        return [url]
    parts = urlsplit(url.removeprefix(_DNS_PREFIX))
    port = parts.port or 80
    found = [str(address[0]) for *_, address in socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)]
    hosts = [f"[{host}]" if ":" in host else host for host in dict.fromkeys(found)]
    return [parts._replace(netloc=f"{host}:{port}").geturl() for host in hosts]


def _scrape(url: str) -> Scrape:
    with _opener.open(url, timeout=_TIMEOUT_S) as answer:
        return read(answer.read().decode())

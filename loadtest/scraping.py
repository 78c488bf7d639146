"""What the service's processes say at `/metrics`."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.request import ProxyHandler, build_opener

from loadtest.histogram import Histogram, RestartedError, Route, Scrape, between, read

_TIMEOUT = 5.0
_LEAST_SHARE = 0.9
"""Of the requests that Locust sent: if the service counted fewer, some of its processes were not asked."""
_opener = build_opener(ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Counted:
    """What the service counted in the window, or, as far as that is not known, a remark that says why."""

    by_route: dict[Route, Histogram]
    remark: str = ""


class Scrapes:
    """The two ends of a window, at every address given; without one there is nothing to compare with."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = urls
        self._before: list[Scrape] = []
        self._failed = ""

    def begin(self) -> None:
        """Scrapes at the start of the window."""
        self._before = self._scrape()

    def end(self, requests: int) -> Counted:
        """Scrapes at its end, by when Locust has sent so many requests."""
        after = self._scrape()
        if not self._urls:
            return Counted({}, "not compared with the service's own histogram, as was asked for")
        if self._failed:
            return Counted({}, f"not compared with the service's own histogram: {self._failed}")
        try:
            by_route = between(self._before, after)
        except RestartedError:
            return Counted(
                {},
                "not compared with the service's own histogram: an address did not lead to the same process twice; "
                "name every replica by its own --metrics",
            )
        counted = sum(histogram.count for (_, route), histogram in by_route.items() if route.startswith("/api/"))
        if counted < _LEAST_SHARE * requests:
            return Counted(
                by_route,
                f"the service counted {counted:,.0f} of {requests:,} requests: name every replica by its own --metrics",
            )
        return Counted(by_route)

    def _scrape(self) -> list[Scrape]:
        scrapes = []
        for url in self._urls:
            try:
                with _opener.open(url, timeout=_TIMEOUT) as answer:
                    scrapes.append(read(answer.read().decode()))
            except (OSError, ValueError) as error:
                self._failed = f"{url}: {error}"
        return scrapes

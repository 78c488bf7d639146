"""What there is to run: how many users, for how long, by which load profile. What they do stands in `users`."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from loadtests.load_profiles import LoadProfile, ramp, spike, steady


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario.

    Attributes:
        name: by which it is chosen.
        users: how many of Locust's users there are at most, each with a connection of its own.
        seconds: how long it is measured unless told otherwise.
        profile: how many of the users there are when.
        purpose: what it shows.
    """

    name: str
    users: int
    seconds: int
    profile: LoadProfile
    purpose: str


SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        scenario.name: scenario
        for scenario in (
            Scenario("cached-latency", 450, 60, steady, "open the app and read page 1: the documented promise"),
            Scenario("browse", 60, 60, steady, "leaf through the list, count it"),
            Scenario("mixed", 60, 60, steady, "what people do: 95 % reads, 5 % writes"),
            Scenario("spike", 250, 60, spike, "everybody opens the app at once, five times as many as before"),
            Scenario("ramp", 100, 100, ramp, "what people do, by more and more of them"),
            Scenario("soak", 60, 1800, steady, "what people do, for long"),
        )
    }
)

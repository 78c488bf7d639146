"""What there is to run: how many users, for how long, in which shape. What they do stands in `scenarios`."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from loadtests.shapes import Shape, ramp, spike, steady


@dataclass(frozen=True, slots=True)
class Plan:
    """One scenario.

    Attributes:
        name: by which it is chosen.
        users: how many of Locust's users there are at most, each with a connection of its own.
        seconds: how long it is measured unless told otherwise.
        shape: how many of the users there are when.
        purpose: what it shows.
    """

    name: str
    users: int
    seconds: int
    shape: Shape
    purpose: str


PLANS: Mapping[str, Plan] = MappingProxyType(
    {
        plan.name: plan
        for plan in (
            Plan("cached-latency", 150, 60, steady, "open the app and read page 1: the documented promise"),
            Plan("browse", 60, 60, steady, "leaf through the list, count it"),
            Plan("mixed", 60, 60, steady, "what people do: 95 % reads, 5 % writes"),
            Plan("spike", 250, 60, spike, "everybody opens the app at once, five times as many as before"),
            Plan("ramp", 100, 100, ramp, "what people do, by more and more of them"),
            Plan("soak", 60, 1800, steady, "what people do, for long"),
        )
    }
)

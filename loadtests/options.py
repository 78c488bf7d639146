"""The options of the load test, beside Locust's own. The workers get them from their master."""

import argparse

from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from loadtests.scenarios import SCENARIOS


def add_options(parser: LocustArgumentParser) -> None:
    """Add them; each may be set by an environment variable, too."""
    parser.add_argument(
        "--scenario",
        choices=list(SCENARIOS),
        default="cached-latency",
        env_var="LOADTEST_SCENARIO",
        help="What to run. --users and --run-time are the scenario's own unless they are given.",
    )
    parser.add_argument(
        "--people",
        type=int,
        default=10_000,
        env_var="LOADTEST_PEOPLE",
        help="How many users the service's MongoDB was filled with.",
    )
    parser.add_argument(
        "--titles", type=int, default=5000, env_var="LOADTEST_TITLES", help="And how many movies and shows."
    )
    parser.add_argument(
        "--warm-up",
        type=float,
        default=5.0,
        env_var="LOADTEST_WARM_UP",
        help="Seconds of load before the ones that are measured.",
    )
    parser.add_argument(
        "--metrics",
        action="append",
        default=[],
        env_var="LOADTEST_METRICS",
        metavar="URL",
        help="Metrics of one replica of the service; given for each of them. HOST/metrics unless given. "
        "dns+URL stands for every address that the name in it has.",
    )
    parser.add_argument(
        "--without-metrics",
        action="store_true",
        env_var="LOADTEST_WITHOUT_METRICS",
        help="Do not compare with what the service measures.",
    )
    parser.add_argument(
        "--leeway",
        type=float,
        default=1.0,
        env_var="LOADTEST_LEEWAY",
        metavar="FACTOR",
        help="So many times the latencies of the thresholds may pass, on a machine that does other things, too.",
    )
    parser.add_argument(
        "--autoscaler",
        default="",
        env_var="LOADTEST_AUTOSCALER",
        metavar="NAME",
        help="HorizontalPodAutoscaler whose replicas are told of; read from the Kubernetes API, so in a pod alone.",
    )
    parser.add_argument(
        "--reconnect",
        type=float,
        default=0.0,
        env_var="LOADTEST_RECONNECT",
        metavar="S",
        help="Seconds until a user opens another connection, by which load gets to replicas that are new; 0 for never.",
    )
    parser.add_argument(
        "--figures",
        default="",
        env_var="LOADTEST_FIGURES",
        metavar="FILE",
        help="Where to write the verdict as JSON; - prints it, in one line.",
    )


def options_of(environment: Environment) -> argparse.Namespace:
    """Return all options of a run."""
    options = environment.parsed_options
    assert isinstance(options, argparse.Namespace)  # noqa: S101 - Locust has them whenever it runs as a program
    return options

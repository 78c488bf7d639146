"""The packages that the samples of py-spy count for."""

import sysconfig

import pytest

from bench.processor_shares import EVENT_LOOP, OTHER, STANDARD_LIBRARY, shares_of

PACKAGES = "/home/me/.venv/lib/python3.13/site-packages"
STANDARD = sysconfig.get_path("stdlib")
START = "<module> (/home/me/service/mylist/__main__.py)"


@pytest.mark.parametrize(
    ("stack", "package"),
    [
        (f"{START};find (/usr/lib/python3/dist-packages/pymongo/collection.py)", "PyMongo"),
        (f"find ({PACKAGES}/pymongo/collection.py);decode ({PACKAGES}/bson/__init__.py)", "PyMongo"),
        (f"handle ({PACKAGES}/sanic/app.py);items (/home/me/service/mylist/http/items.py)", "this service"),
        (f"items ({PACKAGES}/mylist/http/items.py)", "this service"),
        (f"end ({PACKAGES}/opentelemetry/sdk/trace/__init__.py)", "OpenTelemetry"),
        (f"run ({STANDARD}/asyncio/runners.py)", EVENT_LOOP),
        (f"{START};loads ({STANDARD}/json/decoder.py:12)", STANDARD_LIBRARY),
        (f"{START};compile ({STANDARD}/re.py)", STANDARD_LIBRARY),
        (f"<module> ({PACKAGES}/sanic/app.py);_find_and_load (<frozen importlib._bootstrap>)", "Sanic"),
        ("_find_and_load (<frozen importlib._bootstrap>)", OTHER),
        (f"encode ({PACKAGES}/msgspec/json.py)", OTHER),
        (f"<module> ({PACKAGES}/six.py)", OTHER),
        ("a frame without a file", OTHER),
    ],
)
def test_a_sample_counts_for_the_package_of_the_innermost_function(stack: str, package: str) -> None:
    assert shares_of(f"{stack} 3\n") == {package: 1}


def test_shares_are_of_all_samples_and_the_largest_comes_first() -> None:
    sanic, redis = f"a ({PACKAGES}/sanic/app.py)", f"b ({PACKAGES}/redis/client.py)"
    stacks = f"{sanic} 1\n{sanic};{redis} 2\n{START} 5\n"

    assert list(shares_of(stacks).items()) == [("this service", 0.625), ("redis-py", 0.25), ("Sanic", 0.125)]

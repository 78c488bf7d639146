"""The packages that the samples of py-spy count for."""

import pytest

from bench.processor_shares import EVENT_LOOP, OTHER, STANDARD_LIBRARY, shares_of


@pytest.mark.parametrize(
    ("stack", "package"),
    [
        ("<module> (mylist/__main__.py);find (pymongo/collection.py)", "PyMongo"),
        ("find (pymongo/collection.py);decode (bson/__init__.py)", "PyMongo"),
        ("handle_request (sanic/app.py);items (mylist/http/items.py)", "this service"),
        ("run (asyncio/runners.py)", EVENT_LOOP),
        ("<module> (mylist/__main__.py);loads (json/decoder.py)", STANDARD_LIBRARY),
        ("<module> (mylist/__main__.py);compile (re.py)", STANDARD_LIBRARY),
        ("<module> (sanic/app.py);_find_and_load (<frozen importlib._bootstrap>)", "Sanic"),
        ("_find_and_load (<frozen importlib._bootstrap>)", OTHER),
        ("encode (msgspec/json.py)", OTHER),
        ("a frame without a file", OTHER),
    ],
)
def test_a_sample_counts_for_the_package_of_the_innermost_function(stack: str, package: str) -> None:
    assert shares_of(f"{stack} 3\n") == {package: 1}


def test_shares_are_of_all_samples_and_the_largest_comes_first() -> None:
    stacks = "a (sanic/app.py) 1\na (sanic/app.py);b (redis/client.py) 2\nc (mylist/app.py) 5\n"

    assert list(shares_of(stacks).items()) == [("this service", 0.625), ("redis-py", 0.25), ("Sanic", 0.125)]

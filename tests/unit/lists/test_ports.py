"""The ports, and their implementations in the service and in the tests."""

import inspect

import pytest

from mylist.cache.list_cache import ListCache as RedisListCache
from mylist.catalogue.catalogue import Catalogue as KeptCatalogue
from mylist.lists.ports import Catalogue, ListCache, ListStore
from mylist.mongodb.lists import ListStore as MongoListStore
from tests.unit.fakes import FakeCatalogue, FakeListCache, FakeListStore


def _checked_by_mypy(
    stores: tuple[MongoListStore, FakeListStore],
    caches: tuple[RedisListCache, FakeListCache],
    catalogues: tuple[KeptCatalogue, FakeCatalogue],
) -> tuple[tuple[ListStore, ...], tuple[ListCache, ...], tuple[Catalogue, ...]]:
    return stores, caches, catalogues


@pytest.mark.parametrize(
    ("port", "implementation"),
    [
        (ListStore, MongoListStore),
        (ListStore, FakeListStore),
        (ListCache, RedisListCache),
        (ListCache, FakeListCache),
        (Catalogue, KeptCatalogue),
        (Catalogue, FakeCatalogue),
    ],
)
def test_each_method_of_an_implementation_has_the_parameters_of_its_port(port: type, implementation: type) -> None:
    names = [name for name, each in vars(port).items() if inspect.isfunction(each) and not name.startswith("_")]
    assert names
    for name in names:
        assert _parameters(implementation, name) == _parameters(port, name)


def _parameters(of: type, name: str) -> list[tuple[str, object, object]]:
    parameters = inspect.signature(inspect.unwrap(getattr(of, name))).parameters.values()
    return [(each.name, each.kind, each.default) for each in parameters]

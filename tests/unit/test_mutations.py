"""That the list of mutations fits the project: whoever changes a line of it changes the mutation as well."""

import pytest

from devtools.mutations import ROOT, ListError, Mutation, mutations

ANY = {"name": "a", "file": "Makefile", "test": "tests/unit", "tier": "fast"}


@pytest.mark.parametrize("mutation", mutations(), ids=lambda mutation: mutation.name)
def test_each_can_be_applied_and_has_its_test(mutation: Mutation) -> None:
    test, _, name = mutation.test.partition("::")

    assert mutation.applied((ROOT / mutation.file).read_text())
    assert name.rpartition("::")[2].partition("[")[0] in (ROOT / test).read_text()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("one", "two", "a: the old text stands 0 times in Makefile"),
        ("b", "c", "a: the old text stands 2 times in Makefile"),
        ("a\nb", "c\nd", "a does not change one line"),
        ("a", "a\nb", "a does not change one line"),
        ("a", "a", "a does not change one line"),
    ],
)
def test_one_that_cannot_be_applied_says_why(old: str, new: str, message: str) -> None:
    with pytest.raises(ListError) as refused:
        Mutation(old=old, new=new, **ANY).applied("a\nb\nb\n")  # type: ignore[arg-type]
    assert str(refused.value) == message

"""The list of mutations fits the project: a change of a quoted line must change the list as well."""

import re

import pytest

from devtools.mutations import ROOT, ListError, Mutation, mutations

ANY = {"name": "a", "file": "Makefile", "test": "tests/unit", "tier": "fast"}


@pytest.mark.parametrize("mutation", mutations(), ids=lambda mutation: mutation.name)
def test_each_mutation_can_be_applied_and_its_test_exists(mutation: Mutation) -> None:
    file, *names = mutation.test.partition("[")[0].split("::")
    source = (ROOT / file).read_text()
    defined = re.findall(r"^ *(?:class|def|async def) (\w+)", source, re.MULTILINE)

    assert mutation.applied((ROOT / mutation.file).read_text())
    assert names
    assert set(names) <= set(defined)


def test_a_mutation_is_fast_exactly_if_its_test_is_a_unit_test() -> None:
    assert [each.name for each in mutations() if (each.tier == "fast") != each.test.startswith("tests/unit/")] == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("one", "two", "a: Makefile has the old text 0 times"),
        ("b", "c", "a: Makefile has the old text 2 times"),
        ("a\nb", "c\nd", "a does not change one line"),
        ("a", "a\nb", "a does not change one line"),
        ("a", "a", "a does not change one line"),
    ],
)
def test_a_mutation_that_cannot_be_applied_says_why(old: str, new: str, message: str) -> None:
    with pytest.raises(ListError) as refused:
        Mutation(old=old, new=new, **ANY).applied("a\nb\nb\n")  # type: ignore[arg-type]
    assert str(refused.value) == message

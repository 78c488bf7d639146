"""The conditions of a change: the preconditions of RFC 9110, and confirmation."""

import pytest

from mylist.domain.conditions import UNCONDITIONAL, Conditions
from mylist.domain.errors import ConfirmationRequiredError, PreconditionFailedError

ETAG = '"0123456789abcdef"'
OTHER = '"fedcba9876543210"'


def holds(conditions: Conditions, *, exists: bool = True) -> bool:
    try:
        conditions.require(ETAG, exists=exists)
    except PreconditionFailedError:
        return False
    return True


@pytest.mark.parametrize(
    "header",
    [
        ETAG,
        f"{OTHER}, {ETAG}",
        f" {ETAG} ,{OTHER}",
        f"W/{ETAG}",
        *(
            f'{ETAG[:-1]}{suffix}"'
            for suffix in ("-gzip", "-br", "-zstd", ";gzip", "--gzip", ":zstd", "+br", "-deflate", "-x-gzip", "-GZIP")
        ),
        f'W/{ETAG[:-1]}-gzip"',
    ],
)
def test_the_etag_of_the_list_matches_even_if_a_proxy_modified_it(header: str) -> None:
    assert holds(Conditions(if_match=header))
    assert not holds(Conditions(if_none_match=header))


@pytest.mark.parametrize(
    "header",
    [
        "",
        OTHER,
        ETAG.strip('"'),
        "nonsense",
        f"w/{ETAG}",
        f'{ETAG[:-1]}-gzip2"',
        f'{ETAG[:-1]}0"',
        f'{ETAG[:-1]}gzip"',
        "W/*",
    ],
)
def test_another_etag_does_not_match(header: str) -> None:
    assert not holds(Conditions(if_match=header))
    assert holds(Conditions(if_none_match=header))


@pytest.mark.parametrize("exists", [True, False])
def test_a_star_matches_whatever_exists(*, exists: bool) -> None:
    assert holds(Conditions(if_match="*"), exists=exists) == exists
    assert holds(Conditions(if_match=" * "), exists=exists) == exists
    assert holds(Conditions(if_none_match="*"), exists=exists) != exists
    assert holds(Conditions(if_none_match=f"{OTHER}, *"), exists=exists) != exists


def test_a_star_among_the_etags_of_if_match_does_not_match() -> None:
    assert not holds(Conditions(if_match=f"{OTHER}, *"))


def test_if_match_and_if_none_match_must_both_be_true() -> None:
    assert holds(Conditions(if_match=ETAG, if_none_match=OTHER))
    assert not holds(Conditions(if_match=ETAG, if_none_match=ETAG))
    assert not holds(Conditions(if_match=OTHER, if_none_match=OTHER))


def test_without_conditions_every_list_is_accepted() -> None:
    assert holds(UNCONDITIONAL)
    assert holds(UNCONDITIONAL, exists=False)
    assert not UNCONDITIONAL.are_of_list


@pytest.mark.parametrize(
    "conditions", [Conditions(is_confirmed=True), Conditions(if_match=ETAG), Conditions(if_match="")]
)
def test_confirm_and_if_match_are_confirmations(conditions: Conditions) -> None:
    conditions.require_consent("")


@pytest.mark.parametrize(
    "conditions",
    [UNCONDITIONAL, Conditions(if_none_match=OTHER), Conditions(if_match="*"), Conditions(if_match=" *\t")],
)
def test_if_none_match_and_if_match_star_are_not_confirmations(conditions: Conditions) -> None:
    with pytest.raises(ConfirmationRequiredError, match=r"^All would go: send If-Match with the ETag"):
        conditions.require_consent("All would go")

"""The conditions of a change: preconditions of RFC 9110, and consent."""

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
def test_the_etag_of_the_list_is_named_however_a_proxy_marks_it(header: str) -> None:
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
def test_another_etag_is_another(header: str) -> None:
    assert not holds(Conditions(if_match=header))
    assert holds(Conditions(if_none_match=header))


@pytest.mark.parametrize("exists", [True, False])
def test_a_star_is_whatever_there_is(*, exists: bool) -> None:
    assert holds(Conditions(if_match="*"), exists=exists) == exists
    assert holds(Conditions(if_match=" * "), exists=exists) == exists
    assert holds(Conditions(if_none_match="*"), exists=exists) != exists
    assert holds(Conditions(if_none_match=f"{OTHER}, *"), exists=exists) != exists


def test_a_star_among_etags_is_no_consent() -> None:
    assert not holds(Conditions(if_match=f"{OTHER}, *"))


def test_both_have_to_be_true() -> None:
    assert holds(Conditions(if_match=ETAG, if_none_match=OTHER))
    assert not holds(Conditions(if_match=ETAG, if_none_match=ETAG))
    assert not holds(Conditions(if_match=OTHER, if_none_match=OTHER))


def test_without_any_every_list_will_do() -> None:
    assert holds(UNCONDITIONAL)
    assert holds(UNCONDITIONAL, exists=False)
    assert not UNCONDITIONAL.are_of_list


@pytest.mark.parametrize(
    "conditions", [Conditions(is_confirmed=True), Conditions(if_match=ETAG), Conditions(if_match="")]
)
def test_consent_is_a_word_or_the_name_of_the_list(conditions: Conditions) -> None:
    conditions.require_consent("")


@pytest.mark.parametrize(
    "conditions",
    [UNCONDITIONAL, Conditions(if_none_match=OTHER), Conditions(if_match="*"), Conditions(if_match=" *\t")],
)
def test_nothing_else_is_consent(conditions: Conditions) -> None:
    with pytest.raises(ConfirmationRequiredError, match=r"^All would go: send If-Match with the ETag"):
        conditions.require_consent("All would go")

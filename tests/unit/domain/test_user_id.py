"""User ids, and the accounts that they belong to."""

import pytest

from mylist.domain.user_id import USER_ID, account_of, profiles_of


@pytest.mark.parametrize(
    ("user_id", "account"),
    [("ada", "ada"), ("ada/kids", "ada"), ("ada/a/b", "ada"), ("ada/", "ada"), ("/kids", "/kids"), ("a.b-c", "a.b-c")],
)
def test_an_account_ends_at_the_first_slash(user_id: str, account: str) -> None:
    assert account_of(user_id) == account


@pytest.mark.parametrize("profile", ["ada/kids", "ada/", "ada/~~", "ada/+", "ada/a/b", "ada/" + "z" * 124])
def test_a_profile_is_in_the_range_of_its_account(profile: str) -> None:
    assert USER_ID.fullmatch(profile)
    first, end = profiles_of("ada")
    assert first <= profile < end


@pytest.mark.parametrize("other", ["ada", "ada.kids", "ada0", "ada-kids", "ada+kids", "adam/kids", "ad", "Ada/kids"])
def test_any_other_user_id_is_outside_the_range_of_an_account(other: str) -> None:
    first, end = profiles_of("ada")
    assert not first <= other < end

"""Which titles count as the same, and which spellings a catalogue may use for a title."""

import pytest

from mylist.domain.articles import Language
from mylist.list_files.title_key import spellings, title_key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The Matrix", "matrix"),
        ("Matrix, The", "The Matrix"),
        ("Amélie", "AMELIE"),
        ("Spider-Man: No Way Home", "Spider Man No Way Home"),
        ("Spider-Man", "Spiderman"),
        ("WALL·E", "WALL-E"),
        ("Dark & Light", "Dark and Light"),
        ("Æon Flux", "Aeon Flux"),
        ("Straße", "STRASSE"),
        ("Schindler\N{RIGHT SINGLE QUOTATION MARK}s List", "Schindler's List"),
        ("\N{LATIN SMALL LETTER E}\N{COMBINING ACUTE ACCENT}t\N{LATIN SMALL LETTER E WITH ACUTE}", "Été"),
        ("Alien\N{SUPERSCRIPT THREE}", "Alien3"),
        ("\N{FULLWIDTH LATIN CAPITAL LETTER A}I", "AI"),
        ("The", "the"),
    ],
)
def test_spellings_of_one_title_have_the_same_key(one: str, other: str) -> None:
    assert title_key(one, "en") == title_key(other, "en")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Alien", "Aliens"),
        ("???", "!!!"),
        ("Toy Story 2", "Toy Story 3"),
        ("Die Hard", "Hard"),
        ("A", "The"),
    ],
)
def test_different_titles_have_different_keys(one: str, other: str) -> None:
    assert title_key(one, "en") != title_key(other, "en")


@pytest.mark.parametrize(("language", "is_same"), [("de", True), ("en", False), ("none", False)])
def test_only_articles_of_the_language_of_the_catalogue_are_ignored(language: Language, *, is_same: bool) -> None:
    assert (title_key("Der Pate", language) == title_key("Pate", language)) == is_same


@pytest.mark.parametrize("apostrophe", ["'", "\N{RIGHT SINGLE QUOTATION MARK}", "\N{MODIFIER LETTER APOSTROPHE}"])
def test_an_article_may_have_any_apostrophe(apostrophe: str) -> None:
    for title in (f"L{apostrophe}Atalante", f"Atalante, L{apostrophe}"):
        assert title_key(title, "fr") == title_key("Atalante", "fr")


def test_the_spellings_of_a_title_include_it_with_and_without_an_article() -> None:
    assert {"The Matrix", "Matrix", "a Matrix"} <= set(spellings("The Matrix", "en"))
    assert {"Matrix, The", "Matrix", "the Matrix"} <= set(spellings("Matrix, The", "en"))
    assert {"Dark AND Light", "Dark & Light"} <= set(spellings("Dark AND Light", "en"))
    assert len(spellings("x & y and z", "it")) < 16

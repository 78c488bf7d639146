"""The keys by which lists are sorted and filtered, from documents with any content."""

from datetime import UTC, datetime
from typing import Any

import pytest

from mylist.catalogue.sort_keys import genres_of, released_at, title_of
from mylist.domain.articles import ARTICLES, Language


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, ()),
        ({"genres": None}, ()),
        ({"genres": "Drama"}, ()),
        ({"genres": {"a": "Drama"}}, ()),
        ({"genres": ["Drama", 7, None, ["x"], "SciFi"]}, ("drama", "scifi")),
    ],
)
def test_genres_that_are_not_text_are_ignored(document: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert genres_of(document) == expected


@pytest.mark.parametrize("title", [None, 42, ["a"], {"en": "a"}, b"a"])
def test_a_title_that_is_not_text_has_no_key(title: Any) -> None:
    assert title_of({"title": title}, "en") is None


def in_order(*titles: str, language: Language = "en") -> list[str]:
    """Return the titles, sorted. Equal ones keep their order."""
    return sorted(titles, key=lambda title: title_of({"title": title}, language) or b"")


def test_a_letter_with_an_accent_sorts_like_the_letter() -> None:
    titles = ["Ángel", "The Ångström", "Élite", "The Matrix", "ñandú", "Nora", "Ödland", "Spider-Man", "Über", "Zorro"]

    assert in_order(*reversed(titles)) == titles


@pytest.mark.parametrize(
    ("title", "like"),
    [
        ("Ame\u0301lie", "Amelie"),  # with a combining accent
        ("Łódź", "lodz"),
        ("Ørkenens sønner", "Orkenens sonner"),
        ("Æon Flux", "AEon Flux"),
        ("Œdipe", "oedipe"),
        ("Đavo", "davo"),
        ("İstanbul", "istanbul"),  # the dotted I of Turkish
        ("I\u015f\u0131k", "isik"),  # and the i without a dot
        ("Straße", "STRASSE"),
        ("STRAẞE", "strasse"),
        ("ﬁlm ﬂeuve", "film fleuve"),
        ("\uff34\uff4f\uff54\uff4f\uff52\uff4f", "totoro"),
        ("Alien³", "Alien3"),
        ("Amélie\u00a0Poulain", "amelie poulain"),
        ("  Dark \t City\n", "dark city"),
        ("\ufeffDark\u200b", "dark"),
        ("D\0ark", "dark"),
    ],
)
def test_spellings_of_one_title_have_the_same_key(title: str, like: str) -> None:
    assert title_of({"title": title}, "none") == title_of({"title": like}, "none")


@pytest.mark.parametrize(
    "titles", [("か", "き", "く"), ("가나", "가다", "나"), ("कक", "की", "कु"), ("Гагарин", "Дюна", "Цирк")]
)
def test_titles_in_other_writing_systems_sort_in_their_own_order(titles: tuple[str, ...]) -> None:
    assert in_order(*reversed(titles)) == list(titles)


def test_symbols_sort_before_digits_and_digits_before_letters() -> None:
    titles = [
        "",
        "!!!",
        "#Alive",
        "*batteries not included",
        "[•REC]",
        "{Ü}",
        "¡Átame!",
        "“Pimpernel”",
        "…",
        "12",
        "21",
        "A",
    ]

    assert in_order(*reversed(titles))[0] == ""
    assert in_order(*reversed(titles))[-3:] == ["12", "21", "A"]
    assert in_order("Alien 3", "Alien: Covenant", "Aliens", "Alien") == [
        "Alien",
        "Alien 3",
        "Alien: Covenant",
        "Aliens",
    ]


@pytest.mark.parametrize(
    ("language", "title", "without"),
    [
        ("en", "The Matrix", "Matrix"),
        ("en", "A Man", "Man"),
        ("en", "AN\u00a0 Education", "Education"),
        ("en", "The The", "The"),
        ("de", "Die Blechtrommel", "Blechtrommel"),
        ("de", "Das Boot", "Boot"),
        ("de", "Eine Reise", "Reise"),
        ("fr", "Les Misérables", "Misérables"),
        ("fr", "L'Atalante", "Atalante"),
        ("fr", "L\u2019Atalante", "Atalante"),
        ("es", "El Topo", "Topo"),
        ("es", "Los Olvidados", "Olvidados"),
        ("it", "L'avventura", "avventura"),
        ("it", "Gli indifferenti", "indifferenti"),
        ("it", "Un'altra vita", "altra vita"),
        ("pt", "O Pagador", "Pagador"),
        ("nl", "Het Parool", "Parool"),
        ("nl", "'t Schaep", "Schaep"),
        ("sv", "Ett päron", "päron"),
        ("da", "Den eneste", "eneste"),
        ("no", "Ei natt", "natt"),
    ],
)
def test_a_leading_article_of_the_language_is_ignored(language: Language, title: str, without: str) -> None:
    assert title_of({"title": title}, language) == title_of({"title": without}, "none")


@pytest.mark.parametrize(
    ("language", "title"),
    [
        ("en", "The"),
        ("en", " A "),
        ("fr", "L'"),
        ("de", "Das"),
        ("en", "Theodora"),
        ("en", "A.I."),
        ("en", "A-Team"),
        ("en", "An-Magritt"),
        ("en", "À bout de souffle"),  # an article only without its accent
        ("en", "La Strada"),
        ("en", "Die Hard"),
        ("de", "The Matrix"),
        ("es", "Lazos"),
        ("none", "The Matrix"),
        ("none", "El Topo"),
    ],
)
def test_a_word_that_is_not_a_leading_article_of_the_language_is_kept(language: Language, title: str) -> None:
    assert title_of({"title": title}, language) == title_of({"title": title}, "none")


@pytest.mark.parametrize("language", ARTICLES)
def test_every_article_of_a_language_is_ignored(language: Language) -> None:
    for article in ARTICLES[language]:
        title = f"{article.upper()}{'' if article.endswith(chr(39)) else ' '}Zenit"
        assert title_of({"title": title}, language) == b"zenit"


def test_the_sort_title_overrides_the_title_and_keeps_its_article() -> None:
    assert title_of({"title": "The Matrix", "sortTitle": "Mátrix 1"}, "en") == b"matrix 1"
    assert title_of({"title": "Dark", "sortTitle": "The Dark"}, "en") == b"the dark"
    assert title_of({"sortTitle": "Dark"}, "en") == b"dark"


@pytest.mark.parametrize("sort_title", [None, "", "  ", "\u200b", 7, ["Dark"], {"en": "Dark"}])
def test_an_empty_or_invalid_sort_title_falls_back_to_the_title(sort_title: Any) -> None:
    assert title_of({"title": "The Matrix", "sortTitle": sort_title}, "en") == b"matrix"


@pytest.mark.parametrize("title", ["x" * 101, "ß" * 60, "가" * 101, "!" * 60])
def test_the_key_of_a_long_title_is_cut_to_100_characters(title: str) -> None:
    key = title_of({"title": title}, "en")

    assert key is not None
    assert len(key.decode()) == 100


def test_a_release_date_is_in_milliseconds() -> None:
    assert released_at({"releaseDate": datetime(1979, 5, 25, tzinfo=UTC)}) == 296_438_400_000
    assert released_at({"releaseYear": 1979}) == 283_996_800_000
    assert released_at({"releaseYear": "1979"}) is None

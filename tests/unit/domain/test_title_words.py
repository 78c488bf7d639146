"""The words of titles and of searches: which search finds which title."""

import random
import sys
import unicodedata

import pytest

from mylist.domain.catalogue_entry import CatalogueEntry
from mylist.domain.title_words import needle_of, searched_words, title_words
from tests.content_ids import content_id


def finds(search: str, title: str) -> bool:
    words = searched_words(search)
    assert words
    return all(needle_of(word) in title_words(title) for word in words)


@pytest.mark.parametrize(
    ("search", "title"),
    [
        ("matrix", "The Matrix"),
        ("the mat", "The Matrix"),
        ("MATRIX the", "The Matrix"),
        ("m m m", "The Matrix"),
        ("elite", "Élite"),
        ("Élite", "ELITE"),
        ("angel", "Ángel"),
        ("elite", "E\N{COMBINING ACUTE ACCENT}lite"),
        ("strasse", "Straße"),
        ("straß", "STRASSE"),
        ("lodz", "Łódź"),
        ("aero", "Ærø"),
        ("spider man", "Spider-Man"),
        ("spiderman", "Spider-Man"),
        ("spider-man", "Spider Man"),
        ("swat", "S.W.A.T."),
        ("s.w.a.t.", "S.W.A.T."),
        ("schindlers", "Schindler's List"),
        ("schindler\N{RIGHT SINGLE QUOTATION MARK}s", "Schindler's List"),
        ("schindler's", "Schindlers List"),
        ("schindler", "Schindler\N{MODIFIER LETTER APOSTROPHE}s List"),
        ("ohana", "\N{MODIFIER LETTER TURNED COMMA}Ohana"),
        ("don\N{ACUTE ACCENT}t", "Don't Look Up"),
        ("avventura", "L'Avventura"),
        ("l'avventura", "L\N{RIGHT SINGLE QUOTATION MARK}Avventura"),
        ("wall-e", "WALL\N{MIDDLE DOT}E"),
        ("walle", "WALL\N{MIDDLE DOT}E"),
        ("7", "Se7en: 7 Sins"),
        ("alien3", "Alien\N{SUPERSCRIPT THREE}"),
        ("tel", "\N{TELEPHONE SIGN} Aviv"),
        ("fi", "\N{LATIN SMALL LIGATURE FI}ve"),
        ("love", "\N{HEAVY BLACK HEART}\N{VARIATION SELECTOR-16}Love"),
        ("cooperate", "co\N{SOFT HYPHEN}operate"),
        ("two words", "two\twords"),
        ("two words", "two\N{NO-BREAK SPACE}words"),
        ("Война", "ВОЙНА И МИР"),
        ("οδυσσειασ", "Οδύσσειας"),
        ("기생", "기생충"),
        ("千尋", "千と千尋の神隠し"),
        ("神", "千と千尋の神隠し"),
        ("ジラ", "シン・ゴジラ"),
        ("ゴジラ", "\N{HALFWIDTH KATAKANA LETTER KO}\N{HALFWIDTH KATAKANA VOICED SOUND MARK}ジラ"),
        ("ไทย", "หนังไทย"),
        ("दंग", "दंगल"),
    ],
)
def test_a_search_finds_a_title_by_the_beginnings_of_its_words(search: str, title: str) -> None:
    assert finds(search, title)


@pytest.mark.parametrize(
    ("search", "title"),
    [
        ("atrix", "The Matrix"),
        ("matrix reloaded", "The Matrix"),
        ("matrixx", "The Matrix"),
        ("thematrix", "The Matrix"),
        ("man", "Spiderman"),
        ("chindler", "Schindler's List"),
        ("생충", "기생충"),
        ("한", "하얀"),
        ("matrix", ""),
        ("千", ""),
        ("u", "x\N{LATIN SMALL LETTER U}"),
        ("x", "y" * 200 + " x"),
    ],
)
def test_a_search_with_a_word_that_begins_no_word_of_the_title_does_not_find_it(search: str, title: str) -> None:
    assert not finds(search, title)


@pytest.mark.parametrize("search", ["", " ", "!", "...", "-", "'", "\0", "\N{SOFT HYPHEN}", "♥", "\N{ACUTE ACCENT}"])
def test_a_search_without_letters_and_digits_has_no_words(search: str) -> None:
    assert searched_words(search) == ()


def test_the_words_of_a_search_are_sorted_and_unique() -> None:
    assert searched_words("the  Matrix, THE") == ("matrix", "the")


def test_searching_for_the_words_of_a_search_yields_the_same_words() -> None:
    dice = random.Random(1)
    known = [chr(code) for code in range(sys.maxunicode) if unicodedata.category(chr(code)) not in {"Cn", "Co", "Cs"}]
    for _ in range(5000):
        words = searched_words("".join(dice.choices([*known[:1000], *dice.choices(known, k=50), " "], k=6)))
        assert searched_words(" ".join(words)) == words, words


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"title":"A \\"B\\" \\u00c9","genres":[]}', b" a b e"),
        ('{"id":"1","nested":{"title":"other"}}', b""),
        ('{"title":null}', b""),
        ('{"title":1917}', b""),
        ('{"title":["a"]}', b""),
        ("null", b""),
    ],
)
def test_an_entry_has_the_words_of_its_title(content: str, words: bytes) -> None:
    entry = CatalogueEntry(
        content_id(1) + b"m", b"", f'","content":{content}}}'.encode(), refresh_at=0, expires_at=0, exists_until=0
    )
    assert entry.words == words
    assert entry.words is entry.words

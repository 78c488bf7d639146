"""The leading articles of titles, by language. Comparisons of titles ignore them.

Source: the Library of Congress' list of initial articles (MARC 21 Bibliographic, appendix F), without dialects and
without words that are spelled like an article of another language only.
"""

from collections.abc import Mapping
from typing import Literal

_APOSTROPHES = "['\N{RIGHT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}]"
_NEVER = r"(?!)"
Language = Literal["none", "da", "de", "en", "es", "fr", "it", "nl", "no", "pt", "sv"]
"""A language of titles, by its code in ISO 639-1; `none` for one without articles."""

ARTICLES: Mapping[Language, tuple[str, ...]] = {
    "none": (),
    "da": ("de", "den", "det", "en", "et"),
    "de": ("das", "dem", "den", "der", "des", "die", "ein", "eine", "einem", "einen", "einer", "eines"),
    "en": ("a", "an", "the"),
    "es": ("el", "la", "las", "lo", "los", "un", "una"),
    "fr": ("l'", "la", "le", "les", "un", "une"),
    "it": ("gl'", "gli", "i", "il", "l'", "la", "le", "li", "lo", "un", "un'", "una", "uno"),
    "nl": ("'n", "'t", "de", "een", "eene", "het"),
    "no": ("de", "dei", "den", "det", "ei", "ein", "eit", "en", "et"),
    "pt": ("a", "as", "o", "os", "um", "uma"),
    "sv": ("de", "den", "det", "en", "ett"),
}
"""In lower case. No space follows an article that ends in an apostrophe."""


def leading_article(language: Language) -> str:
    """Return a regular expression, in lower case, for a leading article that is followed by more text."""
    choices = "|".join(_pattern(each) + (r"\s*" if each.endswith("'") else r"\s+") for each in _longest_first(language))
    return rf"(?:{choices})(?=\S)" if choices else _NEVER


def trailing_article(language: Language) -> str:
    """Return a regular expression, in lower case, for a trailing article after a comma."""
    choices = "|".join(map(_pattern, _longest_first(language)))
    return rf",\s+(?:{choices})\s*$" if choices else _NEVER


def _longest_first(language: Language) -> list[str]:
    return sorted(ARTICLES[language], key=len, reverse=True)


def _pattern(article: str) -> str:
    return article.replace("'", _APOSTROPHES)

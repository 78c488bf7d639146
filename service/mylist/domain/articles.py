"""The articles that a title may begin with, by language: they do not count when titles are sorted.

Source: the Library of Congress' list of initial articles (MARC 21 Bibliographic, appendix F), without dialects and
without what is written like an article of another language only.
"""

from collections.abc import Mapping
from typing import Literal

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
"""In lower case. One that ends in an apostrophe stands before its word without a space."""

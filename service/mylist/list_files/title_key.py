"""The keys by which titles are compared: without case, accents, punctuation and leading article."""

import re
import unicodedata
from functools import lru_cache

from mylist.domain.articles import ARTICLES, Language, leading_article, trailing_article
from mylist.domain.latin_letters import LATIN_LETTERS

_MAX_SPELLINGS = 8
_OTHER_SPELLINGS = (
    (re.compile("&"), "and"),
    (re.compile(r"(?<= )and(?= )", re.IGNORECASE), "&"),
    (re.compile("\N{RIGHT SINGLE QUOTATION MARK}"), "'"),
)


def exact_key(title: str) -> str:
    """Return a key that is equal for titles that differ only in case."""
    return unicodedata.normalize("NFC", " ".join(title.split()).casefold())


def title_key(title: str, language: Language) -> str:
    """Return a key that is equal for titles with the same meaning."""
    folded = unicodedata.normalize("NFKC", title).casefold().replace("&", " and ")
    return next(filter(None, map(_letters, _without_article(folded, language))), exact_key(title))


def spellings(title: str, language: Language) -> list[str]:
    """Return the spellings that a catalogue may use for a title, with and without an article, in the same case."""
    *shorter, _ = _without_article(title, language)
    bare = shorter[-1] if shorter else title
    articles = [each for each in ARTICLES[language] if not each.endswith("'")][:_MAX_SPELLINGS]
    found = [title, *shorter, *(f"{article} {bare}" for article in articles)]
    found += [pattern.sub(other, title) for pattern, other in _OTHER_SPELLINGS]
    return list(dict.fromkeys(found))


def _without_article(title: str, language: Language) -> list[str]:
    """Return a title without its leading article or its article after a comma, then the unchanged title."""
    leading, trailing = _articles(language)
    if match := trailing.search(title):
        return [title[: match.start()].strip(), title]
    if match := leading.match(title):
        return [title[match.end() :], title]
    return [title]


@lru_cache
def _articles(language: Language) -> tuple[re.Pattern[str], re.Pattern[str]]:
    return re.compile(leading_article(language), re.IGNORECASE), re.compile(trailing_article(language), re.IGNORECASE)


def _letters(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text).translate(LATIN_LETTERS)
    kept = (each for each in decomposed if each.isalnum())
    return unicodedata.normalize("NFC", "".join(kept))

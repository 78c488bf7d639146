"""The words of titles and of searches, in the form in which they are compared.

Words are compared without case and accents, from their beginning: `mat` finds “The Matrix”. Punctuation separates
words, and the parts also count as one joined word: “Spider-Man” has the words `spider`, `man` and `spiderman`, and
`swat` finds “S.W.A.T.”. In scripts without spaces between words, such as Japanese and Thai, a search also matches in
the middle of a text.
"""

import re
import string
import unicodedata

from mylist.domain.latin_letters import LATIN_LETTERS

_MAX_TITLE_LENGTH = 200
"""Characters of a title that a search looks at."""
_MARK = "-"
"""Stands for any punctuation or symbol in a folded text."""
_ASCII = str.maketrans(
    {character: character.lower() for character in string.ascii_uppercase}
    | dict.fromkeys(string.punctuation, _MARK)
    | {chr(code): " " if chr(code).isspace() else None for code in (*range(0x20), 0x7F)}
)
# Unicode counts some of them as letters: the okina of Hawaiian, and apostrophes that represent Arabic letters.
_APOSTROPHES = frozenset(
    "'`\N{ACUTE ACCENT}\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}\N{PRIME}\N{FULLWIDTH APOSTROPHE}"
) | frozenset(map(chr, range(0x2B9, 0x2C0)))
_DRAWN_AROUND = frozenset(map(chr, (*range(0x20DD, 0x20E5), *range(0xFE00, 0xFE10))))
"""Marks that are neither accents nor vowels: circles and the like, and variation selectors of symbols."""
_MAX_CHARACTERS = 10_000
"""Characters whose folded form is cached; one megabyte."""
# Thai, Lao, Burmese, Khmer, Hiragana, Katakana, Han.
_WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


def searched_words(search: str) -> tuple[str, ...]:
    """Return the words of a search, each once and sorted; empty if the text has neither letters nor digits."""
    folded = _folded("".join([each for each in search if each not in _APOSTROPHES]))
    return tuple(sorted(set(folded.replace(_MARK, " ").split())))


def title_words(title: str) -> bytes:
    """Return the words of a title, each after a space, as UTF-8. Searches look in it for the result of `needle_of`."""
    folded = _folded(title[:_MAX_TITLE_LENGTH])
    words = folded.replace(_MARK, " ").split()
    if _MARK in folded:
        words += [part.replace(_MARK, "") for part in folded.split() if _MARK in part.strip(_MARK)]
    return "".join([f" {word}" for word in words]).encode()


def needle_of(word: str) -> bytes:
    """Return the bytes that `title_words` contains if a word of the title begins with `word`, from `searched_words`."""
    return f"{'' if _WITHOUT_SPACES.match(word) else ' '}{word}".encode()


def _folded(text: str) -> str:
    """Return a text folded to letters and digits without case and accents, spaces, and marks for punctuation."""
    if text.isascii():
        return text.translate(_ASCII)
    # Compose again: otherwise each syllable of Hangul would take three characters.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).translate(_FOLDED))


class _Folded(dict[int, str]):
    """The replacement of each character, by code point; computed at its first use."""

    def __missing__(self, code: int) -> str:
        if len(self) >= _MAX_CHARACTERS:
            self.clear()
        folded = self[code] = _fold_character(chr(code))
        return folded


_FOLDED = _Folded()


def _fold_character(character: str) -> str:
    if character in _APOSTROPHES:
        return _MARK
    plain = unicodedata.normalize("NFKC", character).casefold()
    return "".join(map(_plain, unicodedata.normalize("NFKD", plain))).translate(LATIN_LETTERS).translate(_ASCII)


def _plain(character: str) -> str:
    """Return the character, a mark for a symbol, or nothing for an accent or an invisible character."""
    if character in _APOSTROPHES:
        return _MARK
    match unicodedata.category(character)[0]:
        case "P" | "S":
            return _MARK
        case "Z":
            return " "
        case "C":
            return " " if character.isspace() else ""
        case "M" if unicodedata.combining(character) or character in _DRAWN_AROUND:
            return ""
        case _:
            return character

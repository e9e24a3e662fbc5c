"""How names are shown, and which spellings mean one passage, from ``docs/fields.md``."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import groupby
from unicodedata import category, east_asian_width, normalize

LONGEST = 64, 144
"""Characters and bytes."""
"""UTF-8 bytes of a name."""

LONGEST_TEXT = 256
"""Characters of a text that may be one."""

MOST_WORDS, MOST_DIGITS = 5, 8
LONGEST_WORD, LONGEST_MIXED = 30, 16

ADDRESS_PARTS = "@%=\N{FULLWIDTH COMMERCIAL AT}\N{SMALL COMMERCIAL AT}\N{TAG COMMERCIAL AT}"


@lru_cache(100_000)
def plain_name(name: str) -> str | None:
    """Put one underscore for whatever stands between plain characters; a blank name is none.

    A sentence, an address, a number or a code is no name, and is unknown.
    """
    name = normalize("NFC", name.strip()) if len(name.strip()) <= LONGEST_TEXT else "@"
    shown = ""
    for is_plain, characters in groupby(name, _is_plain):
        shown += "".join(characters) if is_plain else "_"
    words = words_of(name)
    if (
        looks_like_an_address(name)
        or is_too_long(name)
        or sum(map(words_in, counted(words))) > MOST_WORDS
        or digits_of(words) > MOST_DIGITS
        or any(map(is_code, words))
    ):
        return "unknown"
    return shown or None


def is_too_long(name: str) -> bool:
    characters, size = LONGEST
    return len(name) > characters or len(name.encode(errors="surrogatepass")) > size


def looks_like_an_address(text: str) -> bool:
    """Return whether a text has a sign that is in addresses and not in names, or a code for it."""
    codes = "://", "&#"
    brackets = re.search(r"[(\[{<] *at *[)\]}>]", re.sub(r"\s", " ", text.lower()))
    entity = re.search(r"&\w+;", text)
    return bool(set(text) & set(ADDRESS_PARTS) or any(c in text for c in codes) or brackets or entity)


def words_of(text: str) -> list[str]:
    """Return what stands between characters that are no letter, mark or digit."""
    runs = groupby(text, lambda character: category(character)[0] in "LMN")
    return ["".join(characters) for is_word, characters in runs if is_word]


def counted(words: list[str]) -> list[str]:
    """Return the words of a name that count."""
    great = [word for word in words if word.lower() not in ("the", "of", "and")]
    is_title = not any(word[0].islower() for word in great)
    return great if is_title else words


def words_in(word: str) -> int:
    """Return how many words a run of characters is: more than one if its script has no blanks."""
    sixths = 0
    for character in word:
        if east_asian_width(character) in ("W", "F"):
            sixths += 3
        elif "\u0e00" <= character <= "\u109f" or "\u1780" <= character <= "\u17ff":
            sixths += 2
    return max(int(len(word) >= 2), -(-sixths // 6))


def digits_of(words: list[str]) -> int:
    return sum(1 for word in words for c in word if c.isnumeric() and not c.isalpha())


def is_code(word: str) -> bool:
    """Return whether a word is too long to be one."""
    digits = digits_of([word])
    longest = LONGEST_MIXED if 0 < digits < len(word) else LONGEST_WORD
    return digits < len(word) > longest


def _is_plain(character: str) -> bool:
    # Of a letter with marks, the marks are of another category than the letter.
    return character in "._~- " or category(character).startswith(("L", "M", "N"))


def chapter_and_verse(chapter: object, verse: object) -> tuple[str, str]:
    """Return both as they are shown, empty where there is none."""
    own, other = _numeral(chapter), _numeral(verse)
    in_chapter, in_verse = _both(own), _both(other)
    if in_chapter is not None and (not other or (":" in own and in_chapter[1] == other)):
        own, other = in_chapter
    elif in_verse is not None and own in ("", in_verse[0]):
        own, other = in_verse
    return plain_name(own) or "", plain_name(other) or ""


def _numeral(value: object) -> str:
    if isinstance(value, float):
        value = int(value)
    text = "" if value is None else str(value).strip()
    return str(int(text)) if text.isascii() and text.isdigit() else text


@lru_cache(100_000)
def _both(text: str) -> tuple[str, str] | None:
    """Return chapter and verse of ``2:47``, ``2.47``, ``Gita 2.14`` or ``2.14-16``, which name both."""
    words = re.split(r"[^\d.:-]+", text)
    first, _, second = re.sub("[.:]", "|", words[-1]).partition("|")
    if not re.fullmatch(r"\d+", first) or not re.fullmatch(r"\d+(-\d+)?", second):
        return None
    return _numeral(first), _numeral(second)

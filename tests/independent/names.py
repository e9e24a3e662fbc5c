"""How names are shown, and which spellings mean one passage, from ``docs/fields.md``."""

from __future__ import annotations

import re
from itertools import groupby
from unicodedata import category, normalize

LONGEST = 64
"""UTF-8 bytes of a name."""

MOST_WORDS = 5
"""Words of a name, between blanks."""

AT_SIGNS = {"@", "\N{FULLWIDTH COMMERCIAL AT}", "\N{SMALL COMMERCIAL AT}"}


def plain_name(name: str) -> str | None:
    """Put one underscore for whatever stands between plain characters; a blank name is none.

    What is longer, has more words, or has an at sign, is no name and is unknown.
    """
    shown = ""
    for is_plain, characters in groupby(normalize("NFC", name.strip()), _is_plain):
        shown += "".join(characters) if is_plain else "_"
    is_address = bool(AT_SIGNS & set(name))
    if is_address or len(shown.encode()) > LONGEST or len(shown.split()) > MOST_WORDS:
        return "unknown"
    return shown or None


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


def _both(text: str) -> tuple[str, str] | None:
    """Return chapter and verse of ``2:47``, ``2.47``, ``Gita 2.14`` or ``2.14-16``, which name both."""
    words = re.split(r"[^\d.:-]+", text)
    first, _, second = re.sub("[.:]", "|", words[-1]).partition("|")
    if not re.fullmatch(r"\d+", first) or not re.fullmatch(r"\d+(-\d+)?", second):
        return None
    return _numeral(first), _numeral(second)

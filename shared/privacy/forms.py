"""The forms of values. A value whose form is not that of its field may be anything, and is only described."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from math import ceil

UNKNOWN = "unknown"
"""Replaces a persona, model, text, category, type or severity that the document does not name, or that is no
name."""

LONGEST_NAME = 64
"""Characters of the longest name of anything that documents name: a persona, a model, a text, a chapter."""

BYTES_OF_A_NAME = 144
"""UTF-8 bytes of the longest name: 48 characters of Devanagari. The room that states reserve for one document
would not do for longer names."""

LONGEST_TEXT = 256
"""Characters of the longest text in which a name is looked for: a model's name may have a path before it."""

MOST_WORDS = 5
"""Words of the longest name: "The Gospel of Sri Ramakrishna". A text with more words is a sentence, whatever
separates them. One letter is no word: "A.C. Bhaktivedanta Swami Prabhupada" has three."""

MOST_WORDS_OF_A_MODEL = 7
"""Words without a digit between slashes: ``gemini-2.5-flash-exp-native-audio-thinking-dialog`` has seven."""

LONGEST_WORD = 30
"""Characters of the longest word of a name: "Prajnaparamitahridayasutra" has 26. A longer one is a code."""

LONGEST_CODE = 16
"""Characters of the longest word with letters and digits."""

MOST_DIGITS = 8
"""Digits of a name, as a date has. More are a number of a telephone, a card or an account."""

MOST_DIGITS_OF_A_MODEL = 12
"""Digits of a model: ``claude-3-5-sonnet-v2@20241022`` has eleven."""

MOST_BYTES_OF_AN_IDENTIFIER = 2_048
"""The service's limit for a partition key. An id has at most 1,023."""

DOCUMENT_TYPES = frozenset(
    {"user_interaction", "interaction", "user_session", "session", "abuse_incident", "user_profile"}
)
"""The vocabulary of ``document_type``."""

_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d(?::?\d\d){0,2}(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d\d:?\d\d)?")
_VERSION = re.compile(r"\d{1,4}(?:\.\d{1,4}){0,2}")
_NUMERAL = re.compile(r"\d{1,5}(?:[.:\-]\d{1,5}){0,2}")
_IN_NAMES = frozenset("._~-:/+ ")
_HALF_PAIR = re.compile("[\ud800-\udfff]")
"""An unpaired surrogate is not a character. No text encoding can represent it."""

RESOURCE = "models"
"""Segment of a resource name after which the name of the model follows: ``models/gemini-2.5-flash``,
``projects/p/locations/l/publishers/google/models/gemini-2.5-flash``."""

_PINNED = re.compile(r"@(?=(?:\d{1,8}|latest)\Z)")
"""Separates a model from its version: ``gemini-2.0-flash@001``."""

_IN_A_SENTENCE = re.compile("[,;!?]")
_NOT_IN_A_MODEL = re.compile(r"[^a-z0-9]+")
_HYPHENS = re.compile("-+")

_ADDRESS = re.compile(r"[@\uff20\ufe6b\U000e0040%=]|[(\[{<]\s*at\s*[)\]}>]|&#|&\w+;|://", re.IGNORECASE)
"""In addresses of mail and the web, also encoded, and in no name."""

_WORD = re.compile(r"[A-Za-z0-9]+")
_SMALL_WORDS = frozenset({"the", "of", "and"})
"""Words that do not count in a title: "The Tibetan Book of the Dead"."""

_WITHOUT_BLANKS = re.compile("[\u0e00-\u109f\u1780-\u17ff]")
"""Characters of Thai, Lao, Tibetan, Burmese and Khmer, which have no blanks between words."""

_NEVER_IN_A_LABEL = "/"
_REPLACED = re.compile(f"{_NEVER_IN_A_LABEL}+")
_UNSAFE = re.compile(r"[^A-Za-z0-9._~\- ]+")

_LONGEST_NUMBER = 40


class Form(StrEnum):
    """The form of a field's values."""

    NUMBER = "number"
    TIME = "time"
    FLAG = "flag"
    VERSION = "version"
    NUMERAL = "numeral"
    """A chapter or verse: a number, two with a point or colon between them, or a name."""
    DOCUMENT_TYPE = "document_type"
    """A name, one of :data:`DOCUMENT_TYPES` unless something is wrong."""
    NAME = "name"
    """A name of at most :data:`MOST_WORDS` words and :data:`LONGEST_NAME` characters."""
    MODEL = "model"
    """A name with a spelling as a model (:func:`model_spelling`)."""
    IDENTIFIER = "identifier"
    TEXT = "text"
    """Words of any kind."""


_NUMERIC = frozenset({Form.NUMBER, Form.TIME, Form.VERSION, Form.IDENTIFIER})
"""Forms that a number may have."""

_QUOTED = frozenset({Form.NUMBER, Form.TIME, Form.VERSION})


def fits(form: Form, value: object) -> bool:
    """Return whether a value has a form. Nothing, and True or False, say nothing and fit every form."""
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, int | float):
        return form in _NUMERIC or (form is Form.NUMERAL and abs(value) < 100_000)
    if not isinstance(value, str):
        return False
    match form:
        case Form.TIME:
            return _TIME.fullmatch(value) is not None
        case Form.VERSION:
            return _VERSION.fullmatch(value) is not None
        case Form.NUMERAL:
            return _NUMERAL.fullmatch(value) is not None or is_name(value)
        case Form.NAME | Form.DOCUMENT_TYPE:
            return is_name(value)
        case Form.MODEL:
            return is_name(value) and model_spelling(value) != UNKNOWN
        case Form.IDENTIFIER:
            return not _HALF_PAIR.search(value) and len(value.encode()) <= MOST_BYTES_OF_AN_IDENTIFIER
        case _:
            return not value


def is_name(text: str) -> bool:
    """Return whether a text is a name rather than a sentence, an address, a number or a code.

    A name is short, has few words, and consists of letters, marks and digits of any script with the usual
    signs between them.
    """
    return not _is_more_than_a_name(text) and all(
        character in _IN_NAMES or _is_of_a_word(character) for character in text
    )


def label(text: str) -> str:
    """Return a text as a name that facts, ids and paths may have.

    Letters, marks and digits of every script remain. Unicode's normal form C gives each name one spelling.
    An underscore replaces control characters, and characters that ids and paths of the service may not have.
    A sentence, an address, a number or a code counts as :data:`UNKNOWN`, so that no part of it is shown. A
    name is its own name.
    """
    text = text.strip()
    return _label(text) if len(text) <= LONGEST_TEXT else UNKNOWN


@lru_cache(maxsize=4_096)
def _label(text: str) -> str:
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if _is_more_than_a_name(text):
        return UNKNOWN
    if text.isascii():  # true for nearly all
        return _UNSAFE.sub("_", text)
    return _REPLACED.sub("_", "".join(c if _is_safe(c) else _NEVER_IN_A_LABEL for c in text))


def _is_more_than_a_name(text: str) -> bool:
    if _is_too_long(text) or _ADDRESS.search(text):
        return True
    words = _words(text)
    return _weight(_told(words)) > MOST_WORDS or _digits(words) > MOST_DIGITS or any(map(_is_code, words))


def _is_too_long(text: str) -> bool:
    return len(text) > LONGEST_NAME or len(text.encode(errors="surrogatepass")) > BYTES_OF_A_NAME


def _words(text: str) -> list[str]:
    """Return the runs of letters, marks and digits."""
    if text.isascii():
        return _WORD.findall(text)
    return "".join(c if _is_of_a_word(c) else " " for c in text).split()


def _told(words: Sequence[str]) -> Sequence[str]:
    """Return the words that count: in a title, all of whose words begin with a capital, no small ones."""
    others = [word for word in words if word.lower() not in _SMALL_WORDS]
    return words if any(word[:1].islower() for word in others) else others


def _weight(words: Iterable[str]) -> int:
    """Return the number of words; in scripts without blanks, two or three characters count as one."""
    weight = 0
    for word in words:
        if word.isascii():
            weight += len(word) > 1
            continue
        wide = sum(unicodedata.east_asian_width(character) in "WF" for character in word)
        weight += max(len(word) > 1, ceil(wide / 2 + len(_WITHOUT_BLANKS.findall(word)) / 3))
    return weight


def _digits(words: Iterable[str]) -> int:
    return sum(_is_digit(character) for word in words for character in word)


def _is_digit(character: str) -> bool:
    """Return whether a character is a digit of any script, or a number such as a circled or a Roman one."""
    return unicodedata.category(character)[0] == "N"


def _is_code(word: str) -> bool:
    if len(word) <= LONGEST_CODE:
        return False
    mixed = any(map(_is_digit, word)) and not all(map(_is_digit, word))
    return mixed or len(word) > LONGEST_WORD


def model_spelling(text: str) -> str:
    """Return the one spelling of a model's name: ``Models/Gemini_2.5 Flash`` is ``gemini-2-5-flash``.

    1. Upper and lower case are the same.
    2. ``/`` separates the segments of a path. Of a resource name only what follows ``models/`` counts.
    3. Within a segment, everything that is not a letter, a mark or a digit is one hyphen.

    A sentence, an address, a number or a code counts as :data:`UNKNOWN`. A text without letters and digits
    has no spelling: the result is empty. A spelling is its own spelling.
    """
    return _model_spelling(text) if len(text) <= LONGEST_TEXT else UNKNOWN


@lru_cache(maxsize=4_096)
def _model_spelling(text: str) -> str:
    lower = _PINNED.sub("-", unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower()).strip())
    segments = [(part, cleaned) for part in lower.split("/") if (cleaned := _model_segment(part))]
    places = [place for place, (_, cleaned) in enumerate(segments[:-1]) if cleaned == RESOURCE]
    segments = segments[places[-1] + 1 :] if places else segments
    spelling = "/".join(cleaned for _, cleaned in segments)
    blanks = sum(len(part.split()) - 1 for part, _ in segments)
    is_no_model = any(_ADDRESS.search(part) or _IN_A_SENTENCE.search(part) for part, _ in segments)
    if is_no_model or blanks >= MOST_WORDS or _is_too_long(spelling):
        return UNKNOWN
    return UNKNOWN if spelling and _is_more_than_a_model(spelling) else spelling


def _is_more_than_a_model(spelling: str) -> bool:
    words = _words(spelling)
    sentences = (
        [word for word in _words(segment) if not any(map(_is_digit, word))] for segment in spelling.split("/")
    )
    return (
        all(_is_digit(character) for word in words for character in word)
        or _digits(words) > MOST_DIGITS_OF_A_MODEL
        or any(map(_is_code, words))
        or any(_weight(segment) > MOST_WORDS_OF_A_MODEL for segment in sentences)
    )


def _model_segment(text: str) -> str:
    if text.isascii():
        return _NOT_IN_A_MODEL.sub("-", text).strip("-")
    return _HYPHENS.sub("-", "".join(c if _is_of_a_word(c) else "-" for c in text)).strip("-")


def _is_of_a_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"


def _is_safe(character: str) -> bool:
    return character in "._~- " or unicodedata.category(character)[0] in "LMN"


def describe(value: object) -> str:
    """Return type and length of a value, and nothing of what it says."""
    match value:
        case None | bool():
            return repr(value)
        case str():
            return f"a text of {len(value)} characters"
        case list() | tuple():
            return f"a list of {len(value)} entries"
        case Mapping():
            return f"an object of {len(value)} fields"
        case int() | float():
            return "a number"
        case _:
            return f"a {type(value).__name__}"


def quote(value: object, form: Form) -> str:
    """Return a value as an error may quote it.

    Numbers, times and versions are quoted in a field of that form, and known words in one with a vocabulary.
    Everything else is described: it may be anything that a person wrote.
    """
    if value == "" or (form is Form.DOCUMENT_TYPE and isinstance(value, str) and value in DOCUMENT_TYPES):
        return repr(value)
    if isinstance(value, int) and value.bit_length() > 3 * _LONGEST_NUMBER:
        return f"a number of {value.bit_length()} bits"
    if form in _QUOTED and not isinstance(value, bool) and fits(form, value):
        return repr(value)
    return describe(value)

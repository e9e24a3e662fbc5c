"""The string functions."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

from local.cosmos.query.errors import QueryError
from local.cosmos.query.functions import ANY, NUMBER, lenient, strict
from local.cosmos.query.values import UNDEFINED, number, text_of

LONGEST_REPLICA = 10_000
"""Characters that REPLICATE may make, as in the service."""

LONGEST_TEXT = 2 * 1024 * 1024
"""Characters that REPLACE may make: no item holds more, and each call could multiply the last one's."""

LONGEST_PATTERN = 1_000
"""Characters of a regular expression."""

_MODIFIERS = {"m": re.MULTILINE, "s": re.DOTALL, "i": re.IGNORECASE, "x": re.VERBOSE}
_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*")


def _folded(ignore_case: bool, *texts: str) -> tuple[str, ...]:
    return tuple(text.lower() for text in texts) if ignore_case else texts


@strict("STARTSWITH", str, str, bool, least=2)
def _starts_with(text: str, prefix: str, ignore_case: bool = False) -> Any:
    text, prefix = _folded(ignore_case, text, prefix)
    return text.startswith(prefix)


@strict("ENDSWITH", str, str, bool, least=2)
def _ends_with(text: str, suffix: str, ignore_case: bool = False) -> Any:
    text, suffix = _folded(ignore_case, text, suffix)
    return text.endswith(suffix)


@strict("CONTAINS", str, str, bool, least=2)
def _contains(text: str, part: str, ignore_case: bool = False) -> Any:
    text, part = _folded(ignore_case, text, part)
    return part in text


@strict("STRINGEQUALS", str, str, bool, least=2)
def _string_equals(left: str, right: str, ignore_case: bool = False) -> Any:
    left, right = _folded(ignore_case, left, right)
    return left == right


@strict("LOWER", str)
def _lower(text: str) -> Any:
    return text.lower()


@strict("UPPER", str)
def _upper(text: str) -> Any:
    return text.upper()


@strict("LENGTH", str)
def _length(text: str) -> Any:
    return len(text)


@strict("CONCAT", str, str, rest=str)
def _concat(*texts: str) -> Any:
    return "".join(texts)


@strict("SUBSTRING", str, NUMBER, NUMBER)
def _substring(text: str, start: float, length: float) -> Any:
    first = max(0, int(start))
    return text[first : first + max(0, int(length))]


@strict("INDEX_OF", str, str, NUMBER, least=2)
def _index_of(text: str, part: str, start: float = 0) -> Any:
    return text.find(part, max(0, int(start)))


@strict("REPLACE", str, str, str)
def _replace(text: str, old: str, new: str) -> Any:
    if not old:
        return text
    if len(text) + text.count(old) * (len(new) - len(old)) > LONGEST_TEXT:
        return UNDEFINED
    return text.replace(old, new)


@strict("REPLICATE", str, NUMBER)
def _replicate(text: str, times: float) -> Any:
    if times < 0 or len(text) * times > LONGEST_REPLICA:
        return UNDEFINED
    return text * int(times)


@strict("TRIM", str, str, least=1)
def _trim(text: str, characters: str | None = None) -> Any:
    return text.strip(characters)


@strict("LTRIM", str, str, least=1)
def _ltrim(text: str, characters: str | None = None) -> Any:
    return text.lstrip(characters)


@strict("RTRIM", str, str, least=1)
def _rtrim(text: str, characters: str | None = None) -> Any:
    return text.rstrip(characters)


@strict("LEFT", str, NUMBER)
def _left(text: str, length: float) -> Any:
    return text[: max(0, int(length))]


@strict("RIGHT", str, NUMBER)
def _right(text: str, length: float) -> Any:
    return text[max(0, len(text) - max(0, int(length))) :]


@strict("REVERSE", str)
def _reverse(text: str) -> Any:
    return text[::-1]


@lru_cache(256)
def _pattern(pattern: str, modifiers: str) -> re.Pattern[str]:
    unknown = set(modifiers) - _MODIFIERS.keys()
    if unknown:
        raise QueryError(
            f"REGEXMATCH knows the modifiers m, s, i and x, but got {''.join(sorted(unknown))!r}."
        )
    if len(pattern) > LONGEST_PATTERN:
        raise QueryError(
            f"The pattern of REGEXMATCH has {len(pattern)} characters; at most {LONGEST_PATTERN}."
        )
    flags = re.RegexFlag(0)
    for modifier in modifiers:
        flags |= _MODIFIERS[modifier]
    try:
        return re.compile(pattern, flags)
    except re.error as error:
        raise QueryError(f"The pattern {pattern!r} of REGEXMATCH is not valid: {error}.") from None


@strict("REGEXMATCH", str, str, str, least=2)
def _regex_match(text: str, pattern: str, modifiers: str = "") -> Any:
    return _pattern(pattern, modifiers).search(text) is not None


@strict("TOSTRING", ANY)
def _to_string(value: Any) -> Any:
    return text_of(value)


@strict("STRINGTONUMBER", str)
def _string_to_number(text: str) -> Any:
    if not _NUMBER.fullmatch(text):
        return UNDEFINED
    trimmed = text.strip()
    whole = trimmed.lstrip("+-").isdigit() and len(trimmed) < 300
    return number(int(trimmed) if whole else float(trimmed))


def _finite(text: str) -> Any:
    value = number(float(text))
    if value is UNDEFINED:
        raise ValueError(f"{text} is no number of JSON")
    return value


def _parsed(text: str, *kinds: type) -> Any:
    try:
        value = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError):
        return UNDEFINED
    return value if type(value) in kinds else UNDEFINED


@strict("STRINGTOARRAY", str)
def _string_to_array(text: str) -> Any:
    return _parsed(text, list)


@strict("STRINGTOOBJECT", str)
def _string_to_object(text: str) -> Any:
    return _parsed(text, dict)


@strict("STRINGTOBOOLEAN", str)
def _string_to_boolean(text: str) -> Any:
    return _parsed(text, bool)


@strict("STRINGTONULL", str)
def _string_to_null(text: str) -> Any:
    return _parsed(text, type(None))


@strict("STRINGSPLIT", str, str)
def _string_split(text: str, separator: str) -> Any:
    return text.split(separator) if separator else [text]


@strict("STRINGJOIN", list, str)
def _string_join(parts: list[Any], separator: str) -> Any:
    return separator.join(parts) if all(type(part) is str for part in parts) else UNDEFINED


@lenient("CONTAINS_ANY_CI", 2, None)
def _contains_any_ignoring_case(text: Any, *parts: Any) -> Any:
    return _any_part(text, parts, ignore_case=True)


@lenient("CONTAINS_ANY_CS", 2, None)
def _contains_any(text: Any, *parts: Any) -> Any:
    return _any_part(text, parts, ignore_case=False)


def _any_part(text: Any, parts: tuple[Any, ...], *, ignore_case: bool) -> Any:
    if type(text) is not str:
        return UNDEFINED
    (text,) = _folded(ignore_case, text)
    return any(_folded(ignore_case, part)[0] in text for part in parts if type(part) is str)

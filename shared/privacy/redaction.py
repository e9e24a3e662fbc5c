"""A document without what a place may not hold. Every copy of a source document is made here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.privacy.classes import FieldClass, Place, may_go
from shared.privacy.fields import BLOCKS, FIELDS
from shared.privacy.forms import UNKNOWN, Form, describe, fits, label, model_spelling

REDACTION = 1
"""Number of the rules. A stored copy says by which rules it was made; older copies are made again."""

REST = "*"
"""Stands for fields of an object that are not in the table. Their names may be anything."""

NOT_KEPT = "not kept"
"""Ends the description of a value. No name has as many words, so that a copy that is counted counts a
description as it counts a sentence."""

_AS_SHOWN: dict[Form, Callable[[str], str]] = {Form.NAME: label, Form.MODEL: model_spelling}
"""How views have a value of a form: without what is not a part of the name."""

_DROPPED = frozenset({FieldClass.SECRET, FieldClass.USER_PII})
"""Classes of which not even the length is told."""


@dataclass(slots=True)
class Redacted:
    """A copy of a document, and the paths of what it lacks or only describes."""

    document: object = None
    paths: set[str] = field(default_factory=set)


def redact(source: str, document: object, place: Place) -> Redacted:
    """Return a copy of a source's document with what may go to a place.

    1. A value goes there if its class may, and if its form is that of its field. A name goes as views have
       it.
    2. Of a secret, of contact data and of a field that is not in the table nothing is left, not even a name
       that is not in the table.
    3. Of any other value type and length are left, so that a reader sees what was wrong with it.
    """
    redacted = Redacted()
    redacted.document = (
        _object(source, "", document, place, redacted)
        if isinstance(document, Mapping)
        else _described("document", document, redacted)
    )
    return redacted


def _object(
    source: str, block: str, value: Mapping[object, object], place: Place, into: Redacted
) -> dict[str, object]:
    kept: dict[str, object] = {}
    for name, each in value.items():
        path = f"{block}.{name}" if block else name
        if not isinstance(path, str) or not (
            path in FIELDS.get(source, {}) or path in BLOCKS.get(source, ())
        ):
            into.paths.add(f"{block}.{REST}" if block else REST)
        elif isinstance(name, str) and not _is_dropped(source, path, place):
            kept[name] = _value(source, path, each, place, into)
        else:
            into.paths.add(path)
    return kept


def _is_dropped(source: str, path: str, place: Place) -> bool:
    known = FIELDS[source].get(path)
    return known is not None and known.field_class in _DROPPED and not may_go(known.field_class, place)


def _value(source: str, path: str, value: object, place: Place, into: Redacted) -> object:
    if isinstance(value, list):
        return [
            _described(path, each, into)
            if isinstance(each, list)
            else _value(source, path, each, place, into)
            for each in value
        ]
    if isinstance(value, Mapping) and path in BLOCKS[source]:
        return _object(source, path, value, place, into)
    known = FIELDS[source].get(path)
    if known is None:
        return value if value is None else _described(path, value, into)
    if value is None or value == "":
        return value
    if may_go(known.field_class, place):
        if fits(known.form, value):
            return value
        as_shown = _AS_SHOWN.get(known.form)
        if as_shown and isinstance(value, str) and (name := as_shown(value)) != UNKNOWN:
            into.paths.add(path)
            return name
    return _described(path, value, into)


def _described(path: str, value: object, into: Redacted) -> str:
    into.paths.add(path)
    return f"{describe(value)}, {NOT_KEPT}"


def without_secrets(source: str, document: Mapping[str, object], place: Place) -> Redacted:
    """Return a copy of a source's document with the whole values of the fields that may go to a place.

    For places that documents are read from again, where a description of a value would be of no use. A field
    that is not in the table counts as a secret.
    """
    redacted = Redacted()
    redacted.document = _permitted(source, "", document, place, redacted)
    return redacted


def _permitted(
    source: str, block: str, value: Mapping[str, object], place: Place, into: Redacted
) -> dict[str, object]:
    kept: dict[str, object] = {}
    for name, each in value.items():
        path = f"{block}.{name}" if block else name
        known = FIELDS[source].get(path)
        if path in BLOCKS[source] or (known is not None and may_go(known.field_class, place)):
            whole = _whole(source, path, each, place, into)
            if whole is not _LEFT_OUT:
                kept[name] = whole
        else:
            into.paths.add(path if known is not None else f"{block}.{REST}" if block else REST)
    return kept


_LEFT_OUT = object()


def _whole(source: str, path: str, value: object, place: Place, into: Redacted) -> object:
    """Return a value of a field, without what its objects may not have there."""
    if isinstance(value, list):
        entries = [_whole(source, path, each, place, into) for each in value]
        return [each for each in entries if each is not _LEFT_OUT]
    if isinstance(value, Mapping):
        return _permitted(source, path, value, place, into)
    if value is None or path in FIELDS[source]:
        return value
    into.paths.add(path)  # a text where the table has an object: it may be anything
    return _LEFT_OUT

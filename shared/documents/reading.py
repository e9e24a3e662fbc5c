"""Read a document: bound its size, bring it to the newest version, validate it, and say what was wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, NoReturn, TypeVar

from pydantic import PrivateAttr, ValidationError

from shared.documents.common import NO_NUMBER, NO_WHOLE_NUMBER, Identifier, SourceModel, must_be, written_at
from shared.documents.versions import newer_version, upcast
from shared.errors import DocumentError, NewerVersionError
from shared.privacy.fields import field_of

MAX_DOCUMENT_CHARACTERS = 1_048_576
"""Maximum characters in all fields together: half of the service's limit for an item. This leaves room for
the whole document in a poison row."""

MAX_NESTING = 128
"""Maximum levels of objects and lists, those of the service."""


class SourceDocument(SourceModel):
    """A whole document. Every source's has an id and a user."""

    CONTAINER: ClassVar[str]
    """Container of the documents. The table of fields says which values of it an error may quote."""

    id: Identifier
    user_id: Identifier

    _dropped_scores: int = PrivateAttr(default=0)
    _newer_version: str | None = PrivateAttr(default=None)

    @property
    def dropped_scores(self) -> int:
        """Number of scores that were left out, because they are no number from 0 to 1."""
        return self._dropped_scores

    @property
    def newer_version(self) -> str | None:
        """The version that the document says it has, if it is newer than this release; None otherwise."""
        return self._newer_version

    def check(self, document: Mapping[str, Any]) -> None:
        """Check what no field can check alone. The default checks nothing.

        Parameters
        ----------
        document
            The document as delivered, with the service's own properties.

        Raises
        ------
        DocumentError
            A time is missing, or fields contradict each other.
        """


Document = TypeVar("Document", bound=SourceDocument)


def read_document(model: type[Document], document_type: str, raw: object) -> Document:
    """Return a document of any known version, validated as the newest one.

    A version with a higher minor number than the newest is read as the newest: the specification only adds
    optional fields.

    Raises
    ------
    NewerVersionError
        The version has a higher major number, or a higher minor one and does not validate as the newest.
    DocumentError
        It is not an object, is too large, or a field has an impossible value.
    """
    document = require_object(raw, model.model_fields)
    newer = newer_version(document_type, document)
    current = upcast(document_type, document)
    dropped: list[str] = []
    try:
        written_at(document)
        read = _validated(model, current, dropped)
        read.check(document)
    except DocumentError as error:
        if newer is None:
            raise
        raise NewerVersionError(
            error.field,
            f"{error.problem}, and the document is of version {newer}, which is newer than this release",
        ) from None
    read._dropped_scores = len(dropped)
    read._newer_version = newer
    return read


def _validated(model: type[Document], document: Mapping[str, Any], dropped: list[str]) -> Document:
    try:
        return model.model_validate(document, context=dropped)
    except ValidationError as error:
        _raise_document_error(model.CONTAINER, error)


def require_object(raw: object, known: Collection[str]) -> Mapping[str, Any]:
    """Return ``raw`` as a JSON object of limited size.

    Parameters
    ----------
    known
        Fields that an error may name. Names of other fields are the document's own content.

    Raises
    ------
    DocumentError
        It is not an object, is larger than :data:`MAX_DOCUMENT_CHARACTERS`, or is nested more deeply than
        :data:`MAX_NESTING`.
    """
    if not isinstance(raw, Mapping):
        raise DocumentError("document", must_be(raw, "must be an object"))
    sizes = {name: _characters(value, 1) for name, value in raw.items()}
    if sum(sizes.values()) > MAX_DOCUMENT_CHARACTERS:
        largest = max(sizes, key=lambda name: sizes[name])
        where, what = (largest, "") if largest in known else ("document", " in a field that is not known")
        raise DocumentError(
            where,
            f"has {sizes[largest]:,} characters{what}; all fields together may have at most "
            f"{MAX_DOCUMENT_CHARACTERS:,}",
        )
    return raw


def _characters(value: object, depth: int) -> int:
    """Return the number of characters in a value that is nested ``depth`` levels deep."""
    if isinstance(value, str):
        return len(value)
    parts: Collection[object]
    if isinstance(value, dict):  # JSON has no other mapping; a check for Mapping is ten times slower
        parts = value.values()
    elif isinstance(value, list):
        parts = value
    else:
        return 0
    if depth == MAX_NESTING:
        raise DocumentError("document", f"is nested too deeply; may have at most {MAX_NESTING} levels")
    return sum([_characters(part, depth + 1) for part in parts])


_REQUIREMENTS = {
    "missing": "is missing",
    "string_too_short": "must not be empty",
    "string_type": "must be a text",
    "string_unicode": "must be a text of whole characters",
    "bool_type": "must be true or false",
    "int_type": NO_WHOLE_NUMBER,
    "int_from_float": NO_WHOLE_NUMBER,
    "float_type": NO_NUMBER,
    "list_type": "must be a list",
    "model_type": "must be an object",
    "greater_than_equal": "must be at least {ge:,}",
    "less_than_equal": "must be at most {le:,}",
    "literal_error": "must be {expected}",
    "value_error": "{error}",
}
"""What a value must be, by the type of pydantic's error. The braces name entries of the error's context."""


def _raise_document_error(source: str, error: ValidationError) -> NoReturn:
    """Raise pydantic's first error as a :class:`DocumentError` that names field, value and requirement."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or "document"
    value, kind, context = first.get("input"), first["type"], first.get("ctx", {})
    if kind == "string_too_long" and isinstance(value, str):
        problem = f"has {len(value):,} characters; may have at most {context['max_length']:,}"
    else:
        requirement = _REQUIREMENTS.get(kind, first["msg"]).format(**context)
        form = field_of(source, field).form
        problem = requirement if kind == "missing" else must_be(value, requirement, form)
    raise DocumentError(field, problem) from None

"""The specification's source documents, and every leaf and object in them and in the models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from shared.documents.incidents import IncidentDocument
from shared.documents.interactions import InteractionDocument
from shared.documents.sessions import SessionDocument
from shared.documents.users import UserDocument
from shared.facts import ABUSE_INCIDENTS, USER_INTERACTIONS, USER_SESSIONS, USERS

_SAMPLES = json.loads(
    (Path(__file__).parents[3] / "data" / "specification_documents.json").read_text("utf-8")
)

SAMPLES: dict[str, dict[str, Any]] = {
    USERS: _SAMPLES["user_profile"],
    USER_SESSIONS: _SAMPLES["user_session"],
    USER_INTERACTIONS: _SAMPLES["user_interaction"],
    ABUSE_INCIDENTS: _SAMPLES["abuse_incident"],
}
"""The sample of each source, without its comments."""

MODELS: dict[str, type[BaseModel]] = {
    USERS: UserDocument,
    USER_SESSIONS: SessionDocument,
    USER_INTERACTIONS: InteractionDocument,
    ABUSE_INCIDENTS: IncidentDocument,
}

Path_ = tuple[str | int, ...]


def leaves(value: object, path: Path_ = ()) -> Iterator[Path_]:
    """Yield the path of every value that is no object and no list."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from leaves(each, (*path, name))
    elif isinstance(value, list) and value:
        for index, each in enumerate(value):
            yield from leaves(each, (*path, index))
    else:
        yield path


def blocks(value: object, path: Path_ = ()) -> Iterator[Path_]:
    """Yield the path of every object, the document itself included."""
    if isinstance(value, dict):
        yield path
        for name, each in value.items():
            yield from blocks(each, (*path, name))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from blocks(each, (*path, index))


def model_fields(model: type[BaseModel], before: str = "") -> Iterator[str]:
    """Yield the path of every field of a model, without indexes of lists."""
    for name, field in model.model_fields.items():
        nested = list(_models(field.annotation))
        for each in nested:
            yield from model_fields(each, f"{before}{name}.")
        if not nested:
            yield f"{before}{name}"


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def named(path: Path_) -> str:
    """Return a path as the table of fields names it."""
    return ".".join(part for part in path if isinstance(part, str))


def changed(document: dict[str, Any], path: Path_, value: object) -> dict[str, Any]:
    """Return a copy of a document with another value at a path."""
    copy: dict[str, Any] = json.loads(json.dumps(document))
    place: Any = copy
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return copy

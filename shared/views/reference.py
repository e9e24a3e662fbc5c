"""What the content pipeline's documents say of texts, passages and personas. Pure.

Views join it with counts: how many verses a text has, how experts judged it, what a passage is about, and
what is expected of a persona.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from sys import intern
from typing import Any, NamedTuple, Self

from shared.aggregates.tally import NO_SAMPLES, Mean, ratio
from shared.documents.upcasters import PERSONA_AND_TEXT
from shared.documents.versions import PERSONALITY_CONTENT, PERSONALITY_PROFILE, upcast
from shared.errors import DocumentError
from shared.facts.base import UNKNOWN, Passage, passage_of
from shared.privacy.forms import label
from shared.units import hash_key, to_micro

FOUNDATIONAL_TEXT = "foundational_text"
"""``content_type`` of passages. Other documents are traits and templates of a persona."""

MAX_TOPICS = 10
"""Topics of a passage that are read, the first ones. A passage has a handful."""

WEAKEST = 5
"""Passages of a text whose translation is named for improvement."""

SOUND_ACCURACY = 0.95
"""``accuracy_score`` from which a translation needs no improvement. As the target of citations."""


class KnownPassage(NamedTuple):
    """What a passage is. Of several documents about it, the first by id says it."""

    category: str | None = None
    topics: tuple[str, ...] = ()


class Targets(NamedTuple):
    """What is expected of a persona: its ``performance_baseline``."""

    satisfaction: float | None = None
    citation_accuracy: float | None = None
    response_ms: float | None = None


@dataclass(frozen=True, slots=True)
class KnownText:
    """What is known of a text."""

    verses: int = 0
    """Passages that are a verse, or a range of verses."""
    chapters: frozenset[str] = frozenset()
    documents: int = 0
    """Documents about its passages: a passage has one for each persona."""
    complete: int = 0
    """Of these, with a translation and an explanation."""
    reviewed: int = 0
    """Of these, reviewed by an expert."""
    accuracy: Mean = NO_SAMPLES
    reviewed_accuracy: Mean = NO_SAMPLES
    sensitivity: Mean = NO_SAMPLES
    weakest: tuple[Passage, ...] = ()
    """Passages whose ``accuracy_score`` is below :data:`SOUND_ACCURACY`, the lowest first."""

    @property
    def completeness(self) -> float | None:
        """Share of the documents with a translation and an explanation."""
        return ratio(self.complete, self.documents)

    @property
    def share_reviewed(self) -> float | None:
        """Share of the documents that an expert reviewed."""
        return ratio(self.reviewed, self.documents)

    @property
    def validation_status(self) -> str | None:
        """``complete``, ``partial`` or ``none``, by the share that experts reviewed."""
        if not self.documents:
            return None
        return "complete" if self.reviewed == self.documents else "partial" if self.reviewed else "none"


@dataclass(frozen=True, slots=True)
class Reference:
    """What is known of texts, passages and personas."""

    texts: Mapping[str, KnownText] = field(default_factory=dict)
    passages: Mapping[str, KnownPassage] = field(default_factory=dict)
    """By the hash of the passage's key, which a person's state counts."""
    targets: Mapping[str, Targets] = field(default_factory=dict)
    """By persona."""

    def text(self, text: str) -> KnownText:
        """Return what is known of a text, nothing without documents about it."""
        return self.texts.get(text, _NO_TEXT)

    def passage(self, key: str) -> KnownPassage:
        """Return what is known of a passage, ``text|chapter|verse``."""
        return self.hashed_passage(hash_key(key))

    def hashed_passage(self, hashed: str) -> KnownPassage:
        """Return what is known of a passage, by the hash of its key."""
        return self.passages.get(hashed, _NO_PASSAGE)

    def targets_of(self, persona: str) -> Targets:
        """Return what is expected of a persona."""
        return self.targets.get(persona, _NO_TARGETS)


_NO_TEXT, _NO_PASSAGE, _NO_TARGETS = KnownText(), KnownPassage(), Targets()

NOTHING_KNOWN = Reference()


def is_passage(item: Mapping[str, Any]) -> bool:
    """Return whether a document of ``personality_vectors`` is about a text, and not about its persona."""
    return item.get("content_type") in (None, FOUNDATIONAL_TEXT)


def newest_content(item: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a document of ``personality_vectors`` in its newest version, None if it is no vector.

    It is none if nothing says its persona and text, or if only a newer release reads its version. The content
    pipeline writes a text as partition key.
    """
    newest = _newest(PERSONALITY_CONTENT, item)
    return newest if newest is not None and isinstance(newest.get("partition_key"), str) else None


def _newest(document_type: str, item: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        return upcast(document_type, item)
    except DocumentError:
        return None


class Named(NamedTuple):
    """The persona and the passage that a document of ``personality_vectors`` is about."""

    persona: str
    passage: Passage

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Self:
        """Read them from a document in the newest version: see :func:`newest_content`.

        ``partition_key``, ``krishna::gita``, has persona and text where their fields are missing.
        """
        persona, _, source = item["partition_key"].partition(PERSONA_AND_TEXT)
        text = label(_text(item.get("source")) or source) or UNKNOWN
        metadata = item.get("source_metadata")
        place = metadata if isinstance(metadata, Mapping) else {}
        chapter, verse = _text(place.get("chapter")), _text(place.get("verse"))
        return cls(
            label(_text(item.get("personality_id")) or persona) or UNKNOWN, passage_of(text, chapter, verse)
        )


class ReferenceCounter:
    """Collects what documents say. The order of the documents does not matter."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[tuple[str, str], KnownPassage]] = {}
        self._texts: dict[str, dict[str, Any]] = {}
        self._targets: dict[str, tuple[str, Targets]] = {}

    def add_vector(self, item: Mapping[str, Any]) -> None:
        """Add a document of ``personality_vectors``. One that is no passage of a text adds nothing.

        Parameters
        ----------
        item
            Its fields, with ``translated`` and ``explained``, the lengths of two of its texts.
        """
        newest = newest_content(item)
        if newest is None or not is_passage(item):
            return
        passage, order = Named.of(newest).passage, (str(item["id"]), newest["partition_key"])
        hashed = hash_key(passage.key)
        known = self._first.get(hashed)
        if known is None or order < known[0]:
            tags = item.get("topic_tags")
            tags = tags[:MAX_TOPICS] if isinstance(tags, list) else []
            topics = [intern(label(tag)) for tag in tags if isinstance(tag, str)]
            category = label(_text(item.get("content_category")) or "") or None
            self._first[hashed] = order, KnownPassage(category, tuple(dict.fromkeys(filter(None, topics))))
        self._count(passage, item)

    def _count(self, passage: Passage, item: Mapping[str, Any]) -> None:
        text = self._texts.setdefault(
            passage.text,
            {"verses": set(), "chapters": set(), "weakest": {}}
            | dict.fromkeys(("documents", "complete", "reviewed"), 0)
            | {name: [0, 0] for name in ("accuracy", "reviewed_accuracy", "sensitivity")},
        )
        validation = item.get("validation")
        validation = validation if isinstance(validation, Mapping) else {}
        reviewed = validation.get("expert_reviewed") is True
        accuracy, sensitivity = map(
            _share, (validation.get("accuracy_score"), validation.get("cultural_sensitivity_score"))
        )
        text["documents"] += 1
        text["complete"] += bool(item.get("translated")) and bool(item.get("explained"))
        text["reviewed"] += reviewed
        if passage.chapter is not None:
            text["chapters"].add(passage.chapter)
        if passage.verse is not None:
            text["verses"].add((passage.chapter, passage.verse))
        _sample(text["accuracy"], accuracy)
        _sample(text["reviewed_accuracy"], accuracy if reviewed else None)
        _sample(text["sensitivity"], sensitivity)
        if accuracy is not None and accuracy < SOUND_ACCURACY:
            weakest = text["weakest"]
            weakest[passage] = min(accuracy, weakest.get(passage, accuracy))
            if len(weakest) > 2 * WEAKEST:
                text["weakest"] = {each: weakest[each] for each in _lowest(weakest)}

    def add_personality(self, item: Mapping[str, Any]) -> None:
        """Add a document of ``personalities``. Of several versions of a persona the last by id counts."""
        baseline = item.get("performance_baseline")
        if item.get("is_active") is False or not isinstance(baseline, Mapping):
            return
        if _newest(PERSONALITY_PROFILE, item) is None:
            return
        persona, order = label(_text(item.get("personality_id")) or ""), str(item["id"])
        names = ("target_satisfaction_score", "target_citation_accuracy", "target_response_time_ms")
        if persona and order >= self._targets.get(persona, ("",))[0]:
            self._targets[persona] = order, Targets(*(_positive(baseline.get(name)) for name in names))

    def reference(self) -> Reference:
        """Return what was collected."""
        return Reference(
            {name: _known(text) for name, text in self._texts.items()},
            {hashed: known for hashed, (_, known) in self._first.items()},
            {persona: targets for persona, (_, targets) in self._targets.items()},
        )


def _known(text: Mapping[str, Any]) -> KnownText:
    return KnownText(
        len(text["verses"]),
        frozenset(text["chapters"]),
        text["documents"],
        text["complete"],
        text["reviewed"],
        Mean(*text["accuracy"]),
        Mean(*text["reviewed_accuracy"]),
        Mean(*text["sensitivity"]),
        tuple(_lowest(text["weakest"])),
    )


def _lowest(scores: Mapping[Passage, float]) -> Iterable[Passage]:
    return sorted(scores, key=lambda passage: (scores[passage], passage.key))[:WEAKEST]


def _sample(mean: list[int], value: float | None) -> None:
    if value is not None:
        mean[0] += to_micro(value)
        mean[1] += 1


def _share(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and 0 <= number <= 1 else None


def _positive(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and number > 0 else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text(value: object) -> str | None:
    """Return a name or number of a document as text, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)

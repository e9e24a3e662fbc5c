"""Decide what to do with one document: a pure function of the published document and the candidate.

Every published document carries the state that it was computed from: generation, revision (the sum of the
revisions of its inputs), a digest of those revisions, a tick (the part of the clock it depends on), and a
hash of its content. The rules compare these values, in this order:

1. Nothing is published. A candidate without a body changes nothing. A candidate from delivered states is not
   created (:class:`NeedsRead`): the document may be absent because a newer state deleted it, so the state has
   to be read first. Any other candidate is created.
2. A document of a later generation stays.
3. The same state is published, at the same tick or a later one: the document stays, unless
   :attr:`WriteWhen.ALWAYS`.
4. The published revision is greater, or equal with another digest: the candidate was computed from less than
   what is published (:class:`Stale`). The publisher reads the state again.
5. A candidate without a body deletes the document.
6. Under :attr:`WriteWhen.CONTENT_CHANGED` a document with the same content stays, unless its tick has changed
   and it expires before :data:`LONG_TTL`. Limit: the document keeps its older revision, so a publisher that
   read an older state may replace it until it is published the next time.
7. Any other candidate replaces the document.

Of two publications of one document, in any order, the one with the newer state wins. The writer executes a
decision under the etag of the document that the decision is about. After a concurrent write, the etag differs
and the write fails.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from hashlib import sha256
from typing import Any, NamedTuple

from shared.clock import REPLICA_LAG_SECONDS
from shared.containers import DAY
from shared.errors import StaleReadError, TransientStaleReadError
from shared.views.base import Rendered, Stamp

VOLATILE_FIELDS = frozenset({"state", "calculated_at", "data_freshness", "last_updated", "generated_at"})
"""Fields that change with every publication. The content hash leaves them out."""

LONG_TTL = 7 * DAY
"""Time to live, in seconds, from which a document is not rewritten for a new tick alone."""


class Origin(Enum):
    """Where the states of a candidate come from."""

    DELIVERED = auto()
    """The change feed delivered some of them. A newer one may exist."""
    READ = auto()
    """All were read from ``view_state`` for this publication."""


class WriteWhen(Enum):
    """Which difference makes the publisher write a document that exists."""

    STATE_CHANGED = auto()
    CONTENT_CHANGED = auto()
    """For views in which one change of state affects many documents and changes the content of few."""
    ALWAYS = auto()
    """The document is written even for the same state: a release may have rendered it wrongly."""


@dataclass(frozen=True, slots=True)
class ExistingDocument:
    """The values of a published document that decisions need."""

    partition: str
    """The partition key value."""
    etag: str
    generation: int
    revision: int
    tick: str
    digest: str
    content: str
    as_of: datetime | None
    """When the newest partial behind it was written; None if the document does not state it."""

    @classmethod
    def decode(cls, item: Mapping[str, Any], *, partition: str, etag: str) -> ExistingDocument:
        """Decode a stored document. Documents of other writers have no ``state``."""
        state = item.get("state", {})
        return cls(
            partition,
            etag,
            state.get("generation", 0),
            state.get("revision", 0),
            state.get("tick", ""),
            state.get("digest", ""),
            state.get("content", ""),
            datetime.fromisoformat(item["calculated_at"]) if "calculated_at" in item else None,
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rendered document, and the state that it was computed from."""

    rendered: Rendered
    """Without a body: the document must not exist."""
    stamp: Stamp
    digest: str
    """See :func:`digest_of`."""
    origin: Origin = Origin.READ
    write_when: WriteWhen = WriteWhen.STATE_CHANGED


@dataclass(frozen=True, slots=True)
class Create:
    """No document exists."""

    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Replace:
    """The document is older than the candidate."""

    body: Mapping[str, Any]
    existing: ExistingDocument


@dataclass(frozen=True, slots=True)
class Delete:
    """The newer state has no such document."""

    existing: ExistingDocument


class Reason(Enum):
    """Why a document is not written."""

    ABSENT = auto()
    """It does not exist, and it must not exist."""
    NEWER_GENERATION = auto()
    SAME_STATE = auto()
    SAME_CONTENT = auto()
    """The candidate's state is newer and gives the same content."""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Nothing is to be written."""

    reason: Reason
    existing: ExistingDocument | None = None


@dataclass(frozen=True, slots=True)
class Stale:
    """The candidate's state is older than the published one."""

    existing: ExistingDocument
    """The published document."""


@dataclass(frozen=True, slots=True)
class NeedsRead:
    """No document exists, and the candidate's states were delivered: the publisher has to read them."""


Decision = Create | Replace | Delete | Unchanged | Stale | NeedsRead


def decide(existing: ExistingDocument | None, candidate: Candidate) -> Decision:
    """Return what to do with a document, by the rules in the module's docstring.

    Parameters
    ----------
    existing
        The published document, None if there is none. It may be outdated: the etag guards the write.
    """
    stamp, body = candidate.stamp, candidate.rendered.body
    if existing is None:
        if body is None:
            return Unchanged(Reason.ABSENT)
        return NeedsRead() if candidate.origin is Origin.DELIVERED else Create(_stored(body, candidate))
    published, computed = (existing.generation, existing.revision), (stamp.generation, stamp.revision)
    is_same_state = published == computed and existing.digest == candidate.digest
    if existing.generation > stamp.generation:
        return Unchanged(Reason.NEWER_GENERATION, existing)
    if is_same_state and existing.tick >= stamp.tick and candidate.write_when is not WriteWhen.ALWAYS:
        return Unchanged(Reason.SAME_STATE, existing)
    if published >= computed and not is_same_state:
        return Stale(existing)
    if body is None:
        return Delete(existing)
    stored = _stored(body, candidate)
    if candidate.write_when is WriteWhen.CONTENT_CHANGED and _is_same_content(existing, stored, stamp):
        return Unchanged(Reason.SAME_CONTENT, existing)
    return Replace(stored, existing)


def digest_of(revisions: Iterable[tuple[Any, ...]]) -> str:
    """Return a short hash of the revisions of a document's inputs: equal only for equal states."""
    return sha256(repr(sorted(revisions)).encode()).hexdigest()[:16]


def content_hash(body: Mapping[str, Any]) -> str:
    """Return a short hash of a document without its :data:`VOLATILE_FIELDS`."""
    content = {name: value for name, value in body.items() if name not in VOLATILE_FIELDS}
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def is_final(decision: Decision, candidate: Candidate) -> bool:
    """Return whether the published document now carries the candidate's state.

    If it does not, a publisher that read an older state may still write the document. This is possible if the
    document is absent, or if it carries an older revision. The next publication has to check the document.
    """
    if isinstance(decision, Unchanged) and decision.reason is Reason.SAME_CONTENT:
        return False
    return candidate.rendered.body is not None


class Delivery(NamedTuple):
    """The state that a document should have carried before this publication: its change was delivered."""

    generation: int
    revision: int
    """Sum of the revisions of the inputs that were written up to ``until``."""
    until: int
    """When the newest delivered partial was written, in seconds since the epoch; 0 without a delivery."""


def was_missed(replaced: ExistingDocument | None, delivery: Delivery) -> bool:
    """Return whether the document that was replaced lacked the delivered state.

    Later writes do not count, because their own delivery publishes them.
    """
    if replaced is None or replaced.generation < delivery.generation:
        return True
    if replaced.as_of is not None and replaced.as_of.timestamp() < delivery.until:
        return True
    return replaced.revision < delivery.revision


def is_contention_or_lag(observed: Sequence[Stale], now: datetime) -> bool:
    """Return whether a later attempt may succeed, after one or more stale reads.

    ========================================  =====================================================
    observation                               meaning
    ========================================  =====================================================
    different etags                           contention: other instances publish the document
    the last document is of the last minute   a lagging replica: :data:`REPLICA_LAG_SECONDS`
    neither                                   the state went back: ``view_state`` was restored or
                                              emptied under the same generation; a retry cannot help
    ========================================  =====================================================
    """
    as_of = observed[-1].existing.as_of
    if len({stale.existing.etag for stale in observed}) > 1:
        return True
    return as_of is not None and (now - as_of).total_seconds() < REPLICA_LAG_SECONDS


def stale_error(container: str, observed: Sequence[Stale], now: datetime) -> StaleReadError:
    """Return the error for stale reads that remain after all retries: see :func:`is_contention_or_lag`."""
    existing = observed[-1].existing
    message = f"{container}: {existing.generation, existing.revision} is published"
    return (TransientStaleReadError if is_contention_or_lag(observed, now) else StaleReadError)(message)


def _stored(body: Mapping[str, Any], candidate: Candidate) -> dict[str, Any]:
    """Return the body as it is stored: with the digest and the content hash in its ``state``."""
    hashes = {"digest": candidate.digest, "content": content_hash(body)}
    return {**body, "state": body["state"] | hashes}


def _is_same_content(existing: ExistingDocument, stored: Mapping[str, Any], stamp: Stamp) -> bool:
    lasts = existing.tick == stamp.tick or (stored["_ttl"] or LONG_TTL) >= LONG_TTL
    published, computed = (
        (existing.generation, existing.content),
        (stamp.generation, stored["state"]["content"]),
    )
    return lasts and published == computed

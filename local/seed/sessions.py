"""``user_sessions`` documents in the shape of the specification, section 1.2.

A session is written twice: when it begins, active and empty, and when it is over, with what happened in it.
What happened is added up from its interactions as they are written, so that the two always agree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import Any, Literal

from local.seed.documents import pick, score, session_id, timestamp
from local.seed.people import Person

SESSIONS = "user_sessions"

NINETY_DAYS_SECONDS = 7_776_000

Status = Literal["active", "completed", "abandoned", "expired"]

STATUSES: tuple[tuple[Status, float], ...] = (
    ("completed", 77),
    ("abandoned", 13),
    ("expired", 7),
    ("active", 3),  # nobody ever wrote their end
)

REASONS: dict[Status, tuple[tuple[str, float], ...]] = {
    "completed": (("natural_end", 7), ("user_logout", 3)),
    "abandoned": (("timeout", 9), ("system_error", 1)),
    "expired": (("timeout", 1),),
}

IDLE_MILLIS = 30 * 60_000
"""After half an hour in which nothing happens the web application gives a session up."""

LONGEST_ANSWER_MILLIS = 20_000
"""Longer than any answer of the sample traffic takes: only then does a session end by itself."""

DEVICES: tuple[tuple[tuple[str, str, str, str], float], ...] = (
    (("desktop", "Chrome/138.0", "Windows", "1920x1080"), 30),
    (("desktop", "Chrome/138.0", "macOS", "2560x1440"), 14),
    (("desktop", "Firefox/141.0", "Linux", "1920x1200"), 6),
    (("mobile", "Safari/18.5", "iOS", "393x852"), 24),
    (("mobile", "Chrome/138.0", "Android", "412x915"), 20),
    (("tablet", "Safari/18.5", "iPadOS", "820x1180"), 6),
)
"""Device type, browser, operating system and screen."""

COUNTRIES: dict[str, str] = {
    "America/New_York": "US",
    "America/Los_Angeles": "US",
    "America/Sao_Paulo": "BR",
    "Europe/London": "GB",
    "Europe/Berlin": "DE",
    "Asia/Kolkata": "IN",
    "Asia/Tokyo": "JP",
}


@dataclass(frozen=True, slots=True)
class Ending:
    """How and when a session ends. Times are milliseconds since the epoch."""

    status: Status
    reason: str | None
    end: int | None
    """None as long as it goes on."""
    written: int
    """When the web application writes it down: of one that was left, only after a while."""


def start_of(begun: int) -> int:
    """Return when a session began whose first question was asked at ``begun``: on the second in its id."""
    return begun - begun % 1000


@dataclass(slots=True)
class Session:
    """One session, and what its interactions came to so far."""

    person: Person
    begun: int
    """When its first question was asked, in milliseconds since the epoch."""
    random: Random
    count: int = 0
    response_millis: int = 0
    citations: int = 0
    last_answer: int = 0
    personas: dict[str, None] = field(default_factory=dict)
    """In the order in which they were asked, as are the texts."""
    texts: dict[str, None] = field(default_factory=dict)
    ratings: dict[str, int] = field(default_factory=dict)
    """The latest rating by interaction."""
    _fixed: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.last_answer = self.begun
        self._fixed = _fixed(self.person, self.random)

    @property
    def start(self) -> int:
        """When it began, in milliseconds since the epoch."""
        return start_of(self.begun)

    @property
    def id(self) -> str:
        """The session's id."""
        return session_id(self.person.user_id, self.begun)

    def asked(self, moment: int, document: dict[str, Any]) -> None:
        """Count a question; of a malformed document, what can be read of it."""
        self.count += 1
        took = document["response_time_ms"]
        self.response_millis += took
        self.last_answer = max(self.last_answer, moment + took)
        self.personas[document["response_metadata"]["personality_used"]] = None
        citations = document["foundational_texts_used"]
        if isinstance(citations, list):
            self.citations += len(citations)
            self.texts.update((citation["source"], None) for citation in citations)

    def rated(self, document: dict[str, Any]) -> None:
        """Remember a rating."""
        self.ratings[document["id"]] = document["user_rating"]

    def opened(self) -> dict[str, Any]:
        """Write the session out as it begins."""
        return self._document(Ending("active", None, None, self.start), depth=None, quality=None)

    def closed(self, ending: Ending) -> dict[str, Any]:
        """Write the session out as it stands when it is over, or when it was last seen."""
        depth = min(1.0, 0.2 + 0.04 * self.count + 0.3 * self.citations / self.count) if self.count else 0.0
        return self._document(ending, depth=score(self.random, depth), quality=score(self.random, 0.82))

    def _document(self, ending: Ending, *, depth: float | None, quality: float | None) -> dict[str, Any]:
        end = None if ending.end is None else max(ending.end, self.last_answer)
        active = end is None or ending.status == "expired"
        last = (self.last_answer if self.count else self.start) if active else end
        assert last is not None  # noqa: S101  either there is an end or it is active
        seconds = None if end is None else round((end - self.start) / 1000)
        over = ending.status != "active"
        return {
            "id": self.id,
            "partition_key": self.person.user_id,
            "user_id": self.person.user_id,
            "document_type": "user_session",
            "session_id": self.id,
            "session_token": self._fixed["session_token"],
            "start_time": timestamp(self.start),
            "end_time": None if end is None else timestamp(end),
            "duration_seconds": seconds,
            "last_activity": timestamp(last),
            "status": ending.status,
            "completion_reason": ending.reason,
            "interaction_count": self.count,
            "total_response_time_ms": self.response_millis,
            "avg_response_time_ms": round(self.response_millis / self.count) if self.count else None,
            "user_satisfaction_rating": self._satisfaction(),
            "personalities_engaged": list(self.personas),
            "foundational_texts_accessed": list(self.texts),
            "citation_interactions": sum(self.random.random() < 0.6 for _ in range(self.citations)),
            "content_depth_score": depth,
            "device_info": self._fixed["device_info"],
            "location_context": self._fixed["location_context"],
            "session_quality_score": quality,
            "engagement_indicators": {
                "scroll_depth": score(self.random, 0.8) if over else None,
                "time_on_guidance": None if seconds is None else round(seconds * 0.8),
                "return_likelihood": score(self.random, 0.7) if over else None,
            },
            "created_at": timestamp(self.start),
            "updated_at": timestamp(max(ending.written, last)),
            "_ttl": NINETY_DAYS_SECONDS,
        }

    def _satisfaction(self) -> float | None:
        return round(sum(self.ratings.values()) / len(self.ratings), 2) if self.ratings else None


def draw_ending(last_question: int, random: Random) -> Ending:
    """Draw how a session ends whose last question was asked at ``last_question``, and when."""
    status = pick(random, STATUSES)
    answered = last_question + LONGEST_ANSWER_MILLIS
    if status == "active":
        return Ending(status, None, None, answered)
    reason = pick(random, REASONS[status])
    match status:
        case "completed":
            end = answered + round(random.lognormvariate(4.0, 0.8) * 1000)  # about a minute to read
            return Ending(status, reason, end, end)
        case "abandoned":
            end = answered + random.randrange(5_000)
            return Ending(status, reason, end, end + IDLE_MILLIS)
        case _:
            return Ending(status, reason, answered + IDLE_MILLIS, answered + IDLE_MILLIS)


def _fixed(person: Person, random: Random) -> dict[str, Any]:
    """Draw what does not change while a session lasts."""
    # Somebody comes with the same device nearly always.
    own = Random(f"{person.user_id}:device") if random.random() < 0.9 else random
    kind, browser, system, screen = pick(own, DEVICES)
    return {
        "session_token": f"sample-token-{random.getrandbits(96):024x}",
        "device_info": {
            "device_type": kind,
            "browser": browser,
            "os": system,
            "screen_resolution": screen,
        },
        "location_context": {
            "country": COUNTRIES[person.timezone],
            "timezone": person.timezone,
            "ip_hash": sha256(random.randbytes(4)).hexdigest(),
        },
    }

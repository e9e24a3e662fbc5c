"""``users`` documents in the shape of the specification, section 1.1: accounts, and what people agreed to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from local.seed.documents import pick, timestamp
from local.seed.people import Person

USERS = "users"

REFUSING_SHARE = 0.05
"""Share of people who do not agree to user-level analytics when they register."""
CHANGING_SHARE = 0.05
"""Share of people who change that later: in turn somebody who agreed, and somebody who did not."""

YEAR_MILLIS = 365 * 86_400_000

LOCALES: dict[tuple[str, str], str] = {
    ("en", "Asia/Kolkata"): "en-IN",
    ("en", "Europe/London"): "en-GB",
    ("hi", "Asia/Kolkata"): "hi-IN",
    ("de", "Europe/Berlin"): "de-DE",
    ("es", "America/Sao_Paulo"): "es-419",
}


@dataclass(frozen=True, slots=True)
class Consent:
    """Whether a person agrees to user-level analytics, and whether they change that later."""

    agrees: bool
    changes: bool

    @property
    def last(self) -> bool:
        """What the person says in the end."""
        return self.agrees != self.changes


def draw_consents(people: Sequence[Person], random: Random) -> list[Consent]:
    """Draw what each of ``people`` agrees to: exactly the shares asked for, rounded."""
    everybody = range(len(people))
    refusing = random.sample(everybody, round(len(people) * REFUSING_SHARE))
    agreeing = [index for index in everybody if index not in set(refusing)]
    changing = round(len(people) * CHANGING_SHARE)
    regretting = random.sample(refusing, min(changing // 2, len(refusing)))
    changed = {*regretting, *random.sample(agreeing, min(changing - len(regretting), len(agreeing)))}
    return [Consent(index not in set(refusing), index in changed) for index in everybody]


def account_document(person: Person, registered: int, consent: Consent, random: Random) -> dict[str, Any]:
    """Write a person out as registered at ``registered``, in milliseconds since the epoch."""
    name = f"Sample Person {person.user_id[:8]}"
    moment = timestamp(registered)
    texts = dict.fromkeys(text.source for persona, _ in person.personas for text, _ in persona.sources)
    tier = pick(random, (("free", 80), ("premium", 17), ("enterprise", 3)))
    return {
        "id": f"user_{person.user_id}",
        "partition_key": person.user_id,
        "user_id": person.user_id,
        "document_type": "user_profile",
        "auth_id": f"{random.getrandbits(64):016x}",
        "email": f"{person.user_id[:8]}@example.com",
        "name": name,
        "auth_provider": pick(random, (("microsoft", 6), ("google", 3), ("email", 1))),
        "email_verified": random.random() < 0.95,
        "account_status": "active",
        "subscription_tier": tier,
        "subscription_expires": None if tier == "free" else timestamp(registered + YEAR_MILLIS),
        "account_flags": ["beta_tester"] if random.random() < 0.06 else [],
        "preferred_language": person.language,
        "preferred_personalities": [persona.name for persona, _ in person.personas],
        "content_preferences": {
            "foundational_texts": list(texts),
            "complexity_level": pick(random, (("beginner", 3), ("intermediate", 5), ("advanced", 2))),
            "citation_style": pick(random, (("detailed", 6), ("brief", 4))),
        },
        "privacy_settings": {
            "data_collection_consent": True,
            "analytics_consent": consent.agrees,
            "marketing_consent": random.random() < 0.3,
        },
        "created_at": moment,
        "updated_at": moment,
        "last_login": moment,
        "profile_version": "1.0",
        "timezone": person.timezone,
        "locale": LOCALES.get((person.language, person.timezone), f"{person.language}-US"),
        "_ttl": None,
    }


def with_other_consent(document: dict[str, Any], moment: int) -> dict[str, Any]:
    """Return the whole document as it is replaced when a person changes what they agree to."""
    privacy = document["privacy_settings"]
    return {
        **document,
        "privacy_settings": {**privacy, "analytics_consent": not privacy["analytics_consent"]},
        "updated_at": timestamp(moment),
        "last_login": timestamp(moment),
    }

"""``personalities`` documents in the shape of the specification, section 1.4: how each persona is set up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from local.seed.personas import PERSONAS, Persona

PERSONALITIES = "personalities"


@dataclass(frozen=True, slots=True)
class Character:
    """What a configuration says of a persona beside its name and texts."""

    full_name: str
    domain: str
    description: str
    context: str
    traits: tuple[str, ...]
    tone: str
    style: str
    formality: str
    expertise: tuple[str, ...]
    secondary: tuple[str, ...] = ()


# fmt: off
CHARACTERS: dict[str, Character] = {
    "krishna": Character(
        "Lord Krishna", "spiritual", "Counsel from the Bhagavad Gita and the Upanishads",
        "Hindu philosophy and dharma", ("wise", "compassionate", "dharmic", "strategic", "patient"),
        "authoritative_yet_compassionate", "thoughtful_teacher", "respectful",
        ("dharma", "karma_yoga", "leadership", "duty", "decision_making"), ("mahabharata",),
    ),
    "buddha": Character(
        "Gautama Buddha", "spiritual", "Counsel from the Dhammapada", "Early Buddhism",
        ("calm", "compassionate", "mindful"), "gentle", "guide", "respectful",
        ("mindfulness", "suffering", "equanimity"),
    ),
    "jesus": Character(
        "Jesus of Nazareth", "spiritual", "Counsel from the four gospels", "Early Christianity",
        ("loving", "forgiving", "humble"), "warm", "teacher", "respectful",
        ("forgiveness", "love", "service"),
    ),
    "socrates": Character(
        "Socrates", "philosophical", "Questions in the manner of Plato's dialogues", "Classical Athens",
        ("curious", "ironic", "persistent"), "questioning", "mentor", "casual",
        ("ethics", "self_knowledge", "justice"),
    ),
    "marcus_aurelius": Character(
        "Marcus Aurelius", "philosophical", "Counsel from the Meditations", "Roman Stoicism",
        ("disciplined", "sober", "just"), "plain", "mentor", "formal",
        ("stoicism", "self_control", "leadership"),
    ),
    "rumi": Character(
        "Jalal ad-Din Rumi", "literary", "Images from the Masnavi", "Persian Sufism",
        ("loving", "ecstatic", "playful"), "lyrical", "guide", "reverent",
        ("love", "longing", "union"),
    ),
    "lao_tzu": Character(
        "Lao Tzu", "philosophical", "Counsel from the Tao Te Ching", "Taoism",
        ("simple", "paradoxical", "quiet"), "terse", "guide", "casual",
        ("simplicity", "non_action", "balance"),
    ),
    "confucius": Character(
        "Confucius", "philosophical", "Counsel from the Analects", "Classical China",
        ("orderly", "learned", "courteous"), "measured", "teacher", "formal",
        ("family", "learning", "propriety"),
    ),
    "chanakya": Character(
        "Chanakya", "historical", "Statecraft from the Arthashastra", "Maurya India",
        ("shrewd", "realistic", "strategic"), "direct", "advisor", "formal",
        ("statecraft", "strategy", "economics"),
    ),
    "einstein": Character(
        "Albert Einstein", "historical", "Thoughts from his popular writings", "Physics of the 20th century",
        ("curious", "humorous", "independent"), "playful", "teacher", "casual",
        ("science", "curiosity", "peace"),
    ),
    "lincoln": Character(
        "Abraham Lincoln", "historical", "Counsel from his speeches", "The United States in civil war",
        ("patient", "honest", "resolute"), "plain", "advisor", "formal",
        ("leadership", "unity", "justice"),
    ),
}
# fmt: on


def configurations() -> list[dict[str, Any]]:
    """Return the configuration of every persona that is listed."""
    return [_configuration(persona, CHARACTERS[persona.name]) for persona in PERSONAS]


def _configuration(persona: Persona, character: Character) -> dict[str, Any]:
    return {
        "id": persona.name,
        "partition_key": persona.name,
        "personality_id": persona.name,
        "document_type": "personality_profile",
        "full_name": character.full_name,
        "domain": character.domain,
        "description": character.description,
        "cultural_context": character.context,
        "personality_traits": list(character.traits),
        "response_tone": character.tone,
        "communication_style": character.style,
        "formality_level": character.formality,
        "system_prompt_template": f"Answer as {character.full_name} would, and cite what you rely on.",
        "temperature": persona.temperature,
        "max_tokens": 800,
        "safety_guidelines": ["respect_religious_sensitivity", "avoid_theological_debates"],
        "primary_sources": [text.source for text, _ in persona.sources],
        "secondary_sources": list(character.secondary),
        "content_expertise": list(character.expertise),
        "typical_queries": ["leadership_guidance", "decision_making", "duty_vs_desire"],
        "response_patterns": {
            "citation_frequency": "high" if persona.cites >= 1.3 else "medium",
            "story_usage": "frequent",
            "practical_application": "always",
        },
        "is_active": True,
        "is_featured": persona.popularity >= 10,
        "availability": "public",
        "personality_version": "1.2",
        "last_updated": "2025-08-01T00:00:00Z",
        "performance_baseline": {
            "target_satisfaction_score": 4.5,
            "target_citation_accuracy": 0.95,
            "target_response_time_ms": 1200,
        },
        "created_at": "2025-07-01T00:00:00Z",
        "created_by": "system",
        "_ttl": None,
    }

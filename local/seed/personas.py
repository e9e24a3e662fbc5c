"""The personas people ask, the texts each one answers from and the way each one speaks."""

from __future__ import annotations

from dataclasses import dataclass

from local.seed import texts
from local.seed.texts import Text


@dataclass(frozen=True, slots=True)
class Persona:
    """One persona of the platform."""

    name: str
    popularity: float
    """Relative share of the questions put to all personas."""
    sources: tuple[tuple[Text, float], ...]
    """Texts it cites and their relative weights."""
    openings: tuple[str, ...]
    cites: float
    """Mean number of citations in an answer."""
    temperature: float


PERSONAS: tuple[Persona, ...] = (
    Persona(
        "krishna",
        30,
        ((texts.BHAGAVAD_GITA, 8), (texts.KATHA_UPANISHAD, 1), (texts.ISHA_UPANISHAD, 1)),
        ("Dear friend,", "Stand firm in your dharma, dear one.", "Let us look at the field before you."),
        1.8,
        0.7,
    ),
    Persona(
        "buddha",
        16,
        ((texts.DHAMMAPADA, 1),),
        ("Friend,", "Breathe, and look closely.", "Consider where this unease begins."),
        1.4,
        0.6,
    ),
    Persona(
        "jesus",
        12,
        ((texts.MATTHEW, 4), (texts.JOHN, 3), (texts.LUKE, 3), (texts.MARK, 1)),
        ("Peace be with you.", "Do not be afraid.", "Think of a man who had two sons."),
        1.5,
        0.6,
    ),
    Persona(
        "socrates",
        11,
        ((texts.APOLOGY, 2), (texts.REPUBLIC, 3)),
        ("Let us examine this together.", "And what do you mean by that word?", "I know only that I ask."),
        0.9,
        0.8,
    ),
    Persona(
        "marcus_aurelius",
        10,
        ((texts.MEDITATIONS, 1),),
        ("Begin the morning with this.", "Look at the thing itself.", "What is in your power here?"),
        1.3,
        0.5,
    ),
    Persona(
        "rumi",
        8,
        ((texts.MASNAVI, 1),),
        ("Listen to the reed.", "Beloved,", "Come, come closer."),
        1.1,
        0.9,
    ),
    Persona(
        "lao_tzu",
        6,
        ((texts.TAO_TE_CHING, 1),),
        ("Water does not argue.", "The soft outlasts the hard.", "Do less, and see."),
        1.0,
        0.7,
    ),
    Persona(
        "confucius",
        3,
        ((texts.ANALECTS, 1),),
        ("Let us first set the names right.", "One learns, and then practises."),
        1.0,
        0.5,
    ),
    Persona(
        "chanakya",
        2,
        ((texts.ARTHASHASTRA, 2), (texts.CHANAKYA_NITI, 3)),
        ("First know your own strength.", "A ruler weighs before acting."),
        1.1,
        0.5,
    ),
    Persona(
        "einstein",
        1.5,
        ((texts.RELATIVITY, 1), (texts.WORLD_AS_I_SEE_IT, 3)),
        ("Imagine it as simply as possible.", "Curiosity has its own reason."),
        0.7,
        0.8,
    ),
    Persona(
        "lincoln",
        1,
        ((texts.GETTYSBURG, 1), (texts.SECOND_INAUGURAL, 1)),
        ("My fellow citizen,", "Let us have patience with one another."),
        0.8,
        0.6,
    ),
)

UNLISTED_PERSONA = Persona(
    "hildegard_of_bingen",
    0.05,
    (),
    ("Be green and living.",),
    0.0,
    0.7,
)
"""A persona that a feature test of the web application uses: unknown to every list, and valid input."""

"""The foundational texts that sample citations point into, with their real divisions.

Only divisions that editions agree on are listed. Where numbering differs between editions (the Analects,
Plato's Stephanus sections), the citation stops at the level that does not; a citation without a verse is
valid input anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Text:
    """A foundational text and how it is divided."""

    source: str
    """Its name in documents, as the field ``source`` of a citation."""
    chapters: tuple[str, ...] = ()
    """Names of its chapters (books, sections); empty for a text that is cited as a whole."""
    verses: tuple[tuple[int, int], ...] = ()
    """First and last verse of each chapter; empty if its verses are not numbered alike everywhere."""

    def __post_init__(self) -> None:
        if self.verses and len(self.verses) != len(self.chapters):
            raise ValueError(f"{self.source}: {len(self.chapters)} chapters, {len(self.verses)} verse ranges")

    @property
    def total_verses(self) -> int:
        """Number of verses in all chapters, 0 if they are not numbered."""
        return sum(last - first + 1 for first, last in self.verses)

    def passage(self, random: Random, without_verse: float) -> tuple[str | None, str | None]:
        """Pick a chapter and a verse of it; the verse is left out with probability ``without_verse``."""
        if not self.chapters:
            return None, None
        # Some passages are quoted far more often than others: squaring favours the front of the book.
        index = int(random.random() ** 2 * len(self.chapters))
        leave_out = random.random() < without_verse
        if not self.verses or leave_out:
            return self.chapters[index], None
        first, last = self.verses[index]
        return self.chapters[index], str(random.randint(first, last))


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(1, count + 1))


def _per_chapter(source: str, *counts: int) -> Text:
    """Verses start again at 1 in every chapter."""
    return Text(source, _numbered(len(counts)), tuple((1, count) for count in counts))


def _running(source: str, *last_verses: int) -> Text:
    """Verses are numbered through the whole text; ``last_verses`` are the last of each chapter."""
    firsts = (1, *(last + 1 for last in last_verses[:-1]))
    return Text(source, _numbered(len(last_verses)), tuple(zip(firsts, last_verses, strict=True)))


# fmt: off
BHAGAVAD_GITA = _per_chapter(
    "bhagavad_gita", 47, 72, 43, 42, 29, 47, 30, 28, 34, 42, 55, 20, 34, 27, 20, 24, 28, 78
)
ISHA_UPANISHAD = _per_chapter("isha_upanishad", 18)
KATHA_UPANISHAD = Text(
    "katha_upanishad",
    ("1.1", "1.2", "1.3", "2.1", "2.2", "2.3"),
    ((1, 29), (1, 25), (1, 17), (1, 15), (1, 15), (1, 18)),
)
DHAMMAPADA = _running(
    "dhammapada",
    20, 32, 43, 59, 75, 89, 99, 115, 128, 145, 156, 166, 178, 196, 208, 220, 234, 255, 272, 289, 305, 319,
    333, 359, 382, 423,
)
MATTHEW = _per_chapter(
    "gospel_of_matthew",
    25, 23, 17, 25, 48, 34, 29, 34, 38, 42, 30, 50, 58, 36, 39, 28, 27, 35, 30, 34, 46, 46, 39, 51, 46, 75,
    66, 20,
)
MARK = _per_chapter("gospel_of_mark", 45, 28, 35, 41, 43, 56, 37, 38, 50, 52, 33, 44, 37, 72, 47, 20)
LUKE = _per_chapter(
    "gospel_of_luke",
    80, 52, 38, 44, 39, 49, 50, 56, 62, 42, 54, 59, 35, 35, 32, 31, 37, 43, 48, 47, 38, 71, 56, 53,
)
JOHN = _per_chapter(
    "gospel_of_john",
    51, 25, 36, 54, 47, 71, 53, 59, 41, 42, 57, 50, 38, 31, 27, 33, 26, 40, 42, 31, 25,
)
MASNAVI = _per_chapter("masnavi", 4003, 3810, 4810, 3855, 4238, 4916)  # Nicholson's edition
TAO_TE_CHING = Text("tao_te_ching", _numbered(81))
ANALECTS = Text("analects", _numbered(20))
APOLOGY = Text("plato_apology", tuple(str(page) for page in range(17, 43)))  # Stephanus pages
REPUBLIC = Text("plato_republic", _numbered(10))
MEDITATIONS = _per_chapter("meditations", 17, 17, 16, 51, 36, 59, 75, 61, 42, 38, 39, 36)
RELATIVITY = Text("relativity_special_and_general", _numbered(32))
WORLD_AS_I_SEE_IT = Text("the_world_as_i_see_it")
GETTYSBURG = Text("gettysburg_address")
SECOND_INAUGURAL = Text("second_inaugural_address")
ARTHASHASTRA = Text("arthashastra", _numbered(15))
CHANAKYA_NITI = Text("chanakya_niti", _numbered(17))
# fmt: on

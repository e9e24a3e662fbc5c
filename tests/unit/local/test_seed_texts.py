"""The texts that sample citations point into have the divisions that everybody can look up."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from local.seed import texts
from local.seed.personas import PERSONAS
from local.seed.texts import Text


@pytest.mark.parametrize(
    ("text", "chapters", "verses"),
    [
        (texts.BHAGAVAD_GITA, 18, 700),
        (texts.DHAMMAPADA, 26, 423),
        (texts.MATTHEW, 28, 1071),
        (texts.MARK, 16, 678),
        (texts.LUKE, 24, 1151),
        (texts.JOHN, 21, 879),
        (texts.KATHA_UPANISHAD, 6, 119),
        (texts.ISHA_UPANISHAD, 1, 18),
        (texts.MASNAVI, 6, 25_632),
    ],
    ids=lambda value: value.source if isinstance(value, Text) else str(value),
)
def test_texts_have_their_chapters_and_verses(text: Text, chapters: int, verses: int) -> None:
    assert len(text.chapters) == chapters
    assert text.total_verses == verses


def test_the_second_chapter_of_the_gita_has_72_verses() -> None:
    assert texts.BHAGAVAD_GITA.verses[1] == (1, 72)


def test_verses_of_the_dhammapada_are_numbered_through() -> None:
    ranges = texts.DHAMMAPADA.verses
    assert ranges[0] == (1, 20)
    assert all(later[0] == earlier[1] + 1 for earlier, later in pairwise(ranges))
    assert ranges[-1] == (383, 423)


def test_texts_without_agreed_verse_numbers_are_cited_by_chapter() -> None:
    assert (len(texts.TAO_TE_CHING.chapters), texts.TAO_TE_CHING.verses) == (81, ())
    chapter, verse = texts.TAO_TE_CHING.passage(Random(1), without_verse=0)
    assert chapter in texts.TAO_TE_CHING.chapters
    assert verse is None


@pytest.mark.parametrize("persona", PERSONAS, ids=lambda persona: persona.name)
def test_every_passage_exists_in_its_text(persona) -> None:
    random = Random(7)
    for text, _ in persona.sources:
        for _ in range(300):
            chapter, verse = text.passage(random, without_verse=0.1)
            if chapter is None:
                assert text.chapters == ()
                continue
            index = text.chapters.index(chapter)
            if verse is not None:
                first, last = text.verses[index]
                assert first <= int(verse) <= last


def test_a_text_whose_verses_do_not_match_its_chapters_is_refused() -> None:
    with pytest.raises(ValueError, match="2 chapters, 1 verse ranges"):
        Text("broken", ("1", "2"), ((1, 3),))

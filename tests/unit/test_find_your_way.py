"""What the documentation refers to in the code exists, and a question needs three files at most."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/contributing/find-your-way.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
REFERENCE = re.compile(r"`((?:shared|functions|ops|local|bench|terminal)\.[\w.]+)`")
MOST_FILES = 3
CODE = "\n".join(
    path.read_text(encoding="utf-8")
    for folder in ("shared", "functions", "ops", "local", "bench", "terminal", "tests")
    for path in (ROOT / folder).rglob("*.py")
)


def resolved(reference: str) -> str:
    """Return the module that a reference lies in; fail if the module or the name in it does not exist."""
    parts = reference.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = module = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for name in parts[length:]:
            assert hasattr(found, name), f"{reference}: there is no {name}"
            found = getattr(found, name)
        return module.__name__
    raise AssertionError(f"{reference}: there is no such module")


def questions() -> dict[str, str]:
    """Return the text of each question, by its heading."""
    _, *sections = PAGE.split("\n## ")
    return {heading: text for heading, _, text in (section.partition("\n") for section in sections)}


@pytest.mark.parametrize("reference", sorted(set(REFERENCE.findall(PAGE))))
def test_every_reference_is_a_name_in_the_code(reference: str) -> None:
    assert resolved(reference)


@pytest.mark.parametrize("question", questions())
def test_a_question_is_answered_by_three_files_at_most(question: str) -> None:
    files = {resolved(reference) for reference in REFERENCE.findall(questions()[question])}
    assert 1 <= len(files) <= MOST_FILES


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_paths_and_names_in_the_documentation_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    paths = re.findall(r"`((?:shared|functions|ops|local|bench|terminal|tests)/[\w./]*)`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []
    constants = set(re.findall(r"`([A-Z][A-Z_]{4,})`", text))
    assert [name for name in constants if not re.search(rf"\b{name}\b", CODE)] == []
    named = re.findall(r"`([\w.]+)`\s+in\s+`((?:shared|functions)/[\w/]+)\.py`", text)
    for name, path in named:
        assert resolved(f"{path.replace('/', '.')}.{name}")


def test_a_name_that_does_not_exist_is_found() -> None:
    with pytest.raises(AssertionError, match="there is no tables"):
        resolved("shared.pricing.price_book.PriceBook.tables")

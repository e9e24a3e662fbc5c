"""The maps of ``shared/`` name every folder."""

from __future__ import annotations

from pathlib import Path

import shared

ROOT = Path(__file__).parents[3]
FOLDERS = {path.parent.name for path in (ROOT / "shared").glob("*/__init__.py")}


def test_the_map_of_the_readme_names_every_folder_of_shared() -> None:
    _, _, after = (ROOT / "README.md").read_text(encoding="utf-8").partition("\nshared/  ")
    tree, _, _ = after.partition("\nops/  ")
    assert {folder for folder in FOLDERS if f"\n  {folder}/ " not in tree} == set()


def test_the_map_in_the_code_names_every_folder_of_shared() -> None:
    assert {folder for folder in FOLDERS if f"``{folder}``" not in (shared.__doc__ or "")} == set()

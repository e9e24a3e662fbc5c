"""The files that `func azure functionapp publish` sends, and the zip that it makes of them."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec

ROOT = Path(__file__).parents[2]
IGNORE = ".funcignore"


def packaged_files(root: Path = ROOT) -> list[Path]:
    """Return the files of a folder that its ``.funcignore`` leaves in, relative to it, sorted.

    The patterns are those of a ``.gitignore``, as in func's own reading of the file.
    """
    spec = GitIgnoreSpec.from_lines((root / IGNORE).read_text(encoding="utf-8").splitlines())
    return sorted(_walk(root, spec))


def _walk(root: Path, spec: GitIgnoreSpec) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        here = Path(folder).relative_to(root)
        folders[:] = [name for name in folders if not spec.match_file(f"{(here / name).as_posix()}/")]
        for name in files:
            if not spec.match_file((here / name).as_posix()):
                yield here / name


def write_package(files: list[Path], target: Path, root: Path = ROOT) -> int:
    """Write a zip of the files; return its size in bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as package:
        for file in files:
            package.write(root / file, file.as_posix())
    return target.stat().st_size

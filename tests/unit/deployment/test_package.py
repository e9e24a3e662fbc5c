"""What is deployed is the app and its lock: nothing that only a laptop needs, and nothing missing."""

from __future__ import annotations

import zipfile
from pathlib import Path

from tests.deployment.package import ROOT, packaged_files, write_package

OWN = {"function_app.py", "host.json", "requirements.txt", "LICENSE", "azure.yaml"}


def test_only_the_app_is_deployed() -> None:
    files = packaged_files()
    assert {file.parts[0] for file in files if len(file.parts) > 1} == {"functions", "shared"}
    assert {file.name for file in files if len(file.parts) == 1} <= OWN
    assert {file.suffix for file in files if len(file.parts) > 1} <= {".py", ".json"}


def test_all_of_the_app_is_deployed() -> None:
    packaged = {file.as_posix() for file in packaged_files()}
    assert {"function_app.py", "host.json", "requirements.txt"} <= packaged
    for folder in ("functions", "shared"):
        for file in (ROOT / folder).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                assert file.relative_to(ROOT).as_posix() in packaged


def test_what_is_ignored_is_not_packaged(tmp_path: Path) -> None:
    (tmp_path / ".funcignore").write_text("secret*\n__pycache__\n!secret-kept.txt\n")
    for name in (
        "a.py",
        "secret.txt",
        "secret-kept.txt",
        "deep/secret.json",
        "deep/__pycache__/a.pyc",
        "deep/b.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    files = packaged_files(tmp_path)
    assert {".funcignore", "a.py", "secret-kept.txt", "deep/b.py"} == {file.as_posix() for file in files}
    write_package(files, tmp_path / "package.zip", tmp_path)
    assert sorted(zipfile.ZipFile(tmp_path / "package.zip").namelist()) == [file.as_posix() for file in files]

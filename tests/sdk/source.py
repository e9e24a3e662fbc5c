"""Fetch the SDK's source distribution, whose tests are not part of this repository."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

DIGESTS = {"4.17.1": "d692928a54d88163e96d41d8f899229ca2f6a6bf21973ece2bfc1f72d4b4edd8"}
"""SHA-256 of the source distribution, by version."""


class SourceError(Exception):
    """The tests cannot be fetched. One sentence."""


def fetched(cache: Path) -> Path:
    """Return the folder with the tests of the version that is installed; fetch it at first."""
    wanted = version("azure-cosmos")
    if wanted not in DIGESTS:
        raise SourceError(f"azure-cosmos {wanted} is installed: add the digest of its sdist to {__file__}.")
    folder = cache / f"azure_cosmos-{wanted}" / "tests"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        requirement = cache / "requirement.txt"
        requirement.write_text(f"azure-cosmos=={wanted} --hash=sha256:{DIGESTS[wanted]}\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        done = subprocess.run(
            [*command, "--require-hashes", "-r", str(requirement), "-d", str(cache)],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SourceError(f"pip could not fetch azure-cosmos {wanted}: {done.stderr.strip()[-300:]}")
        with tarfile.open(cache / f"azure_cosmos-{wanted}.tar.gz") as archive:
            archive.extractall(cache, filter="data")
    return folder

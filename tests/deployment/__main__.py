"""``make package``: build the deployment package, install and load it in clean environments, and time it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from terminal.output import AsJson, Exit, fail, note, print_json, print_table, say
from terminal.tables import Table, number, whole
from tests.deployment.package import ROOT, packaged_files, write_package

REMOTE_BUILD_SECONDS = 60.0
"""Longest remote build of Flex Consumption."""

WORKER = "azure-functions-runtime"
"""Microsoft's worker library; it needs Python 3.13."""

SETTINGS = {
    "CosmosDb": "AccountEndpoint=https://account.documents.azure.com:443/;AccountKey=a2V5;",
    "COSMOS_DATABASE": "database",
    "FLEET_GENERATION": "1",
    "FLEET_HASH_KEYS": "test=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "ArchiveStorage": "UseDevelopmentStorage=true",
}

LOAD = """
import json, function_app
print(json.dumps([function.get_function_name() for function in function_app.app.get_functions()]))
"""

INDEX = """
import json, sys
from azure_functions_runtime.loader import index_function_app
print(json.dumps([function.get_function_name() for function in index_function_app(sys.argv[1])]))
"""


@dataclass(frozen=True, slots=True)
class Build:
    """What one version of Python made of the package."""

    python: str
    install_seconds: float
    installed_mb: float
    functions: int
    indexed: int | None
    """Functions that Microsoft's worker library found; None where it does not run."""


def main(
    python: Annotated[list[str], typer.Option(help="Versions of Python.")] = ["3.12", "3.13"],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Build the package as func does; install, import and index it with nothing but its lock."""
    files = packaged_files()
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "package.zip"
        size = write_package(files, target)
        try:
            builds = [_build(version, target, Path(folder) / version) for version in python]
        except LookupError as error:
            fail(f"{error}", Exit.USAGE)
    if as_json:
        print_json(
            {
                "files": [file.as_posix() for file in files],
                "bytes": size,
                "builds": [asdict(build) for build in builds],
            }
        )
    else:
        say(f"{len(files)} files, {size / 1e3:,.0f} KB as a zip.")
        table = Table(
            whole("Python"), number("install s"), number("MB"), number("functions"), number("indexed")
        )
        for build in builds:
            table.add(
                build.python,
                f"{build.install_seconds:.1f}",
                f"{build.installed_mb:.0f}",
                build.functions,
                build.indexed,
            )
        print_table(table)
    if any(build.install_seconds > REMOTE_BUILD_SECONDS for build in builds):
        fail(
            f"An installation takes longer than a remote build may, {REMOTE_BUILD_SECONDS:g} s.", Exit.REFUSED
        )


def _build(version: str, package: Path, folder: Path) -> Build:
    note(f"Python {version} …")
    app, packages = folder / "app", folder / "app" / ".python_packages" / "lib" / "site-packages"
    with zipfile.ZipFile(package) as zipped:
        zipped.extractall(app)
    _run(_interpreter(version), "-m", "venv", str(folder / "venv"))
    python = str(folder / "venv" / "bin" / "python")
    install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir")
    started = monotonic()
    _run(python, *install, "--require-hashes", "--target", str(packages), "-r", "requirements.txt", cwd=app)
    seconds = monotonic() - started
    size = sum(file.stat().st_size for file in packages.rglob("*") if file.is_file())
    paths = [str(app), str(packages)]
    loaded = json.loads(_run(python, "-c", LOAD, cwd=app, paths=paths))
    indexed = None
    if version == "3.13":
        worker = folder / "worker"
        _run(python, *install, "--no-deps", "--target", str(worker), f"{WORKER}=={_worker_version()}")
        entry = str(app / "function_app.py")
        indexed = json.loads(_run(python, "-c", INDEX, entry, cwd=app, paths=[*paths, str(worker)]))
        if sorted(indexed) != sorted(loaded):
            fail("Microsoft's worker library finds other functions than the app has.", Exit.REFUSED)
    return Build(version, seconds, size / 1e6, len(loaded), None if indexed is None else len(indexed))


def _worker_version() -> str:
    for line in (ROOT / "requirements-dev.in").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{WORKER}=="):
            return line.partition("==")[2].split()[0]
    raise LookupError(f"requirements-dev.in does not pin {WORKER}")


def _interpreter(version: str) -> str:
    """Return the path of a Python of this version, on the PATH or among pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    installed = sorted(str(path) for path in pyenv.glob(f"{version}.*/bin/python"))
    found = [path for name in (f"python{version}", "python3") if (path := shutil.which(name))]
    for candidate in (*found, *installed):
        if _version_of(candidate) == version:
            return candidate
    raise LookupError(f"there is no Python {version}: install it so that python{version} is on the PATH")


def _version_of(python: str) -> str | None:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    found = subprocess.run([python, "-c", code], capture_output=True, text=True)
    return found.stdout.strip() if found.returncode == 0 else None


def _run(*command: str, cwd: Path | None = None, paths: list[str] | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | SETTINGS
    if paths:
        environment["PYTHONPATH"] = os.pathsep.join(paths)
    ended = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    if ended.returncode != 0:
        fail(
            f"{' '.join(command[:4])} … ended with {ended.returncode}:\n{ended.stderr[-2000:]}", Exit.REFUSED
        )
    return ended.stdout.strip().splitlines()[-1] if ended.stdout.strip() else ""


if __name__ == "__main__":
    sys.argv[0] = "make package"
    typer.run(main)

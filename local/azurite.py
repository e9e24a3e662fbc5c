"""Azurite, Microsoft's Blob Storage emulator from npm, as a child process of the stack."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from local.ports import HOST
from local.processes import ROOT, Child, StackError, start_child

# Azurite's fixed account: published by Microsoft, the same on every machine, no secret.
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def connection_string(port: int) -> str:
    """Return the connection string of the blob service on ``port``."""
    return (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
        f"BlobEndpoint=http://{HOST}:{port}/{ACCOUNT};"
    )


async def start_azurite(data: Path, port: int, *, log: Path, timeout: float) -> Child:
    """Start the blob service and wait until it accepts connections.

    Parameters
    ----------
    port
        Where it listens; unlike the other servers it cannot pick one itself.

    Raises
    ------
    StackError
        It is not installed, or does not serve within ``timeout`` seconds.
    """
    program = ROOT / "node_modules" / ".bin" / "azurite-blob"
    if not program.exists():
        raise StackError(f"Azurite is not installed ({program} is missing): run `make setup`.")
    if shutil.which("node") is None:
        raise StackError(
            "Azurite needs Node.js, and there is no `node` on the PATH: install Node.js 20 or newer."
        )
    await asyncio.to_thread(data.mkdir, parents=True, exist_ok=True)
    command = [
        str(program),
        *("--blobHost", HOST, "--blobPort", str(port), "--location", str(data)),
        *("--silent", "--disableTelemetry", "--skipApiVersionCheck"),
    ]
    child = await start_child("azurite", command, log=log, environment=os.environ)
    try:
        await asyncio.wait_for(_accepts_connections(child, port), timeout)
    except TimeoutError:
        await child.stop(grace=1)
        raise StackError(
            f"azurite did not serve on port {port} within {timeout:g} s; its log is {log}."
        ) from None
    except BaseException:
        await child.stop(grace=1)
        raise
    return child


async def _accepts_connections(child: Child, port: int) -> None:
    pause = 0.02
    while True:
        if child.process.returncode is not None:
            raise child.failure()
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.5)
            continue
        writer.close()
        await writer.wait_closed()
        return

"""How the server starts: its socket, its key, its directory."""

from __future__ import annotations

import asyncio
import base64
import socket
import stat
from pathlib import Path

import pytest

from local.cosmos.auth import KEY_BYTES, load_or_create_key
from local.cosmos.server import ConfigurationError, ServerConfig, _listen, serve


def test_an_answer_does_not_wait_for_an_acknowledgement(tmp_path: Path) -> None:
    """Head and body are two packets; without this option the second waits 40 ms for the first."""
    with (
        _listen(ServerConfig(0, tmp_path)) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_key_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "cosmos.key"
    key = load_or_create_key(path)
    assert len(base64.b64decode(key)) == KEY_BYTES
    assert load_or_create_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_that_was_cut_short_is_replaced_or_refused_and_never_used(tmp_path: Path) -> None:
    path = tmp_path / "cosmos.key"
    (tmp_path / "cosmos.new").write_text("cut sho")  # what a crash leaves
    load_or_create_key(path)
    for content in ("", "AAAA", "%"):
        path.write_text(content)
        with pytest.raises(ValueError):  # noqa: PT011  the message is the library's in one of the cases
            load_or_create_key(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"partitions": 0}, "--partitions 0"),
        ({"partitions": 101}, "--partitions 101"),
        ({"data_dir": Path("/dev/null/data")}, "--data /dev/null/data"),
    ],
)
async def test_what_the_server_cannot_do_is_one_sentence(
    tmp_path: Path, options: dict[str, object], message: str
) -> None:
    config = ServerConfig(**{"port": 0, "data_dir": tmp_path, **options})  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=message):
        await serve(config, on_ready=lambda info: None)


async def test_a_key_that_is_none_stops_the_start_and_releases_the_directory(tmp_path: Path) -> None:
    (tmp_path / "cosmos.key").write_text("short")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="cannot be used"):
            await serve(ServerConfig(0, tmp_path), on_ready=lambda info: None)


async def test_a_second_server_on_a_directory_is_refused(tmp_path: Path) -> None:
    refused: list[str] = []

    async def second() -> None:
        with pytest.raises(ConfigurationError) as caught:
            await serve(ServerConfig(0, tmp_path), on_ready=lambda info: None)
        refused.append(str(caught.value))

    ready = asyncio.Event()
    first = asyncio.create_task(serve(ServerConfig(0, tmp_path), on_ready=lambda info: ready.set()))
    await ready.wait()
    await second()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert "in use by another database server" in refused[0]

"""The certificate: good for this machine, kept, renewed in time, its key for the owner's eyes only."""

from __future__ import annotations

import shutil
import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.cosmos.tls import RENEW_BEFORE, VALID, KeyPair, load_or_create_key_pair


def _content(pair: KeyPair) -> tuple[bytes, bytes]:
    return pair.certificate.read_bytes(), pair.key.read_bytes()


def _shake_hands(pair: KeyPair, trusted: Path | None, name: str) -> None:
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(pair.certificate, pair.key)
    asking = ssl.create_default_context(cafile=trusted)
    asking.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    near, far = socket.socketpair()

    def serve() -> None:
        try:
            serving.wrap_socket(far, server_side=True).close()
        except (ssl.SSLError, ConnectionError):
            far.close()  # the client's refusal is what the test looks at

    server = threading.Thread(target=serve)
    server.start()
    try:
        asking.wrap_socket(near, server_hostname=name).close()
    finally:
        near.close()
        server.join()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_it_is_good_for_this_machine(tmp_path: Path, name: str) -> None:
    pair = load_or_create_key_pair(tmp_path)
    _shake_hands(pair, pair.certificate, name)


def test_it_is_good_for_nothing_else(tmp_path: Path) -> None:
    pair = load_or_create_key_pair(tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake_hands(pair, pair.certificate, "account.documents.azure.com")
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake_hands(pair, None, "localhost")


def test_the_key_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    pair = load_or_create_key_pair(tmp_path)
    assert stat.S_IMODE(pair.key.stat().st_mode) == 0o600


def test_it_is_kept_and_renewed_before_it_expires(tmp_path: Path) -> None:
    made = datetime.now(UTC)
    first = _content(load_or_create_key_pair(tmp_path, now=made))
    expires = made + VALID - RENEW_BEFORE
    assert _content(load_or_create_key_pair(tmp_path, now=expires - timedelta(minutes=1))) == first
    assert _content(load_or_create_key_pair(tmp_path, now=expires + timedelta(minutes=1))) != first


@pytest.mark.parametrize("damage", ["no certificate", "no key", "cut short", "another's key"])
def test_a_pair_that_is_none_is_replaced(tmp_path: Path, damage: str) -> None:
    pair = load_or_create_key_pair(tmp_path)
    first = _content(pair)
    if damage == "no certificate":
        pair.certificate.unlink()
    elif damage == "no key":
        pair.key.unlink()
    elif damage == "cut short":
        pair.key.write_bytes(first[1][:50])
    else:
        (tmp_path / "other").mkdir()
        shutil.copy(load_or_create_key_pair(tmp_path / "other").key, pair.key)
    renewed = load_or_create_key_pair(tmp_path)
    assert _content(renewed)[0] != first[0]
    _shake_hands(renewed, renewed.certificate, "localhost")

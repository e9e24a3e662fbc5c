"""The certificate of the server: self-signed, for this machine, made at the first start, renewed in time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID = timedelta(days=365)

RENEW_BEFORE = timedelta(days=30)
"""A server runs for days, not for a month: a certificate that is good at its start is good until its end."""

CLOCK_SKEW = timedelta(minutes=5)

NAMES = (x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1")))


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Where the certificate and its private key are, in PEM."""

    certificate: Path
    key: Path


def load_or_create_key_pair(directory: Path, *, now: datetime | None = None) -> KeyPair:
    """Return the key pair in ``directory``; make a new one if there is none that is good for a while.

    Clients trust the certificate itself. It is none of an authority: nobody who has its key can sign others.
    """
    at = now or datetime.now(UTC)
    pair = KeyPair(directory / "cosmos.crt", directory / "cosmos.tls.key")
    if not _is_good(pair, at):
        key = ec.generate_private_key(ec.SECP256R1())
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write(pair.key, secret, mode=0o600)
        _write(pair.certificate, _certificate(key, at).public_bytes(Encoding.PEM), mode=0o644)
    return pair


def _is_good(pair: KeyPair, at: datetime) -> bool:
    """Say whether both files are there, belong together and last; a crash may have left one of each pair."""
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
        key = load_pem_private_key(pair.key.read_bytes(), password=None)
    except (FileNotFoundError, ValueError, TypeError):
        return False
    return (
        certificate.public_key() == key.public_key()
        and certificate.not_valid_before_utc <= at < certificate.not_valid_after_utc - RENEW_BEFORE
    )


def _certificate(key: ec.EllipticCurvePrivateKey, at: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "local database server")])
    public = key.public_key()
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - CLOCK_SKEW)
        .not_valid_after(at + VALID)
        .add_extension(x509.SubjectAlternativeName(NAMES), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
    )
    return builder.sign(key, hashes.SHA256())


def _write(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file that is complete and has its mode from the moment it has its name."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    draft.replace(path)

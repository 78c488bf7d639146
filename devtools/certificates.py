"""Certificates for tests of TLS: an authority, and its certificate for 127.0.0.1, for servers and clients."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certificates:
    """PEM files, as settings and servers take them.

    Attributes:
        authority: the certificate of the authority.
        certificate: signed by the authority.
        key: the private key of the certificate.
    """

    authority: Path
    certificate: Path
    key: Path


def make_certificates(folder: Path, authority: trustme.CA | None = None) -> Certificates:
    """Write certificates to the folder, of an authority of their own unless one is given."""
    authority = authority or trustme.CA()
    made = authority.issue_cert("127.0.0.1")
    files = Certificates(folder / "ca.pem", folder / "certificate.pem", folder / "key.pem")
    authority.cert_pem.write_to_path(files.authority)
    made.cert_chain_pems[0].write_to_path(files.certificate)
    made.private_key_pem.write_to_path(files.key)
    return files


def self_signed_certificate(folder: Path, *, is_authority: bool) -> Certificates:
    """Write a self-signed certificate for `redis.internal`, as `openssl req -x509` makes one."""
    key = ec.generate_private_key(ec.SECP256R1())
    files = Certificates(folder / "own.pem", folder / "own.pem", folder / "own-key.pem")
    names = x509.SubjectAlternativeName([x509.DNSName("redis.internal")])
    certificate = _signed_by_itself(key, "redis.internal", is_authority=is_authority, names=names)
    files.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
    files.key.write_bytes(_private(key))
    return files


def authority_without_key_usage() -> trustme.CA:
    """Return an authority that has no keyUsage extension, like those that `openssl req -x509` makes."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _signed_by_itself(key, "authority", is_authority=True)
    return trustme.CA.from_pem(certificate.public_bytes(Encoding.PEM), _private(key))


def _signed_by_itself(
    key: ec.EllipticCurvePrivateKey, name: str, *, is_authority: bool, names: x509.SubjectAlternativeName | None = None
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key, SHA256())


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())

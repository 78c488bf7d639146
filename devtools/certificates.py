"""Certificates for tests of TLS: an authority, and a certificate of it for 127.0.0.1 that serves either side."""

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
        certificate: what the authority signed.
        key: the private key of that.
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


def authority_without_key_usage() -> trustme.CA:
    """Return an authority that has no keyUsage extension, like those that `openssl req -x509` makes."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return trustme.CA.from_pem(certificate.public_bytes(Encoding.PEM), private)

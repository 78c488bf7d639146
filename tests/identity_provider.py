"""An identity provider for tests: it signs tokens, and publishes its keys on a port of this machine."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests.fake_http_server import FakeHttpHandler, fake_http_server

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ANOTHER_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
EDWARDS_KEY = ed25519.Ed25519PrivateKey.generate()
SECRET = "a secret that both sides know, and nobody else at all does"


def pem(key: PrivateKey) -> str:
    """The public half."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def token(key: PrivateKey | str | bytes, algorithm: str, key_id: object = None, **claims: Any) -> str:
    """A token that is valid for an hour unless its claims differ; a claim of None is left out."""
    given = {"sub": "someone", "exp": int(time.time()) + 3600} | claims
    headers = {} if key_id is None else {"kid": key_id}
    payload = {name: value for name, value in given.items() if value is not None}
    return jwt.encode(payload, key, algorithm=algorithm, headers=headers)


def raw_token(claims: Any, key: Any = SECRET, algorithm: str = "HS256", key_id: str | None = None) -> str:
    """A token with just these claims, of any type."""
    headers = {} if key_id is None else {"kid": key_id}
    return jwt.PyJWS().encode(json.dumps(claims).encode(), key, algorithm=algorithm, headers=headers)


def jwk(key: PrivateKey, key_id: str | None, **fields: Any) -> dict[str, Any]:
    """The public half as a JSON Web Key."""
    public = key.public_key()
    made: dict[str, Any]
    if isinstance(public, rsa.RSAPublicKey):
        made = RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        made = ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        made = OKPAlgorithm.to_jwk(public, as_dict=True)
    return made | ({} if key_id is None else {"kid": key_id}) | {"use": "sig"} | fields


class IdentityProvider:
    """A server with a key set.

    Attributes:
        keys: those that it publishes.
        body: what it answers instead, if anything.
        status: of its answers.
        delay: seconds that each answer takes.
        answering: answers wait until this is set; it is set at first.
        asked: the number of requests.
    """

    def __init__(self) -> None:
        self.keys: list[Any] = []
        self.body: bytes | None = None
        self.status = 200
        self.delay = 0.0
        self.answering = threading.Event()
        self.answering.set()
        self.asked = 0
        self.url = ""

    @contextmanager
    def serving(self) -> Iterator["IdentityProvider"]:
        """Serve until the end of the block."""
        provider = self

        class Handler(FakeHttpHandler):
            def do_GET(self) -> None:  # noqa: N802 - as http.server calls it
                provider.asked += 1
                body = json.dumps({"keys": provider.keys}).encode() if provider.body is None else provider.body
                time.sleep(provider.delay)
                provider.answering.wait()
                self.answer(body, "application/json", provider.status, location="/elsewhere")

        with fake_http_server(Handler) as port:
            self.url = f"http://127.0.0.1:{port}/jwks.json"
            try:
                yield self
            finally:
                self.answering.set()

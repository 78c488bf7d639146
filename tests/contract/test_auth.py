"""Authentication by bearer token: which tokens the service accepts, the 401 for all others, and the sources of keys."""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from devtools.service_process import Service, answers
from devtools.waiting import wait_until
from mylist.auth.remote_keys import MIN_RENEWAL_INTERVAL_S
from mylist.cli import main
from tests.conftest import PATIENT, Serve
from tests.contract.conftest import PATIENCE, connect
from tests.contract.raw_http import send
from tests.identity_provider import (
    ANOTHER_RSA_KEY,
    EC_KEY,
    EDWARDS_KEY,
    RSA_KEY,
    SECRET,
    IdentityProvider,
    jwk,
    pem,
    raw_token,
    token,
)

FIRST = token(RSA_KEY, "RS256", "first")
SECOND = token(ANOTHER_RSA_KEY, "RS256", "second")
AUDIENCE = "my-list"
ISSUER = "https://login.example/"
PATH = "/api/mylist/contains"


def ask(client: httpx.Client, bearer: str, **headers: str) -> httpx.Response:
    return client.get("/api/mylist/stats", headers={"Authorization": f"Bearer {bearer}"} | headers)


def refusal(answer: httpx.Response) -> str:
    """Return the reason why a token was refused, which the body and the header must share."""
    body = answer.json()
    assert (answer.status_code, body["code"]) == (401, "INVALID_TOKEN")
    why = f'Bearer realm="mylist", error="invalid_token", error_description="{body["error"]}"'
    assert answer.headers["www-authenticate"] == why
    return str(body["error"])


def owner(client: httpx.Client, bearer: str) -> str:
    """Return the user that a token selects: add an item to the list, and read the user from the answer."""
    answer = client.put(
        "/api/mylist/items/507f1f77bcf86cd799439012",
        json={"contentType": "movie"},
        headers={"Authorization": f"Bearer {bearer}"},
    )
    assert answer.is_success, answer.text
    return str(answer.json()["data"]["userId"])


def signed(**claims: Any) -> str:
    """Return a token with the claims that the service accepts, except for these changes."""
    return token(SECRET, "HS256", **{"aud": AUDIENCE, "iss": ISSUER} | claims)


@pytest.fixture(scope="module")
def service(serve: Serve) -> Service:
    """A service that shares a secret with the issuer of tokens, and logs everything."""
    return serve(
        AUTH_MODE="jwt",
        JWT_SECRET=SECRET,
        JWT_AUDIENCE=AUDIENCE,
        JWT_ISSUER=ISSUER,
        JWT_LEEWAY="5",
        LOG_LEVEL="debug",
    )


@pytest.fixture(scope="module")
def client(service: Service, titles: None) -> Iterator[httpx.Client]:  # noqa: ARG001 - there before the first call
    with connect(service) as client:
        yield client


class TestUser:
    def test_is_taken_from_the_sub_claim(self, client: httpx.Client) -> None:
        assert owner(client, signed(sub="auth0|5f7c8ec7c33c6c004bbafe82")) == "auth0|5f7c8ec7c33c6c004bbafe82"

    def test_is_not_taken_from_the_user_id_header(self, client: httpx.Client) -> None:
        owner(client, signed(sub="with-one-item"))
        answer = ask(client, signed(sub="without-items"), **{"user-id": "with-one-item"})

        assert answer.json()["data"]["total"] == 0
        assert ask(client, signed(sub="with-one-item"), **{"user-id": "not a user"}).json()["data"]["total"] == 1

    def test_stays_the_same_when_the_token_is_sent_again(self, client: httpx.Client) -> None:
        one, other = signed(sub="one"), signed(sub="other")

        assert [owner(client, each) for each in (one, other, one, other)] == ["one", "other", "one", "other"]

    @pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
    def test_is_found_for_any_case_and_spacing_of_the_bearer_scheme(self, client: httpx.Client, scheme: str) -> None:
        headers = {"Authorization": f"{scheme} {signed()}"}
        assert client.get("/api/mylist/stats", headers=headers).status_code == 200

    def test_can_be_taken_from_a_configured_claim(self, serve: Serve, titles: None) -> None:  # noqa: ARG002
        service = serve(AUTH_MODE="jwt", JWT_SECRET=SECRET, JWT_USER_CLAIM="https://login.example/user")
        with connect(service) as client:
            assert owner(client, token(SECRET, "HS256", **{"https://login.example/user": "x", "aud": "any"})) == "x"
            assert "names no valid user" in refusal(ask(client, token(SECRET, "HS256")))

    def test_may_be_a_whole_number(self, client: httpx.Client) -> None:
        assert owner(client, raw_token(CLAIMS | {"sub": 4711})) == "4711"

    @pytest.mark.parametrize(
        "others", [{"sub": None, "jti": 7}, {"sub": 42, "iat": "x"}, {"nbf": None, "iat": None}], ids=str
    )
    def test_and_expiry_are_the_only_claims_that_must_be_valid(
        self,
        serve: Serve,
        titles: None,  # noqa: ARG002
        others: dict[str, Any],
    ) -> None:
        service = serve(AUTH_MODE="jwt", JWT_SECRET=SECRET, JWT_USER_CLAIM="uid")
        with connect(service) as client:
            assert owner(client, raw_token({"uid": "u", "exp": CLAIMS["exp"]} | others)) == "u"

    def test_is_accepted_from_any_configured_issuer_for_any_configured_audience(self, serve: Serve) -> None:
        several = {"JWT_ISSUER": "https://a.example, https://b.example/", "JWT_AUDIENCE": "web,tv"}
        with connect(serve(AUTH_MODE="jwt", JWT_SECRET=SECRET, **several)) as client:
            for issuer, audience in (("https://a.example", "tv"), ("https://b.example/", ["other", 5, "web"])):
                assert ask(client, raw_token(CLAIMS | {"iss": issuer, "aud": audience})).status_code == 200
            why = refusal(ask(client, raw_token(CLAIMS | {"iss": "https://a.example,https://b.example/", "aud": "tv"})))
            assert "expected 'https://a.example' or 'https://b.example/'" in why

    def test_is_required_on_list_routes_only(self, client: httpx.Client) -> None:
        for path in ("/health", "/livez", "/readyz", "/metrics", "/openapi.json"):
            assert client.get(path).status_code == 200
            assert ask(client, "nonsense").status_code == 401

    @pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic YTpi"}, {"Authorization": ""}, {"user-id": "a"}])
    def test_without_a_bearer_token_is_401(self, client: httpx.Client, headers: dict[str, str]) -> None:
        answer = client.get("/api/mylist/items", headers=headers)

        assert (answer.status_code, answer.json()["code"]) == (401, "TOKEN_REQUIRED")
        assert answer.headers["www-authenticate"] == 'Bearer realm="mylist"'
        assert answer.headers["cache-control"] == "no-store"

    def test_makes_answers_vary_on_the_authorization_header(self, client: httpx.Client) -> None:
        assert ask(client, signed()).headers["vary"] == "Authorization"
        assert client.get("/api/mylist/items").headers["vary"] == "Authorization"

    def test_preflight_allows_the_authorization_header(self, client: httpx.Client) -> None:
        headers = {
            "Origin": "https://example.com",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization",
        }
        answer = client.options("/api/mylist/items", headers=headers)

        assert answer.headers["access-control-allow-headers"] == "authorization"


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(each).rstrip(b"=").decode() for each in parts)


NO_USER = "The token names no valid user: the claim 'sub' must be a user id"
OTHER_ISSUER = (
    f"The token is from another issuer: the claim iss is '{ISSUER[:-1]}', expected '{ISSUER}'; "
    "they differ by a trailing slash"
)
CLAIMS = {"sub": "someone", "exp": 4_000_000_000, "aud": AUDIENCE, "iss": ISSUER}


class TestRefusal:
    @pytest.mark.parametrize(
        ("claims", "why"),
        [
            ({"exp": int(time.time()) - 60}, "The token has expired: the claim exp is in the past"),
            ({"exp": None}, "The token lacks the claim exp"),
            ({"exp": "tomorrow"}, "The claim exp must be a number of seconds since 1970"),
            ({"exp": float("inf")}, "The claim exp must be a number of seconds since 1970"),
            ({"nbf": int(time.time()) + 3600}, "The token is not valid yet: the claim nbf is in the future"),
            ({"iat": int(time.time()) + 3600}, "The token is not valid yet: the claim iat is in the future"),
            ({"aud": None}, "The token lacks the claim aud, expected 'my-list'"),
            ({"aud": "another"}, "The token is for another audience: the claim aud is 'another', expected 'my-list'"),
            ({"iss": None}, "The token lacks the claim iss, expected 'https://login.example/'"),
            ({"iss": ISSUER[:-1]}, OTHER_ISSUER),
            ({"sub": None}, NO_USER),
            ({"sub": ""}, NO_USER),
            ({"sub": "two words"}, NO_USER),
            ({"sub": "x" * 129}, NO_USER),
        ],
        ids=lambda each: each if isinstance(each, str) else ",".join(each),  # no times: they differ between the workers
    )
    def test_says_which_claim_is_wrong(self, client: httpx.Client, claims: dict[str, Any], why: str) -> None:
        assert refusal(ask(client, signed(**claims))) == why

    @pytest.mark.parametrize("sub", [1.5, True, ["someone"], {"a": "b"}])
    def test_a_sub_claim_that_is_neither_text_nor_integer_is_refused(self, client: httpx.Client, sub: object) -> None:
        assert refusal(ask(client, raw_token(CLAIMS | {"sub": sub}))) == NO_USER

    def test_tokens_within_the_leeway_or_for_several_audiences_are_accepted(self, client: httpx.Client) -> None:
        now = int(time.time())
        assert ask(client, signed(exp=now - 1)).status_code == 200
        assert ask(client, signed(nbf=now + 3, iat=now + 3)).status_code == 200
        assert ask(client, signed(aud=["another", AUDIENCE])).status_code == 200

    def test_an_accepted_token_is_refused_once_it_expires(self, client: httpx.Client) -> None:
        expiring = signed(exp=int(time.time()) - 3)
        assert ask(client, expiring).status_code == 200
        wait_until(lambda: ask(client, expiring).status_code == 401, within=PATIENCE)
        assert refusal(ask(client, expiring)) == "The token has expired: the claim exp is in the past"

    def test_a_wrong_signature_is_refused(self, client: httpx.Client) -> None:
        assert refusal(ask(client, token("x" * 32, "HS256", aud=AUDIENCE))) == "The signature of the token is wrong"
        body, _, signature = signed().rpartition(".")
        assert "signature" in refusal(ask(client, f"{body}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"))

    def test_a_valid_signature_by_another_algorithm_is_refused(self, client: httpx.Client) -> None:
        refusal(ask(client, jwt.PyJWS().encode(json.dumps(CLAIMS).encode(), SECRET, algorithm="HS384")))

    @pytest.mark.parametrize("algorithm", ["none", "None", "HS384", "RS256", "", None, ["HS256"], 1])
    def test_an_alg_that_does_not_match_the_key_is_refused(self, client: httpx.Client, algorithm: object) -> None:
        refusal(ask(client, unsigned({"alg": algorithm}, CLAIMS, b"x")))

    @pytest.mark.parametrize(
        "given",
        [
            "a",
            "a.b",
            "a.b.c",
            "..",
            unsigned({"alg": "none"}, CLAIMS),
            unsigned({"alg": "HS256", "kid": ["a"]}, CLAIMS, b"x"),
            unsigned({"alg": "HS256", "crit": ["x"], "x": 1}, CLAIMS, b"x"),
            f"{base64.urlsafe_b64encode(b'[' * 6000).decode()}.e30.e30",
            f"{base64.urlsafe_b64encode(bytes(range(256))).decode().rstrip('=')}.e30.e30",
        ],
        ids=lambda given: given[:20],
    )
    def test_a_malformed_or_unsupported_token_is_refused(self, client: httpx.Client, given: str) -> None:
        refusal(ask(client, given))

    @pytest.mark.parametrize("credentials", ["{} x", "{},", "{}=", "{}\xe9", "x {}", ""])
    def test_extra_text_around_the_token_or_no_token_is_refused(self, service: Service, credentials: str) -> None:
        given = f"Authorization: Bearer {credentials.format(signed())}"
        answer = send(service.url, f"GET /api/mylist/stats HTTP/1.1\r\nHost: x\r\n{given}\r\n\r\n".encode())

        assert (answer.status, answer.json()["code"]) == (401, "INVALID_TOKEN")

    def test_several_authorization_headers_are_refused(self, service: Service) -> None:
        line = f"Authorization: Bearer {signed()}\r\n"
        answer = send(service.url, f"GET /api/mylist/stats HTTP/1.1\r\nHost: x\r\n{line}{line}\r\n".encode())

        assert (answer.status, answer.json()["code"]) == (401, "INVALID_TOKEN")

    def test_takes_precedence_over_an_invalid_body(self, client: httpx.Client) -> None:
        refusal(client.post(PATH, content=b"nonsense", headers={"Authorization": "Bearer nonsense"}))


def test_no_token_is_written_to_the_log(service: Service, client: httpx.Client) -> None:
    good, bad = signed(sub="logged"), signed(exp=1)
    for each in (good, bad, f"{good}x", "half-a-token"):
        ask(client, each)
    written = service.log.read_text()

    assert written.count("/api/mylist/stats 401") >= 3
    for each in (good, bad):
        assert all(part not in written for part in each.split("."))
    assert "half-a-token" not in written
    assert SECRET not in written


def test_the_openapi_document_requires_a_token_on_list_routes(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document = client.get("/openapi.json").json()
    assert document["components"]["securitySchemes"] == {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    }
    for path, item in document["paths"].items():
        for operation in item.values():
            listed = path.startswith("/api/") and path != "/api/mylist/limits"
            assert ("security" in operation, "401" in operation["responses"]) == (listed, listed)
            assert "user-id" not in {each["name"] for each in operation["parameters"]}

    monkeypatch.setenv("AUTH_MODE", "jwt")
    monkeypatch.setenv("JWT_SECRET", SECRET)
    main(["openapi"])
    assert json.loads(capsys.readouterr().out) == document


def test_importing_the_server_does_not_import_jwt() -> None:
    script = "import sys, mylist.server; sys.exit('jwt' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


class TestPublicKey:
    @pytest.mark.parametrize(
        ("key", "algorithms"),
        [
            (RSA_KEY, ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]),
            (EC_KEY, ["ES256"]),
            (EDWARDS_KEY, ["EdDSA"]),
        ],
        ids=["RSA", "P-256", "Ed25519"],
    )
    def test_verifies_only_tokens_signed_by_its_private_key(
        self, serve: Serve, key: Any, algorithms: list[str]
    ) -> None:
        # The key on one line, as in an environment file.
        with connect(serve(AUTH_MODE="jwt", JWT_PUBLIC_KEY=pem(key).replace("\n", "\\n"))) as client:
            for algorithm in algorithms:
                assert ask(client, token(key, algorithm)).status_code == 200
                assert ask(client, token(key, algorithm, "any name")).status_code == 200
            refusal(ask(client, token(ANOTHER_RSA_KEY, "RS256")))
            refusal(ask(client, token(ec.generate_private_key(ec.SECP256R1()), "ES256")))
            refusal(ask(client, token(ec.generate_private_key(ec.SECP384R1()), "ES384")))

    def test_cannot_be_used_as_an_hmac_secret(self, serve: Serve) -> None:
        """Otherwise anyone with the public key could sign tokens."""
        with connect(serve(AUTH_MODE="jwt", JWT_PUBLIC_KEY=pem(RSA_KEY))) as client:
            for secret in (pem(RSA_KEY), pem(RSA_KEY).strip()):
                made = jwt.PyJWS().encode(json.dumps(CLAIMS).encode(), "x" * 32, algorithm="HS256")
                signing_input = made.rpartition(".")[0].encode()
                hmac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
                signature = base64.urlsafe_b64encode(hmac.sign(signing_input, secret.encode())).rstrip(b"=")
                refusal(ask(client, f"{signing_input.decode()}.{signature.decode()}"))


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    """An identity provider with one key, `first`."""
    with IdentityProvider().serving() as provider:
        provider.keys = [jwk(RSA_KEY, "first")]
        yield provider


@pytest.fixture
def by_provider(serve: Serve, provider: IdentityProvider) -> Iterator[httpx.Client]:
    """A client of a service that has fetched the keys of the provider."""
    service = serve(AUTH_MODE="jwt", JWT_JWKS_URL=provider.url, NO_PROXY="127.0.0.1")
    with connect(service) as client:
        assert ask(client, FIRST).status_code == 200
        assert provider.asked == 1
        yield client


class TestKeySet:
    def test_may_change_while_the_service_runs(self, by_provider: httpx.Client, provider: IdentityProvider) -> None:
        provider.keys = [jwk(ANOTHER_RSA_KEY, "second"), jwk(EC_KEY, "third")]
        asked = by_provider.post(
            PATH, json={"contentIds": ["a"]}, headers={"Authorization": f"Bearer {SECOND}"}
        )  # with a body, which can be read only once

        assert asked.json()["data"]["contains"] == [False]
        assert ask(by_provider, token(EC_KEY, "ES256", "third")).status_code == 200
        assert provider.asked == 2
        # The service accepted this token before, but the provider has removed its key.
        assert "not known" in refusal(ask(by_provider, FIRST))

    @pytest.mark.parametrize("names", [("one", "two"), (None, None), ("same", "same")], ids=str)
    def test_may_have_several_keys_that_match_a_token(
        self, by_provider: httpx.Client, provider: IdentityProvider, names: tuple[str | None, str | None]
    ) -> None:
        provider.keys = [jwk(RSA_KEY, names[0]), jwk(ANOTHER_RSA_KEY, names[1]), jwk(EDWARDS_KEY, "third")]
        for key, algorithm in ((RSA_KEY, "RS256"), (ANOTHER_RSA_KEY, "RS256"), (ANOTHER_RSA_KEY, "PS256")):
            assert ask(by_provider, token(key, algorithm)).status_code == 200
            if names[0] == names[1]:
                assert ask(by_provider, token(key, algorithm, names[0], sub="again")).status_code == 200
        assert ask(by_provider, token(EDWARDS_KEY, "EdDSA")).status_code == 200

    def test_ignores_a_wrapping_key(self, by_provider: httpx.Client, provider: IdentityProvider) -> None:
        wrapping = jwk(RSA_KEY, "wrapping", key_ops=["wrapKey"])
        del wrapping["use"]
        provider.keys = [wrapping, jwk(ANOTHER_RSA_KEY, "signing")]

        assert ask(by_provider, token(ANOTHER_RSA_KEY, "RS256")).status_code == 200
        refusal(ask(by_provider, token(RSA_KEY, "RS256", "wrapping")))

    def test_is_not_fetched_for_an_algorithm_that_is_not_accepted(
        self, by_provider: httpx.Client, provider: IdentityProvider
    ) -> None:
        made = unsigned({"alg": "ES256", "kid": "first"}, CLAIMS, b"x" * 64)
        hashed = unsigned({"alg": "HS256"}, CLAIMS, b"x" * 32)
        for each in (made, hashed, unsigned({"alg": "none", "kid": "other"}, CLAIMS, b"x")):
            assert "algorithm that is not accepted, expected RS256 or RS384" in refusal(ask(by_provider, each))
        assert provider.asked == 1

    def test_is_fetched_once_and_refetched_for_unknown_keys_at_a_limited_rate(
        self, by_provider: httpx.Client, provider: IdentityProvider
    ) -> None:
        for number in range(20):
            assert ask(by_provider, token(RSA_KEY, "RS256", "first", sub=f"user-{number}")).status_code == 200
        assert ask(by_provider, token(RSA_KEY, "RS512")).status_code == 200
        assert provider.asked == 1
        made_up = [token(ANOTHER_RSA_KEY, "RS256", f"made-up-{number}") for number in range(40)]
        began = time.monotonic()
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda each: ask(by_provider, each), made_up))

        assert {refusal(each) for each in answers} == {"The token is signed with a key that is not known"}
        assert 2 <= provider.asked <= 2 + (time.monotonic() - began) // MIN_RENEWAL_INTERVAL_S

    def test_stays_in_use_when_the_provider_fails(self, serve: Serve, provider: IdentityProvider) -> None:
        service = serve(AUTH_MODE="jwt", JWT_JWKS_URL=provider.url, NO_PROXY="127.0.0.1")
        with connect(service) as client:
            assert ask(client, FIRST).status_code == 200
            provider.status = 500
            assert "not known" in refusal(ask(client, SECOND))
            assert ask(client, FIRST).status_code == 200
            assert ask(client, token(RSA_KEY, "RS256", "first", sub="another")).status_code == 200
            assert f"The keys of {provider.url} cannot be fetched: the answer is 500" in service.log.read_text()

    def test_that_arrives_slowly_delays_no_other_request(
        self, by_provider: httpx.Client, provider: IdentityProvider
    ) -> None:
        provider.answering.clear()
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(ask, by_provider, SECOND)
            wait_until(lambda: provider.asked == 2, within=PATIENCE)
            others = [ask(by_provider, FIRST), by_provider.get("/health"), by_provider.get("/api/mylist/items")]
            assert not waiting.done()
            provider.answering.set()
            refusal(waiting.result())

        assert [each.status_code for each in others] == [200, 200, 401]

    def test_ignores_unusable_keys_and_limits_a_key_to_its_algorithm(
        self, by_provider: httpx.Client, provider: IdentityProvider
    ) -> None:
        secret = base64.urlsafe_b64encode(SECRET.encode()).rstrip(b"=").decode()
        provider.keys = [
            {"kty": "oct", "kid": "shared", "k": secret, "alg": "HS256"},
            jwk(RSA_KEY, "encryption", use="enc"),
            jwk(RSA_KEY, "narrow", alg="RS384"),
            jwk(RSA_KEY, "contradiction", alg="ES256"),
            jwk(RSA_KEY, "broken", n="!"),
            {"kty": "OKP", "kid": "unknown", "crv": "X25519", "x": "AA"},
            {"kid": "nothing"},
            "no key",
        ]
        assert ask(by_provider, token(RSA_KEY, "RS384", "narrow")).status_code == 200
        assert provider.asked == 2
        refusal(ask(by_provider, token(SECRET, "HS256", "shared")))
        for key_id in ("encryption", "narrow", "contradiction", "broken"):
            refusal(ask(by_provider, token(RSA_KEY, "RS256", key_id)))


@pytest.fixture
def launch(mongodb_uri: str, redis_url: str, tmp_path: Path) -> Iterator[Callable[[IdentityProvider], Service]]:
    """Start a service that fetches its keys from a provider, and wait until it answers, ready or not."""
    with ExitStack() as started:

        def start(provider: IdentityProvider) -> Service:
            stores = {"MONGODB_URI": mongodb_uri, "REDIS_URL": redis_url, **PATIENT}
            settings = {"AUTH_MODE": "jwt", "JWT_JWKS_URL": provider.url, "NO_PROXY": "127.0.0.1"}
            service = Service(tmp_path, stores | settings)
            started.callback(service.stop)
            wait_until(lambda: answers(f"{service.url}/livez"), within=PATIENCE)
            return service

        yield start


class TestUnavailableProvider:
    @pytest.mark.parametrize(
        ("status", "body"),
        [(503, None), (404, None), (200, b"<html>"), (200, b'{"keys": [{"kty": "oct", "k": "AA"}]}')],
    )
    def test_at_startup_keeps_the_process_unready_until_it_recovers(
        self,
        launch: Callable[[IdentityProvider], Service],
        provider: IdentityProvider,
        status: int,
        body: bytes | None,
    ) -> None:
        provider.status, provider.body = status, body
        service = launch(provider)
        with connect(service) as client:
            wait_until(lambda: client.get("/readyz").json()["mongodb"] == "available", within=PATIENCE)
            wait_until(lambda: "cannot be fetched" in service.log.read_text(), within=PATIENCE)
            time.sleep(1)  # enough to become ready, if MongoDB were the only condition
            unready, refused = client.get("/readyz"), ask(client, FIRST)
            no_token, no_jwt = client.get("/api/mylist/stats"), ask(client, "nonsense")

            assert unready.status_code == 503
            said = unready.json()
            reason = said.pop("keysReason")
            assert said == {"status": "starting", "mongodb": "available", "keys": "unavailable"}
            assert f"cannot be fetched: {reason}" in service.log.read_text()
            assert (refused.status_code, refused.json()["code"]) == (503, "KEYS_UNAVAILABLE")
            assert refused.headers["retry-after"] == "5"
            assert "www-authenticate" not in refused.headers
            assert [no_token.status_code, no_jwt.status_code] == [401, 401]

            provider.status, provider.body = 200, None
            wait_until(lambda: client.get("/readyz").status_code == 200, within=PATIENCE)
            assert client.get("/readyz").json() == {"status": "ready", "mongodb": "available", "keys": "available"}
            assert ask(client, FIRST).status_code == 200
        assert "can be fetched again" in service.log.read_text()

    def test_after_startup_leaves_the_process_ready(
        self, by_provider: httpx.Client, provider: IdentityProvider
    ) -> None:
        provider.status = 503
        refusal(ask(by_provider, SECOND))

        assert ask(by_provider, FIRST).status_code == 200
        assert by_provider.get("/readyz").json() == {"status": "ready", "mongodb": "available", "keys": "available"}


def test_readiness_omits_keys_when_the_service_accepts_no_tokens(serve: Serve) -> None:
    with connect(serve()) as client:
        assert client.get("/readyz").json() == {"status": "ready", "mongodb": "available"}

"""The headers for browsers: the origins that may read the answers, with or without credentials, and HSTS.

An origin is a scheme, a host and perhaps a port (RFC 6454). Browsers send it in one form only: in lower case and
without the scheme's default port. A configured origin is brought into that form. An origin that no browser could send
is refused, because it would never match.
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Self

ANY_ORIGIN = "*"
HSTS_OFF = "off"
_HSTS = re.compile(r"max-age=([0-9]{1,10})(?:\s*;\s*(includesubdomains))?", re.ASCII | re.IGNORECASE)
_ORIGIN = re.compile(
    r"""(?P<scheme>[a-z][a-z0-9+.-]*)://
        (?P<wildcard>\*\.)?
        (?P<host>\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*)
        (?::(?P<port>[0-9]{1,5}))?""",
    re.VERBOSE | re.ASCII,
)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_PORT = 65535
# Schemes whose pages have no origin, or the origin of the page that opened the connection.
_WITHOUT_ORIGIN = frozenset({"about", "blob", "data", "file", "ftp", "javascript", "mailto", "ws", "wss"})
_SUBDOMAINS = r"(?:[a-z0-9_-]++\.)+"


class UnusableOriginError(ValueError):
    """A configured origin could never match; the message says what to write instead."""


@dataclass(frozen=True, slots=True, eq=False)  # compared by identity, because it is part of a cache key
class BrowserPolicy:
    """The content of the headers for browsers.

    Attributes:
        any_origin: whether pages of every origin may read the answers.
        credentials: whether browsers may send cookies and other credentials.
        hsts: the header `Strict-Transport-Security`; empty for none.
    """

    any_origin: bool
    credentials: bool
    hsts: str
    _named: frozenset[str]
    _patterns: re.Pattern[str] | None

    @classmethod
    def of(cls, *, origins: str, credentials: bool, hsts: str) -> Self:
        """Return the policy that the settings describe.

        Raises:
            UnusableOriginError: as `parse_origins`.
        """
        listed = parse_origins(origins)
        wildcards = [each for each in listed if "*." in each]
        return cls(
            any_origin=ANY_ORIGIN in listed,
            credentials=credentials,
            hsts="" if hsts == HSTS_OFF else hsts,
            _named=frozenset(listed).difference(wildcards),
            _patterns=re.compile("|".join(map(_pattern, wildcards)), re.ASCII) if wildcards else None,
        )

    def allows(self, origin: str) -> bool:
        """Return whether pages of an origin, as a browser sends it, may read the answers."""
        return origin in self._named or (self._patterns is not None and bool(self._patterns.fullmatch(origin)))


def parse_origins(text: str) -> tuple[str, ...]:
    """Return the origins of a list that is separated by commas, as browsers send them, or `*` alone.

    Raises:
        UnusableOriginError: one of them could never match.
    """
    given = [each.strip() for each in text.split(",")]
    if ANY_ORIGIN in given and len(given) > 1:
        raise UnusableOriginError("* stands for any origin; it must stand alone")
    return tuple(each if each == ANY_ORIGIN else _origin(each) for each in given)


def parse_hsts(text: str) -> str:
    """Return the value of `Strict-Transport-Security` in its usual form, or "off".

    Raises:
        ValueError: the text is neither.
    """
    if text.lower() == HSTS_OFF:
        return HSTS_OFF
    found = _HSTS.fullmatch(text)
    if not found:
        raise ValueError
    max_age, subdomains = found.groups()
    return f"max-age={int(max_age)}" + ("; includeSubDomains" if subdomains else "")


def _origin(given: str) -> str:
    if not given:
        raise UnusableOriginError("an origin between the commas is empty; remove a comma")
    if given == "null":
        raise UnusableOriginError("null is the origin of every sandboxed page, so any site could use it; remove it")
    lowered = given.lower()
    found = _ORIGIN.fullmatch(lowered)
    if not found:
        raise UnusableOriginError(f"{_cut(given)} is not an origin: {_mistake(lowered)}")
    scheme, wildcard, host, port = found.group("scheme", "wildcard", "host", "port")
    if scheme in _WITHOUT_ORIGIN:
        raise UnusableOriginError(f"{_cut(given)} is not an origin: write https:// or http:// in place of {scheme}://")
    if scheme not in _DEFAULT_PORTS and get_close_matches(scheme, _DEFAULT_PORTS, cutoff=0.7):
        raise UnusableOriginError(f"{_cut(given)} is not an origin: write https:// or http://")
    number = int(port) if port else None
    if number is not None and not 1 <= number <= _MAX_PORT:
        raise UnusableOriginError(f"{_cut(given)} is not an origin: its port must be a number from 1 to {_MAX_PORT}")
    suffix = "" if number in {None, _DEFAULT_PORTS.get(scheme)} else f":{number}"
    return f"{scheme}://{wildcard or ''}{_host(host, given, is_domain=bool(wildcard))}{suffix}"


def _host(host: str, given: str, *, is_domain: bool) -> str:
    """Return a host as browsers write it; an address has one form only."""
    try:
        if host.startswith("["):
            host = f"[{IPv6Address(host[1:-1]).compressed}]"
        elif host.rpartition(".")[2].isdigit():
            IPv4Address(host)
        else:
            return host
    except AddressValueError:
        raise UnusableOriginError(f"{_cut(given)} is not an origin: its host must be a name or an IP address") from None
    if is_domain:
        raise UnusableOriginError(f"{_cut(given)} is not an origin: an IP address has no subdomains, remove *.")
    return host


def _mistake(given: str) -> str:
    """Return why a text is not an origin, and what to write instead."""
    scheme, colon, rest = given.partition("://")
    mistakes = (
        (re.search(r"[\s;|]", given), "separate origins by commas"),
        (not colon, f"write its scheme too, as in https://{_host_alone(given)}"),
        (re.search(r"[/?#]", rest), f"write {scheme}://{_host_alone(rest)}, because an origin has no path"),
        ("@" in rest, "an origin has no user"),
        ("*" in rest, "* may replace only the first labels of a host, as in https://*.example.com"),
        (not given.isascii(), "write its host in ASCII, as in https://xn--bcher-kva.example"),
    )
    return next((remedy for found, remedy in mistakes if found), "it has a scheme, a host and perhaps a port")


def _host_alone(text: str) -> str:
    return _cut(re.split(r"[/?#]", text, maxsplit=1)[0]).strip("'")


def _cut(text: str) -> str:
    max_shown = 80
    text = re.sub(r"//[^/@]*@", "//********@", text)  # the text may be a password
    return ascii(text if len(text) <= max_shown else f"{text[:max_shown]}...")


def _pattern(wildcard: str) -> str:
    before, _, after = wildcard.partition("*.")
    return re.escape(before) + _SUBDOMAINS + re.escape(after)

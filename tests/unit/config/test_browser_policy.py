"""The origins that the settings allow, and the settings that no origin of a browser could match."""

import pytest

from mylist.config.browser_policy import BrowserPolicy, UnusableOriginError, parse_hsts, parse_origins


def policy(origins: str) -> BrowserPolicy:
    return BrowserPolicy.of(origins=origins, credentials=False, hsts="off")


@pytest.mark.parametrize(
    ("given", "in_force"),
    [
        ("https://tv.example", "https://tv.example"),
        ("HTTPS://TV.Example", "https://tv.example"),
        ("https://tv.example:443", "https://tv.example"),
        ("http://tv.example:80", "http://tv.example"),
        ("http://tv.example:443", "http://tv.example:443"),
        ("https://tv.example:08443", "https://tv.example:8443"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[0:0::1]:8080", "http://[::1]:8080"),
        ("https://my_tv.example", "https://my_tv.example"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("chrome-extension://abcdefgh", "chrome-extension://abcdefgh"),
    ],
)
def test_an_origin_is_normalized_to_the_form_that_browsers_send(given: str, in_force: str) -> None:
    assert parse_origins(given) == (in_force,)
    assert policy(given).allows(in_force)


def test_several_origins_are_separated_by_commas() -> None:
    both = policy(" https://a.example ,https://b.example:8443")

    assert [both.allows(each) for each in ("https://a.example", "https://b.example:8443")] == [True, True]
    for other in (
        "https://b.example",
        "http://a.example",
        "https://a.example:8443",
        "https://a.example.evil",
        "null",
        "",
    ):
        assert not both.allows(other)
    assert not both.any_origin
    assert not both.allows("*")


@pytest.mark.parametrize("port", ["", ":8443"])
def test_a_wildcard_matches_only_subdomains(port: str) -> None:
    wildcard = policy(f"https://*.OTT.example{port},https://other.example")

    for origin in ("https://tv.ott.example", "https://a.b.ott.example", "https://a-1.ott.example"):
        assert wildcard.allows(origin + port)
    assert wildcard.allows("https://other.example")
    for origin in (
        "https://ott.example",
        "https://.ott.example",
        "https://a..ott.example",
        "https://evilott.example",
        "https://a.ottXexample",
        "http://tv.ott.example",
        "https://evil.example/.ott.example",
        "https://evil.example:1.ott.example",
        "https://me@tv.ott.example",
        "https://tv.ott.example.evil.example",
        "https://*.ott.example",
    ):
        assert not wildcard.allows(origin + port), origin
    assert not wildcard.allows(f"https://tv.ott.example{port}\n")
    assert not wildcard.allows("https://tv.ott.example:1")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("tv.example", "write its scheme too, as in https://tv.example$"),
        ("tv.example/app", "write its scheme too, as in https://tv.example$"),
        ("*.ott.example", r"write its scheme too, as in https://\*.ott.example$"),
        ("none", "write its scheme too"),
        ("https://tv.example/", "write https://tv.example, because an origin has no path$"),
        ("https://tv.example:8443/path?x#y", "write https://tv.example:8443, because an origin has no path$"),
        ("https://tv.example?x", "because an origin has no path$"),
        ("https://me:secret@tv.example", "an origin has no user$"),
        ("https://a.example;https://b.example", "separate origins by commas$"),
        ("https://a.example https://b.example", "separate origins by commas$"),
        ("https://a.example|https://b.example", "separate origins by commas$"),
        ("null", "^null is the origin of every sandboxed page, so any site could use it; remove it$"),
        (",", "^an origin between the commas is empty; remove a comma$"),
        ("https://a.example,", "^an origin between the commas is empty; remove a comma$"),
        ("https://a.example,,https://b.example", "^an origin between the commas is empty; remove a comma$"),
        ("*,https://a.example", r"^\* stands for any origin; it must stand alone$"),
        ("https://*", r"as in https://\*.example.com$"),
        ("https://*tv.example", r"as in https://\*.example.com$"),
        ("https://tv.*.example", r"as in https://\*.example.com$"),
        ("https://*.*.example", r"as in https://\*.example.com$"),
        ("https://tv.example:*", r"as in https://\*.example.com$"),
        ("https://*.10.0.0.1", "an IP address has no subdomains, remove"),
        ("https://*.[::1]", "an IP address has no subdomains, remove"),
        ("https://10.0.0", "its host must be a name or an IP address$"),
        ("https://[::x]", "it has a scheme, a host and perhaps a port$"),
        ("https://[::1::]", "its host must be a name or an IP address$"),
        ("https://tv.example:0", "its port must be a number from 1 to 65535$"),
        ("https://tv.example:65536", "its port must be a number from 1 to 65535$"),
        ("https://tv.example:", "it has a scheme, a host and perhaps a port$"),
        ("https://", "it has a scheme, a host and perhaps a port$"),
        ("https://-tv.example", "it has a scheme, a host and perhaps a port$"),
        ("https://tv..example", "it has a scheme, a host and perhaps a port$"),
        ("https:tv.example", "write its scheme too"),
        ("htps://tv.example", "write https:// or http://$"),
        ("ws://tv.example", "write https:// or http:// in place of ws://$"),
        ("file://tv.example", "write https:// or http:// in place of file://$"),
        ("https://bücher.example", "write its host in ASCII"),
    ],
)
def test_an_unusable_origin_is_refused_with_the_reason(given: str, why: str) -> None:
    with pytest.raises(UnusableOriginError, match=why) as refused:
        parse_origins(given)
    assert str(refused.value).count("\n") == 0
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "in_force"),
    [
        ("off", "off"),
        ("OFF", "off"),
        ("max-age=31536000", "max-age=31536000"),
        ("Max-Age=0", "max-age=0"),
        ("max-age=600;includesubdomains", "max-age=600; includeSubDomains"),
        ("max-age=600 ; includeSubDomains", "max-age=600; includeSubDomains"),
    ],
)
def test_an_hsts_value_is_normalized(given: str, in_force: str) -> None:
    assert parse_hsts(given) == in_force


@pytest.mark.parametrize(
    "given", ["on", "31536000", "max-age", "max-age=", "max-age=-1", "max-age=1y", "includeSubDomains", "max-age=1; x"]
)
def test_an_invalid_hsts_value_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        parse_hsts(given)

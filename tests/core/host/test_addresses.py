import ipaddress

import pytest
from yarl import URL

from stampcard.errors import ConfigurationError
from stampcard.host.addresses import is_public, outbound_rules

NAMED = ("api.example.com", "crm.example.com:8443", "93.184.216.34", "10.1.2.3")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.5.4",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - not bound to
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "198.18.0.1",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::1",
        "2001:0:1::1",
        "2001:db8::1",
        "3fff::1",
    ],
)
def test_addresses_that_lead_back_inside_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001::1"])
def test_addresses_of_the_public_network_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://api.example.com/orders", ""),
        ("https://API.example.com./orders", ""),
        ("https://crm.example.com:8443/", ""),
        ("https://93.184.216.34/", ""),
        ("http://api.example.com/", "only https"),
        ("https://api.example.com:9200/", "do not name this host"),
        ("https://other.example.com/", "do not name this host"),
        ("https://api.example.com.evil.example/", "do not name this host"),
        ("https://10.1.2.3/", "not public"),
        ("https://me:pw@api.example.com/", "user name or password"),
        ("https://me@api.example.com/", "user name or password"),
        ("ftp://api.example.com/", "not a way to call"),
    ],
)
def test_without_allowances_only_named_public_hosts_are_called_by_https(url: str, reason: str) -> None:
    refusal = outbound_rules((), NAMED).refusal(URL(url))
    assert reason in refusal
    assert bool(refusal) == bool(reason)


@pytest.mark.parametrize(
    ("allowed", "url", "granted"),
    [
        ("localhost", "http://localhost:9/", True),
        ("localhost:8080", "http://localhost:8080/", True),
        ("localhost:8080", "http://localhost:8081/", False),
        ("127.0.0.0/8", "http://127.9.9.9:1234/", True),
        ("127.0.0.1", "http://127.0.0.1:1234/", True),
        ("127.0.0.1", "http://127.0.0.2:1234/", False),
        ("127.0.0.1:8080", "http://127.0.0.1:8080/", True),
        ("127.0.0.1:8080", "http://127.0.0.1:8081/", False),
        ("[::1]:8080", "http://[::1]:8080/", True),
        ("[::1]:8080", "http://[::1]/", False),
        ("::1", "http://[::1]:99/", True),
        ("localhost", "http://me:pw@localhost/", False),
        ("localhost", "ftp://localhost/", False),
    ],
)
def test_an_allowance_opens_exactly_what_it_says(allowed: str, url: str, granted: bool) -> None:
    assert (outbound_rules((allowed,), ()).refusal(URL(url)) == "") is granted


def test_a_refusal_says_which_setting_would_allow_it() -> None:
    refusal = outbound_rules((), ()).refusal(URL("http://[::1]:8080/"))
    assert '[security] outbound_allow = ["[::1]:8080"]' in refusal


def test_a_name_that_stands_for_an_allowed_network_is_reachable() -> None:
    rules = outbound_rules(("10.0.0.0/8",), ("crm.example.com",))
    assert rules.refusal(URL("https://crm.example.com/")) == ""
    assert rules.reachable("crm.example.com", 443, "10.4.4.4")
    assert not rules.reachable("crm.example.com", 443, "192.168.4.4")
    assert not rules.reachable("crm.example.com", 443, "not an address")


@pytest.mark.parametrize("entry", ["https://example.com", "example.com/path", "", "me@example.com", "host:port", "a b"])
def test_an_entry_that_cannot_be_read_names_the_setting(entry: str) -> None:
    with pytest.raises(ConfigurationError, match=r"security\.outbound_allow"):
        outbound_rules((entry,), ())

from __future__ import annotations

import hashlib
import hmac
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import jwt
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from shopify import session_token

from stampcard.domain.value import replace
from stampcard.plugin import InvalidSignature, UnverifiedRequest
from stampcard.testing.clock import NOON, FakeClock
from stampcard_shopify.plugin import ShopifySettings
from stampcard_shopify.queries import LONGEST, MOST_PARAMETERS
from stampcard_shopify.sessions import LONGEST as LONGEST_TOKEN
from stampcard_shopify.shoppers import ShopifyShoppers

Make = Callable[..., ShopifySettings]
Pairs = Sequence[tuple[str, str]]

#: As long as Shopify's own, for PyJWT warns of shorter ones.
OWN, NEWER, OLDER = SECRETS = tuple(f"shhh_{age:-<33}" for age in ("own", "newer", "older"))
GRANT = {"access_token": None, "client_id": "app", "client_secret": OWN, "webhook_secrets": [NEWER, OLDER]}
FIXED = {"webhook_secrets": [NEWER, OLDER]}
NOW = int(NOON.timestamp())
#: What a customer account extension's token says.
CLAIMS = {
    "dest": "acme.myshopify.com",
    "aud": "app",
    "exp": NOW + 300,
    "nbf": NOW,
    "iat": NOW,
    "jti": "6c992878-dbaf-48d1-bb9d-6d9b59814fd1",
    "sub": "gid://shopify/Customer/7001",
}
#: What the token of an embedded app in the shop's admin says instead.
ADMIN = {"iss": "https://acme.myshopify.com/admin", "dest": "https://acme.myshopify.com", "sid": "5e55", "sub": "42"}
QUERY = {
    "shop": "acme.myshopify.com",
    "logged_in_customer_id": "7001",
    "path_prefix": "/apps/points",
    "timestamp": str(NOW),
}

#: What Shopify's documentation of app proxies publishes: the secret, its queries (the first from before there was an id
#: of the customer) and their signatures.
PUBLISHED_SECRET = "hush"
BEGIN, END = (
    "extra=1&extra=2&shop=shop-name.myshopify.com",
    "path_prefix=%2Fapps%2Fawesome_reviews&timestamp=1317327555",
)
PUBLISHED = [
    (f"{BEGIN}&{END}", "a9718877bea71c2484f91608a7eaea1532bdf71f5c56825065fa4ccabe549ef3", None),
    (
        f"{BEGIN}&logged_in_customer_id=&{END}",
        "e072b6d7e6622d85912a5214b860d3100dc1e73d9bc29f43796ac8c9ff8093cb",
        None,
    ),
    (
        f"{BEGIN}&logged_in_customer_id=1&{END}",
        "4c68c8624d737112c91818c11017d24d334b524cb5c2b8ba08daa056f7395ddb",
        "1",
    ),
]


@pytest.fixture
def source(settings: Make) -> ShopifyShoppers:
    return ShopifyShoppers(settings(**GRANT), FakeClock())


def asked(query: str = "", authorization: str | None = None) -> UnverifiedRequest:
    """A request as the server hands it over; what is in the body or in other headers is nobody's business."""
    headers = {"host": "points.example"} | ({} if authorization is None else {"authorization": authorization})
    return UnverifiedRequest(url=f"https://points.example/me?{query}", headers=headers, body=b"{}", received_at=NOON)


def token_of(changes: Mapping[str, Any], secret: str = OWN, **how: Any) -> str:
    """A session token by PyJWT; claims given as None are left out."""
    claims = {name: value for name, value in (CLAIMS | dict(changes)).items() if value is not None}
    return jwt.encode(claims, secret, **({"algorithm": "HS256"} | how))


def bearing(changes: Mapping[str, Any], secret: str = OWN, **how: Any) -> UnverifiedRequest:
    return asked(authorization="Bearer " + token_of(changes, secret, **how))


def signed(text: bytes, query: str, secret: str = OWN) -> UnverifiedRequest:
    """A query with the signature of a text."""
    return asked(f"{query}&signature={hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()}")


def proxied(changes: Mapping[str, str | None], more: Pairs = (), secret: str = OWN) -> UnverifiedRequest:
    """A query as an app proxy signs it; parameters given as None are left out, `more` are the shopper's own."""
    pairs = [*more, *((name, value) for name, value in (QUERY | dict(changes)).items() if value is not None)]
    joined = {name: ",".join(value for key, value in pairs if key == name) for name, _ in pairs}
    text = "".join(sorted(f"{name}={value}" for name, value in joined.items()))
    return signed(text.encode(), urlencode(pairs), secret)


def refused(source: ShopifyShoppers, request: UnverifiedRequest, match: str | None = None) -> None:
    with pytest.raises(InvalidSignature, match=match) as caught:
        source.identify(request)
    assert "shhh" not in str(caught.value)


# By the query of an app proxy


@pytest.mark.parametrize(("query", "digest", "customer"), PUBLISHED)
def test_the_queries_that_shopify_publishes_are_vouched_for(
    settings: Make, query: str, digest: str, customer: str | None
) -> None:
    shop = settings(shop="shop-name.myshopify.com", webhook_secrets=PUBLISHED_SECRET)
    source = ShopifyShoppers(shop, FakeClock(datetime.fromtimestamp(1317327555, UTC)))
    assert source.identify(asked(f"{query}&signature={digest}")) == customer
    refused(source, asked(f"{query}0&signature={digest}"))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the command openssl")
def test_openssl_signs_a_query_alike(source: ShopifyShoppers) -> None:
    text = f"city=Köln & +logged_in_customer_id=7001path_prefix=/apps/pointsshop=acme.myshopify.comtimestamp={NOW}"
    command = ["openssl", "dgst", "-sha256", "-hmac", OWN, "-r"]
    digest = subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout.decode()  # noqa: S603
    query = urlencode([("city", "Köln & +"), *QUERY.items(), ("signature", digest.partition(" ")[0])])
    assert source.identify(asked(query)) == "7001"


@pytest.mark.parametrize("secret", SECRETS)
def test_each_secret_signs_both_ways(source: ShopifyShoppers, secret: str) -> None:
    assert source.identify(proxied({}, secret=secret)) == "7001"
    assert source.identify(bearing({}, secret)) == "7001"


def test_another_secret_signs_neither_and_the_settings_are_named(source: ShopifyShoppers) -> None:
    for request in (
        proxied({}, secret="of the shop's admin"),
        bearing({}, "of another app, and as long as a secret is"),
    ):
        refused(source, request, "client_secret and webhook_secrets")


def test_without_a_client_secret_the_webhook_secrets_sign_queries(settings: Make) -> None:
    source = ShopifyShoppers(settings(**FIXED), FakeClock())
    assert source.identify(proxied({}, secret=OLDER)) == "7001"
    refused(source, proxied({}, secret=OWN))


@pytest.mark.parametrize("blank", ["", None])
def test_a_query_without_a_customer_is_a_visitors(source: ShopifyShoppers, blank: str | None) -> None:
    assert source.identify(proxied({"logged_in_customer_id": blank})) is None


@pytest.mark.parametrize("odd", ["0", "07", "-1", "1,2", "7 ", "٧", "1" * 20, "gid://shopify/Customer/1", "null"])
def test_a_customer_who_is_no_number_is_refused(source: ShopifyShoppers, odd: str) -> None:
    refused(source, proxied({"logged_in_customer_id": odd}), "logged_in_customer_id")


@pytest.mark.parametrize("name", [*QUERY, "extra"])
def test_a_parameter_that_was_changed_added_or_taken_away_is_refused(source: ShopifyShoppers, name: str) -> None:
    request = proxied({}, [("extra", "1")])
    for before, after in (("=", "=1"), ("=", "=0&other="), ("=", "x=")):
        refused(source, replace(request, url=request.url.replace(name + before, name + after)))


@pytest.mark.parametrize("name", ["shop", "timestamp", "logged_in_customer_id"])
def test_what_shopify_says_once_must_not_stand_there_twice(source: ShopifyShoppers, name: str) -> None:
    refused(source, proxied({}, [(name, QUERY[name])]), "twice")
    refused(source, proxied({}, [(name, "")]), "twice")


def test_a_query_with_two_signatures_is_refused(source: ShopifyShoppers) -> None:
    request = proxied({})
    digest = request.url.partition("&signature=")[2]
    refused(source, replace(request, url=f"{request.url}&signature={digest}"), "twice")


def test_what_a_shopper_sends_along_is_signed_too(source: ShopifyShoppers) -> None:
    more = [("b", "2 & 3"), ("a", "ü+%"), ("b", ""), ("a-b", "x=y"), ("", "")]
    assert source.identify(proxied({}, more)) == "7001"


def test_bytes_that_are_no_text_are_signed_as_they_are(source: ShopifyShoppers) -> None:
    text = b"logged_in_customer_id=7001shop=acme.myshopify.comtimestamp=%dx=\xff" % NOW
    query = urlencode({name: value for name, value in QUERY.items() if name != "path_prefix"})
    assert source.identify(signed(text, f"{query}&x=%FF")) == "7001"
    refused(source, signed(text, f"{query}&x=%FE"))


def test_a_shopper_cannot_have_another_customer_signed_for(source: ShopifyShoppers) -> None:
    genuine = proxied({}, [("a", "logged_in_customer_id=9m=")])
    forged = proxied({"logged_in_customer_id": "9"}, [("a", ""), ("m", "logged_in_customer_id=7001")])
    assert genuine.url.rpartition("=")[2] == forged.url.rpartition("=")[2], "both have the same signature"
    for request in (genuine, forged):
        refused(source, request, "two ways")


@pytest.mark.parametrize("seconds", [-90, 90])
def test_a_query_counts_for_a_minute_and_a_half(source: ShopifyShoppers, seconds: int) -> None:
    assert source.identify(proxied({"timestamp": str(NOW + seconds)})) == "7001"
    refused(source, proxied({"timestamp": str(NOW + seconds + (1 if seconds > 0 else -1))}), "clock")


@pytest.mark.parametrize("odd", ["", None, "now", "-1", "1e9", "١٢٣", "9" * 400, f"{NOW}.0", f" {NOW}"])
def test_a_query_without_a_time_is_refused(source: ShopifyShoppers, odd: str | None) -> None:
    refused(source, proxied({"timestamp": odd}), "clock")


@pytest.mark.parametrize("shop", ["other.myshopify.com", "acme.myshopify.com.evil.example", "", None])
def test_a_query_of_another_shop_is_refused(source: ShopifyShoppers, shop: str | None) -> None:
    refused(source, proxied({"shop": shop}), r"\(check shop\)")


def test_the_shop_may_be_written_in_other_letters(settings: Make) -> None:
    source = ShopifyShoppers(settings(shop="Acme.myshopify.com", **GRANT), FakeClock())
    assert source.identify(proxied({})) == "7001"
    assert source.identify(bearing({"dest": "ACME.myshopify.com"})) == "7001"


@pytest.mark.parametrize(
    "shape", ["", "{:.63}", "{}0", "{}%0A", "%20{}", "{:.62}%20%20", "0x{}", "{0}{0}", "0" * 64, "ä" * 64]
)
def test_a_signature_in_another_shape_is_refused(source: ShopifyShoppers, shape: str) -> None:
    query, _, digest = proxied({}).url.partition("?")[2].rpartition("=")
    refused(source, asked(f"{query}={shape.format(digest)}"))
    refused(source, asked(f"{query}={digest.upper()}"))


def test_a_query_that_is_too_large_is_refused(source: ShopifyShoppers) -> None:
    refused(source, proxied({}, [("x", "1" * LONGEST)]), "too long")
    refused(source, proxied({}, [("x", "")] * MOST_PARAMETERS), "too many")


def test_other_ways_to_authorise_leave_the_query_to_judge(source: ShopifyShoppers) -> None:
    request = proxied({})
    assert source.identify(replace(request, headers={"authorization": "Basic YTpi"})) == "7001"


# By a session token


def test_shopifys_own_library_reads_the_same_tokens(settings: Make) -> None:
    # It only knows tokens of the admin, with all their claims, and asks the machine for the time.
    claims = CLAIMS | ADMIN | {"sub": CLAIMS["sub"], "nbf": 0, "exp": 32_503_680_000}
    header = "Bearer " + jwt.encode(claims, OWN, algorithm="HS256")
    source = ShopifyShoppers(settings(**GRANT), FakeClock())
    theirs = session_token.decode_from_header(header, "app", OWN)
    assert theirs["sub"] == f"gid://shopify/Customer/{source.identify(asked(authorization=header))}"


def test_what_shopifys_own_library_refuses_is_refused(source: ShopifyShoppers) -> None:
    known = CLAIMS | ADMIN | {"sub": CLAIMS["sub"], "nbf": 0, "exp": 32_503_680_000}
    for wrong in ({"aud": "another"}, {"exp": 1}, {"nbf": 32_503_680_000}, {"iss": "https://other.myshopify.com"}):
        header = "Bearer " + jwt.encode(known | wrong, OWN, algorithm="HS256")
        with pytest.raises(session_token.SessionTokenError):
            session_token.decode_from_header(header, "app", OWN)
        refused(source, asked(authorization=header))


@pytest.mark.parametrize("blank", ["", None])
def test_a_token_without_a_customer_is_a_visitors(source: ShopifyShoppers, blank: str | None) -> None:
    assert source.identify(bearing({"sub": blank})) is None


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_the_same_in_all_letters(source: ShopifyShoppers, scheme: str) -> None:
    assert source.identify(asked(authorization=f"{scheme} {token_of({})}")) == "7001"


def test_the_shop_may_be_told_bare_or_as_an_address(source: ShopifyShoppers) -> None:
    for dest in ("acme.myshopify.com", "https://acme.myshopify.com"):
        for iss in (None, "acme.myshopify.com", "https://acme.myshopify.com", "https://acme.myshopify.com/checkout"):
            assert source.identify(bearing({"dest": dest, "iss": iss})) == "7001"


@pytest.mark.parametrize("claim", ["dest", "iss"])
@pytest.mark.parametrize(
    "told",
    [
        "other.myshopify.com",
        "https://other.myshopify.com/acme.myshopify.com",
        "https://acme.myshopify.com@other.example",
        "http://acme.myshopify.com",
        "https://acme.myshopify.com:8443",
        "",
    ],
)
def test_a_token_of_another_shop_is_refused(source: ShopifyShoppers, claim: str, told: str) -> None:
    refused(source, bearing({claim: told}), r"\(check shop\)")


@pytest.mark.parametrize("audience", ["another", "", "APP"])
def test_a_token_for_another_app_is_refused(source: ShopifyShoppers, audience: str) -> None:
    refused(source, bearing({"aud": audience}), "client_id")


def test_without_a_client_id_no_token_is_good(settings: Make) -> None:
    source = ShopifyShoppers(settings(**FIXED), FakeClock())
    for audience in ("app", "", "None"):
        refused(source, bearing({"aud": audience}, NEWER), "client_id")


def test_a_member_of_the_shops_staff_is_no_customer(source: ShopifyShoppers) -> None:
    refused(source, bearing(ADMIN), "no customer")


@pytest.mark.parametrize(
    "named",
    [
        "7001",
        "gid://shopify/StaffMember/7001",
        "gid://shopify/Customer/",
        "gid://shopify/Customer/07",
        "gid://shopify/Customer/7001 ",
        "gid://shopify/Customer/7001\n",
        "gid://shopify/Customer/٧",
        "x gid://shopify/Customer/7001",
        "gid://shopify/CustomerAccount/7001",
    ],
)
def test_whoever_is_named_in_another_way_is_no_customer(source: ShopifyShoppers, named: str) -> None:
    refused(source, bearing({"sub": named}), "no customer")


def test_a_token_counts_from_ten_seconds_before_until_ten_seconds_after(settings: Make) -> None:
    for seconds, is_good in ((-11, False), (-10, True), (0, True), (309.5, True), (310, False)):
        source = ShopifyShoppers(settings(**GRANT), FakeClock(NOON + timedelta(seconds=seconds)))
        if is_good:
            assert source.identify(bearing({})) == "7001", seconds
        else:
            refused(source, bearing({}), "clock")


@pytest.mark.parametrize("claim", ["aud", "dest", "exp"])
def test_a_token_that_lacks_a_claim_is_refused(source: ShopifyShoppers, claim: str) -> None:
    refused(source, bearing({claim: None}), "cannot be read")


@pytest.mark.parametrize(
    "odd", [{"exp": "2099"}, {"exp": True}, {"aud": ["app"]}, {"dest": 1}, {"nbf": [0]}, {"iss": {}}, {"sub": 7001}]
)
def test_a_claim_of_another_kind_is_refused(source: ShopifyShoppers, odd: dict[str, Any]) -> None:
    claims = msgspec.json.encode(CLAIMS | odd)
    token = jwt.api_jws.encode(claims, OWN, algorithm="HS256", headers={"typ": "JWT"})
    refused(source, asked(authorization=f"Bearer {token}"), "cannot be read")


@pytest.mark.parametrize("algorithm", ["HS384", "HS512", "none"])
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_another_algorithm_is_refused(source: ShopifyShoppers, algorithm: str) -> None:
    secret: Any = None if algorithm == "none" else OWN
    refused(source, bearing({}, secret, algorithm=algorithm))


@pytest.mark.parametrize("algorithm", ["none", "None", "hs256", "HS512", "RS256", ""])
def test_a_header_that_names_another_algorithm_is_refused_though_the_signature_fits(
    source: ShopifyShoppers, algorithm: str
) -> None:
    header, claims = (jwt.utils.base64url_encode(msgspec.json.encode(part)) for part in ({"alg": algorithm}, CLAIMS))
    text = header + b"." + claims
    digest = jwt.utils.base64url_encode(hmac.digest(OWN.encode(), text, "sha256"))
    refused(source, asked(authorization=f"Bearer {(text + b'.' + digest).decode()}"), "HS256")


def test_an_extension_of_tokens_that_must_be_understood_is_refused(source: ShopifyShoppers) -> None:
    refused(source, bearing({}, headers={"crit": ["b64"], "b64": True}), "HS256")


def test_a_token_that_was_changed_anywhere_is_refused(source: ShopifyShoppers) -> None:
    token = token_of({})
    for place, letter in enumerate(token):
        for other in {"A", "B", "=", ".", "+", "ä"} - {letter}:
            refused(source, asked(authorization=f"Bearer {token[:place]}{other}{token[place + 1 :]}"))


def test_a_token_in_another_spelling_is_refused(source: ShopifyShoppers) -> None:
    token = token_of({})
    header, claims, digest = token.split(".")
    # The last letter of the digest has two bits that mean nothing.
    spelt = [digest[:-1] + letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"]
    good = [each for each in spelt if _is_good(source, f"{header}.{claims}.{each}")]
    assert good == [digest]
    for odd in (token + "=", token + ".", "." + token, f"{header}.{claims}", token + " ", " " + token, token + "\n"):
        refused(source, asked(authorization=f"Bearer {odd}"))


def _is_good(source: ShopifyShoppers, token: str) -> bool:
    try:
        return source.identify(asked(authorization=f"Bearer {token}")) is not None
    except InvalidSignature:
        return False


def test_a_token_that_is_too_large_is_refused(source: ShopifyShoppers) -> None:
    refused(source, bearing({"more": "x" * LONGEST_TOKEN}), "too long")


@pytest.mark.parametrize(
    "claims",
    [
        b"[" * 2000,
        b'{"aud":' * 400,
        b'{"x":' + b"[" * 2500,
        b'{"aud":"\xff"}',
        b"\xff",
        b"",
        b"null",
        b'{"exp":1e999}',
        b"1",
    ],
)
def test_claims_that_cannot_be_read_are_refused_though_the_signature_fits(
    source: ShopifyShoppers, claims: bytes
) -> None:
    token = jwt.api_jws.encode(claims, OWN, algorithm="HS256")
    refused(source, asked(authorization=f"Bearer {token}"), "cannot be read")


def test_a_broken_token_is_not_made_good_by_a_signed_query(source: ShopifyShoppers) -> None:
    request = replace(proxied({}), headers={"authorization": "Bearer "})
    refused(source, request)


# Whatever comes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
WIDE = st.text(st.characters() | st.sampled_from("\udcff\ud800=&?#%+.-_\0"))


def tried(request: UnverifiedRequest) -> str | None:
    """Whom a request is of, or `refused`."""
    own = {"shop": "acme.myshopify.com"} | {name: value for name, value in GRANT.items() if value is not None}
    try:
        return ShopifyShoppers(ShopifySettings.model_validate(own), FakeClock()).identify(request)
    except InvalidSignature:
        return "refused"


@given(url=WIDE, authorization=WIDE | WIDE.map("Bearer {}".format))
@example(url="", authorization="Bearer \udcff.\udcff.AAAA")
def test_noise_is_an_invalid_signature(url: str, authorization: str) -> None:
    for headers in ({}, {"authorization": authorization}):
        for address in (url, f"https://points.example/me?{url}"):
            request = UnverifiedRequest(url=address, headers=headers, body=b"", received_at=NOON)
            assert tried(request) == "refused"


@given(query=WIDE, digest=st.from_regex(r"[0-9a-f]{64}", fullmatch=True))
@example(query="x=\ud800", digest="0" * 64)
def test_a_random_signature_of_a_random_query_is_an_invalid_signature(query: str, digest: str) -> None:
    assert tried(asked(f"{query}&signature={digest}")) == "refused"


@given(st.lists(st.tuples(st.text(), st.text())), st.dictionaries(st.sampled_from(list(QUERY)), st.none() | st.text()))
def test_whatever_is_signed_in_a_query_names_a_number_or_nobody(more: Pairs, changes: dict[str, str | None]) -> None:
    assert tried(proxied(changes, more)) in {"7001", None, "refused", changes.get("logged_in_customer_id")}


@given(changes=st.dictionaries(st.sampled_from([*CLAIMS, "iss", "sid"]) | st.text(), JSON), header=JSON)
def test_whatever_is_signed_in_a_token_names_that_customer_or_nobody(changes: dict[str, Any], header: Any) -> None:
    for head in ({"alg": "HS256"}, header):
        text = b".".join(jwt.utils.base64url_encode(msgspec.json.encode(part)) for part in (head, CLAIMS | changes))
        digest = jwt.utils.base64url_encode(hmac.digest(OWN.encode(), text, "sha256"))
        assert tried(asked(authorization=f"Bearer {(text + b'.' + digest).decode()}")) in {"7001", None, "refused"}


@given(st.lists(st.binary(), min_size=1, max_size=4))
def test_whatever_bytes_are_signed_as_a_token_they_name_nobody(parts: list[bytes]) -> None:
    text = b".".join(map(jwt.utils.base64url_encode, parts))
    digest = jwt.utils.base64url_encode(hmac.digest(OWN.encode(), text, "sha256"))
    assert tried(asked(authorization=f"Bearer {(text + b'.' + digest).decode()}")) == "refused"

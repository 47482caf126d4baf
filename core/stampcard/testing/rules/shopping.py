from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from itertools import product
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampcard.plugin import InvalidSignature, ShopperSource, UnverifiedRequest
from stampcard.testing.clock import NOON
from stampcard.testing.rules.case import PUBLIC_URL, TRIAL, Case
from stampcard.testing.rules.verifying import ODD

#: What somebody would claim who wants to be customer 1.
CLAIMS = {"sub": "1", "customer": "1", "customer_id": "1", "logged_in_customer_id": "1", "exp": 32_503_680_000}


def _token(algorithm: str, signature: bytes) -> str:
    """A token that anybody can make: no secret is needed for it."""
    parts = [json.dumps({"typ": "JWT", "alg": algorithm}).encode(), json.dumps(CLAIMS).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def _unkeyed(algorithm: str) -> str:
    """A token that is signed with an empty key."""
    signed = _token(algorithm, b"").rpartition(".")[0]
    return _token(algorithm, hmac.digest(b"", signed.encode(), "sha256"))


TOKENS = ("", ".", "..", "1", _token("none", b""), _token("HS256", b""), _token("RS256", b"\x00"), _unkeyed("HS256"))
NAMES = ("signature", "hmac", "token", "shop", "timestamp", *CLAIMS)

PARTS = st.sampled_from(ODD) | st.text()
VALUES = st.sampled_from(TOKENS) | st.lists(PARTS, min_size=1, max_size=4).map(".".join)
HEADERS = st.builds("{}{}".format, st.sampled_from(["Bearer ", "bearer ", "Basic ", ""]), VALUES)
PAIRS = st.tuples(st.sampled_from(NAMES) | PARTS, VALUES)
QUERIES = PARTS | st.lists(PAIRS).map(lambda pairs: urlencode(pairs, errors="surrogatepass"))


class ShoppingRules(Case):
    """Whom the plugin vouches for when somebody asks through the shop."""

    def test_an_unsigned_request_names_nobody(self) -> None:
        """Without a signature there is an InvalidSignature, whatever is claimed: not even a visitor is vouched for."""
        source = self._shoppers()
        for query in ("", urlencode(CLAIMS), urlencode(dict.fromkeys(NAMES, ""))):
            self._check_unnamed(source, _request(query, {}))
            self._check_unnamed(source, _request(query, {"cookie": urlencode(CLAIMS)}, json.dumps(CLAIMS).encode()))
            for token in TOKENS:
                self._check_unnamed(source, _request(query, {"authorization": f"Bearer {token}"}))
                self._check_unnamed(source, _request(f"{query}&token={quote(token)}", {self.signature_header: token}))

    def test_noise_names_nobody(self) -> None:
        """Random queries, headers and bodies lead to an InvalidSignature and to no other exception, whatever they are."""
        source = self._shoppers()
        names = ("authorization", "cookie", "origin", self.signature_header)
        for odd, before in product(ODD, ("", "Bearer ")):
            headers = dict.fromkeys(names, before + odd)
            self._check_unnamed(source, _request(f"{odd}={odd}&signature={odd}", headers))

        @TRIAL
        @given(query=QUERIES, headers=st.dictionaries(st.sampled_from(names), HEADERS), body=st.binary())
        def refused(query: str, headers: dict[str, str], body: bytes) -> None:
            self._check_unnamed(source, _request(query, headers, body))

        refused()

    def _shoppers(self) -> ShopperSource:
        async def get() -> ShopperSource | None:
            async with self.visiting() as visit:
                return visit.capabilities.shopper

        source = self.run(get())
        if source is None:
            pytest.skip("vouches for no shoppers")
        return source

    def _check_unnamed(self, source: ShopperSource, request: UnverifiedRequest) -> None:
        told = f"{request.url[:100]!r} with {dict(request.headers)!r:.100}"
        try:
            named = source.identify(request)
        except InvalidSignature:
            return
        except Exception as error:  # noqa: BLE001 - that is the finding
            pytest.fail(f"identify raised {type(error).__name__}, not InvalidSignature, for {told}")
        pytest.fail(f"identify took {told} to be of {'a visitor' if named is None else repr(named)}")


def _request(query: str, headers: Mapping[str, str], body: bytes = b"") -> UnverifiedRequest:
    return UnverifiedRequest(url=f"{PUBLIC_URL}/points?{query}", headers=headers, body=body, received_at=NOON)

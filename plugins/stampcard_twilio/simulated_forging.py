"""Forgeries of webhooks that a careful receiver refuses."""

from __future__ import annotations

import random
from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode

from stampcard.testing.simulator import SignedRequest
from stampcard_twilio.simulated_hooks import SIGNATURE, signature


def forged(request: SignedRequest, url: str, chance: random.Random) -> SignedRequest:
    """One forgery or another of a request to that address."""
    return chance.choice(_WAYS)(request, url)


def _resigned(request: SignedRequest, told: str | None) -> SignedRequest:
    headers = {name: text for name, text in request.headers.items() if name != SIGNATURE}
    return SignedRequest(headers=headers if told is None else headers | {SIGNATURE: told}, body=request.body)


def _unsigned(request: SignedRequest, _: str) -> SignedRequest:
    return _resigned(request, None)


def _wrongly_signed(request: SignedRequest, url: str) -> SignedRequest:
    return _resigned(request, signature(url, request.body, "a guess"))


def _emptily_signed(request: SignedRequest, url: str) -> SignedRequest:
    return _resigned(request, signature(url, request.body, ""))


def _altered(request: SignedRequest, _: str) -> SignedRequest:
    """A genuine one about somebody else."""
    fields = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
    name = "From" if "Body" in fields else "To"
    return SignedRequest(headers=request.headers, body=urlencode({**fields, name: "+14155550199"}).encode())


def _lengthened(request: SignedRequest, _: str) -> SignedRequest:
    return SignedRequest(headers=request.headers, body=request.body + b"&ErrorCode=21610")


_WAYS: tuple[Callable[[SignedRequest, str], SignedRequest], ...] = (
    _unsigned,
    _wrongly_signed,
    _emptily_signed,
    _altered,
    _lengthened,
)

from __future__ import annotations

import base64

import pytest

from stampcard_standard_webhooks.signing import key_of, signatures

BODY = '{"type":"points.earned","note":"Zoë, 5 €"}'.encode()
NEWER = "whsec_dGhlIG5ld2VyIHNlY3JldCBvZiBmb3J0eSBieXRlcywgcmFuZG9tPw=="
OLDER = "whsec_YW4gb2xkZXIgb25lIG9mIDI0IGJ5dGVz"
#: printf '%s.%s.%s' msg_1 1773144000 "$body" | openssl dgst -sha256 -mac HMAC -macopt hexkey:… -binary | base64
BY_NEWER = "v1,U1Xe29QNUlkiq0w7FSSYP7Ar32LC9QckQDKxpKsedFo="
BY_OLDER = "v1,0qedgG9Y38Iw41KI3y6zcnDTwzOJyjO4VWlrR/pdjMU="


def secret(length: int) -> str:
    return f"whsec_{base64.b64encode(bytes(range(length))).decode()}"


def test_the_vector_that_receivers_libraries_publish_is_met() -> None:
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = signatures([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_signature_is_the_one_that_openssl_makes() -> None:
    assert signatures([key_of(NEWER)], "msg_1", 1773144000, BODY) == BY_NEWER


def test_every_key_signs_in_the_order_of_the_secrets() -> None:
    keys = map(key_of, (NEWER, OLDER))
    assert signatures(keys, "msg_1", 1773144000, BODY) == f"{BY_NEWER} {BY_OLDER}"


@pytest.mark.parametrize("length", [24, 32, 64])
def test_a_secret_of_24_to_64_bytes_is_a_key(length: int) -> None:
    assert key_of(secret(length)) == bytes(range(length))


@pytest.mark.parametrize(
    "text",
    [
        *("", "whsec_", "whsec_short", secret(23), secret(65), secret(32).removeprefix("whsec_")),
        *(secret(32).replace("whsec_", "whsk_"), secret(32).rstrip("="), secret(32) + " ", secret(24) + "é"),
    ],
)
def test_any_other_secret_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="24 to 64 random bytes") as refused:
        key_of(text)
    assert not text or text not in str(refused.value).replace("whsec_ and", "")

"""Codes of cards: what was made is believed in its time, and nothing else is."""

from __future__ import annotations

import hashlib
import hmac
import struct
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampcard.domain.passes import RotatingCode
from stampcard.engine import codes
from stampcard.engine.codes import (
    check_code,
    lasting_code,
    made_code,
    new_number,
    read_code,
    rotating_code,
    spaced,
)
from stampcard.engine.tokens import card_in, card_token
from stampcard.errors import RequestRefused
from stampcard.sealing import new_key_text, read_keys

SEALER, OTHER = read_keys(new_key_text()), read_keys(new_key_text())
NOW = datetime(2026, 11, 30, 12, 0, 5, tzinfo=UTC)
NUMBER = new_number()


def shown(code: RotatingCode, at: datetime) -> str:
    """What a wallet shows then, worked out by RFC 6238 as it is written."""
    counter = struct.pack(">Q", int(at.timestamp()) // code.period)
    digest = hmac.new(bytes.fromhex(code.key), counter, hashlib.sha1).digest()
    place = digest[-1] & 15
    value = struct.unpack(">I", digest[place : place + 4])[0] & 0x7FFFFFFF
    password = str(value % 10**code.digits).rjust(code.digits, "0")
    return code.pattern.format(timestamp=int(at.timestamp()), password=password)


def refusal(text: str, at: datetime = NOW) -> str:
    """Why it is not believed."""
    with pytest.raises(RequestRefused) as refused:
        check_code(SEALER, "main", read_code(text), at)
    return refused.value.code


@pytest.mark.parametrize(
    ("seconds", "password"), [(59, "94287082"), (1111111109, "07081804"), (2000000000, "69279037")]
)
def test_passwords_are_those_of_rfc_6238(seconds: int, password: str) -> None:
    assert codes._password(b"12345678901234567890", seconds) == password


def test_no_number_of_a_card_can_be_taken_for_a_phone_number() -> None:
    assert not [number for number in (new_number() for _ in range(500)) if number.startswith("0")]


def test_every_code_is_understood_alone_and_at_the_end_of_a_link() -> None:
    rotating = rotating_code(SEALER, "main", NUMBER, "https://shop.example/k/")
    for text, kind, counts_as in (
        (lasting_code(SEALER, "main", NUMBER), "lasting", "scanned"),
        (made_code(SEALER, "main", NUMBER, NOW), "made", "fresh"),
        (shown(rotating, NOW), "rotating", "fresh"),
        (spaced(NUMBER), "typed", "any"),
        ("-".join(spaced(NUMBER).split()), "typed", "any"),
    ):
        for told in (text, f"https://shop.example/k/{text.rpartition('/')[2]}", f" {text}\n"):
            code = read_code(told)
            check_code(SEALER, "main", code, NOW)
            assert (code.number, code.kind, code.counts_as) == (NUMBER, kind, counts_as)


@given(st.text(max_size=40))
def test_whatever_is_scanned_is_a_code_or_refused(text: str) -> None:
    with suppress(RequestRefused):
        assert len(read_code(text).number) == codes.DIGITS


@given(st.integers(0, codes.DIGITS - 1), st.integers(1, 9))
def test_one_wrong_digit_is_told_as_mistyped(place: int, more: int) -> None:
    wrong = NUMBER[:place] + str((int(NUMBER[place]) + more) % 10) + NUMBER[place + 1 :]
    assert refusal(wrong) == "mistyped"


@given(st.integers(0, 10), st.integers(0, 31))
def test_no_changed_letter_of_a_proof_is_believed(place: int, letter: int) -> None:
    for text in (lasting_code(SEALER, "main", NUMBER), made_code(SEALER, "main", NUMBER, NOW)):
        at = len(text) - 1 - place % 10
        wrong = text[:at] + codes._LETTERS[letter] + text[at + 1 :]
        if wrong != text:
            assert refusal(wrong) == "not_genuine"


def test_a_code_of_its_moment_is_believed_only_about_then() -> None:
    made, rotating = made_code(SEALER, "main", NUMBER, NOW), shown(rotating_code(SEALER, "main", NUMBER), NOW)
    for text, longest in ((made, 180), (rotating, 90)):
        for seconds in (-60, 0, longest):
            check_code(SEALER, "main", read_code(text), NOW + timedelta(seconds=seconds))
        for seconds in (-62, longest + 2):
            assert refusal(text, NOW + timedelta(seconds=seconds)) == "stale"


def test_a_password_that_is_told_for_another_moment_is_not_believed() -> None:
    text = shown(rotating_code(SEALER, "main", NUMBER), NOW)
    later = text.replace(str(int(NOW.timestamp())), str(int(NOW.timestamp()) + 600))
    assert refusal(later, NOW + timedelta(seconds=600)) == "not_genuine"
    within = text.replace(str(int(NOW.timestamp())), str(int(NOW.timestamp()) + 10))
    assert read_code(within).moment == read_code(text).moment, "a moment is a whole period"


def test_codes_of_another_installation_or_merchant_are_worth_nothing() -> None:
    for sealer, merchant in ((OTHER, "main"), (SEALER, "other")):
        assert refusal(lasting_code(sealer, merchant, NUMBER)) == "not_genuine"
        assert refusal(made_code(sealer, merchant, NUMBER, NOW)) == "not_genuine"
        assert refusal(shown(rotating_code(sealer, merchant, NUMBER), NOW)) == "not_genuine"


def test_the_link_of_a_card_opens_that_card_alone() -> None:
    token = card_token(SEALER, "main", NUMBER)
    assert card_in(SEALER, "main", token) == NUMBER
    assert card_in(SEALER, "other", token) is None
    assert card_in(OTHER, "main", token) is None
    for wrong in ("", "-", "x", NUMBER, f"{NUMBER}-", token[:-1], f"{new_number()}-{token.partition('-')[2]}", "٣-x"):
        assert card_in(SEALER, "main", wrong) is None

"""The links of messages: each opens what it was made for, and nothing else."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stampcard.clock import to_micros
from stampcard.engine.tokens import LINK, Link, Purpose, is_genuine, message_in, new_link, opened_link, token_of
from stampcard.sealing import Sealer, new_key_text, read_keys
from stampcard.testing.building import NOON

PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
messages = st.one_of(
    st.integers(min_value=0, max_value=2**63 - 1), st.sampled_from([0, 1, 31, 32, 1023, 1024, 2**62, 2**63 - 1])
)
with_sealer = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@with_sealer
@given(message=messages, purpose=st.sampled_from(PURPOSES))
def test_a_token_names_its_message_and_is_vouched_for(sealer: Sealer, message: int, purpose: Purpose) -> None:
    token = token_of(sealer, "main", purpose, message)
    assert message_in(token) == message
    assert is_genuine(sealer, "main", purpose, token)
    assert set(token) <= set(DIGITS + "-")
    assert len(token) <= 13 + 1 + 16


@with_sealer
@given(message=messages, purpose=st.sampled_from(PURPOSES))
def test_a_token_opens_nothing_of_another_purpose_merchant_or_key(
    sealer: Sealer, message: int, purpose: Purpose
) -> None:
    token = token_of(sealer, "main", purpose, message)
    assert [other for other in PURPOSES if is_genuine(sealer, "main", other, token)] == [purpose]
    assert not is_genuine(sealer, "other", purpose, token)
    assert not is_genuine(read_keys(new_key_text()), "main", purpose, token)


def test_a_merchant_whose_name_looks_like_more_gets_no_token_of_another(sealer: Sealer) -> None:
    token = token_of(sealer, "a:u", "u", 7)
    assert not is_genuine(sealer, "a", "u", token)


@with_sealer
@given(message=messages, data=st.data())
def test_a_token_of_which_one_character_was_changed_is_refused(
    sealer: Sealer, message: int, data: st.DataObject
) -> None:
    token = token_of(sealer, "main", "u", message)
    place = data.draw(st.integers(min_value=0, max_value=len(token) - 1))
    other = data.draw(st.sampled_from(DIGITS + "-ilouAZ ").filter(lambda one: one != token[place]))
    assert not is_genuine(sealer, "main", "u", token[:place] + other + token[place + 1 :])


@with_sealer
@given(message=messages, data=st.data())
def test_a_token_with_a_character_more_or_less_is_refused(sealer: Sealer, message: int, data: st.DataObject) -> None:
    token = token_of(sealer, "main", "p", message)
    place = data.draw(st.integers(min_value=0, max_value=len(token)))
    more = data.draw(st.sampled_from(DIGITS + "-"))
    assert not is_genuine(sealer, "main", "p", token[:place] + more + token[place:])
    assert not is_genuine(sealer, "main", "p", token[:place] + token[place + 1 :]) or place == len(token)


def test_a_number_has_one_token_alone(sealer: Sealer) -> None:
    token = token_of(sealer, "main", "c", 7)
    for written in (f"0{token}", token.upper(), f" {token}", f"{token}\n", f"{token}-"):
        assert not is_genuine(sealer, "main", "c", written), written


@pytest.mark.parametrize(
    "token",
    [
        "", "-", "1", "1-", f"-{'0' * 16}", f"1-{'0' * 15}", f"1-{'0' * 17}", f"1_{'0' * 16}", f"u-{'0' * 16}", f"1-{'U' * 16}",
        f"8000000000000-{'0' * 16}", f"zzzzzzzzzzzzz-{'0' * 16}", f"00000000000000-{'0' * 16}", "٣-" + "0" * 16, "1-" + "é" * 16,
    ],
)  # fmt: skip
def test_what_is_no_token_names_no_message(sealer: Sealer, token: str) -> None:
    assert message_in(token) is None
    assert not is_genuine(sealer, "main", "u", token)


def test_the_largest_message_of_63_bits_has_a_token_and_no_larger_one(sealer: Sealer) -> None:
    assert token_of(sealer, "main", "q", 2**63 - 1).startswith("7zzzzzzzzzzzz-")
    assert message_in(f"7zzzzzzzzzzzz-{'0' * 16}") == 2**63 - 1


@given(st.text(max_size=40))
def test_whatever_is_asked_for_is_no_token_or_names_a_message(text: str) -> None:
    found = message_in(text)
    assert found is None or 0 <= found < 2**63


def test_a_link_opens_its_members_things_for_a_quarter_of_an_hour(sealer: Sealer) -> None:
    token, until = new_link(sealer, "main", "m_1", NOON)
    assert (token[:3], until - NOON, LINK) == ("st_", timedelta(minutes=15), timedelta(minutes=15))
    link = opened_link(sealer, token, NOON)
    assert link == Link("main", "m_1", to_micros(until))
    assert opened_link(sealer, token, until - timedelta(microseconds=1)) == link
    assert opened_link(sealer, token, until) is None
    assert opened_link(sealer, token, until + timedelta(days=365)) is None


def test_a_link_of_another_key_opens_nothing(sealer: Sealer) -> None:
    token, _ = new_link(read_keys(new_key_text()), "main", "m_1", NOON)
    assert opened_link(sealer, token, NOON) is None


def test_what_was_sealed_for_something_else_is_no_link(sealer: Sealer) -> None:
    sealed = sealer.seal(b'["main", "m_1", 9999999999999999]', b"something else")
    token = "st_" + base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()
    assert opened_link(sealer, token, NOON) is None


@with_sealer
@given(data=st.data())
def test_a_link_that_was_changed_never_opens_anybody_elses_things_or_for_longer(
    sealer: Sealer, data: st.DataObject
) -> None:
    token, _ = new_link(sealer, "main", "m_1", NOON)
    link = opened_link(sealer, token, NOON)
    place = data.draw(st.integers(min_value=3, max_value=len(token) - 1))
    other = data.draw(st.sampled_from("ABCXYZabcxyz0189-_+/= .é").filter(lambda one: one != token[place]))
    changed = opened_link(sealer, token[:place] + other + token[place + 1 :], NOON)
    # The last character holds bits that say nothing, and an alphabet has two signs for some: the same link, then.
    assert changed is None or (changed == link and (place == len(token) - 1 or other in "+/"))


@pytest.mark.parametrize("token", ["", "st_", "st_x", "st_!!!!", "st_" + "A" * 100, "st_é", "x" * 5000, "st_st_"])
def test_what_is_no_link_opens_nothing(sealer: Sealer, token: str) -> None:
    assert opened_link(sealer, token, NOON) is None


def test_a_token_of_a_message_is_no_link(sealer: Sealer) -> None:
    assert opened_link(sealer, token_of(sealer, "main", "u", 7), NOON) is None


def test_two_links_of_one_member_are_never_alike(sealer: Sealer) -> None:
    assert new_link(sealer, "main", "m_1", NOON)[0] != new_link(sealer, "main", "m_1", NOON)[0]

from __future__ import annotations

from hashlib import sha256

from stampcard.domain.audiences import AudiencePush, HashKind, Place, hashes_of
from stampcard.engine.enlisting import next_step

OLD, NEW, PHONE = Place("a1", "email", "old"), Place("a1", "email", "new"), Place("a1", "phone", "phone")


def push(joins: str = "", leaves: str = "", **hashes: str) -> AudiencePush:
    kinds: dict[HashKind, str] = {kind: hashes[kind] for kind in ("email", "phone") if kind in hashes}
    return AudiencePush(member="m", version=3, hashes=kinds, joins=tuple(joins.split()), leaves=tuple(leaves.split()))


def test_addresses_are_hashed_as_vendors_want_them() -> None:
    kinds: tuple[HashKind, ...] = ("email", "email_undotted", "phone", "phone_digits")
    texts = {
        "email": "a.nn+x@gmail.com",
        "email_undotted": "ann+x@gmail.com",
        "phone": "+4915112345678",
        "phone_digits": "4915112345678",
    }
    expected = {kind: sha256(text.encode()).hexdigest() for kind, text in texts.items()}
    assert hashes_of(" A.nn+x@Gmail.com ", "0049 151 123 456-78", kinds) == expected
    assert hashes_of("no address", "0151 123", kinds) == {}


def test_nothing_is_told_of_whoever_is_where_they_belong() -> None:
    step = next_step("m", 3, frozenset({OLD, PHONE}), {OLD: True, PHONE: True}, (), 9)
    assert (step.items, step.dropped, step.goes_on) == ((), frozenset(), False)


def test_whoever_stays_by_another_hash_comes_in_again_after_one_has_left() -> None:
    first = next_step("m", 3, frozenset({NEW, PHONE}), {OLD: True, PHONE: True}, (), 9)
    assert first.items == (push(leaves="a1", email="old"),)
    assert (first.shaken, first.goes_on) == (frozenset({PHONE}), True)
    then = next_step("m", 3, frozenset({NEW, PHONE}), {PHONE: False}, (), 9)
    assert then.items == (push(joins="a1", email="new", phone="phone"),)
    assert not then.goes_on


def test_whoever_goes_from_one_audience_to_another_is_told_of_once() -> None:
    step = next_step("m", 3, frozenset({OLD._replace(audience="a2")}), {OLD: True}, (), 9)
    assert step.items == (push(joins="a2", leaves="a1", email="old"),)


def test_what_somebody_else_has_is_only_forgotten() -> None:
    step = next_step("m", 3, frozenset(), {OLD: True, PHONE: True}, (OLD,), 9)
    assert step.items == (push(leaves="a1", phone="phone"),)
    assert step.dropped == {OLD}


def test_no_more_is_told_than_there_is_room_for() -> None:
    step = next_step("m", 3, frozenset(), {OLD: True, NEW: False}, (), 1)
    assert (len(step.items), step.goes_on) == (1, True)
    assert next_step("m", 3, frozenset(), {OLD: True, NEW: False}, (), 2).items[0].leaves == ("a1",)

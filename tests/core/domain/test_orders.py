"""The laws of the join, over whatever a source may send."""

from __future__ import annotations

from datetime import timedelta
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from stampcard.domain.orders import EMPTY, OrderState, Stamp, is_tied, merge, standing_refunds, state_of
from stampcard.domain.value import replace
from stampcard.testing.building import NOON, order, refund

stamps = st.builds(
    lambda second, read_at, digest: Stamp(at=NOON + timedelta(seconds=second), read_at=read_at, digest=digest),
    st.integers(0, 3),
    st.sampled_from([0, 0, 7]),
    st.sampled_from("abc"),
)
# What has an equal stamp has equal content: the digest is a function of it.
snapshots = st.builds(
    lambda stamp, lists: order(
        stamp.at.second + ord(stamp.digest) + stamp.read_at,
        stamp=stamp,
        lists_all_refunds=lists and stamp.digest == "a",
        refund_references=("R1",) if stamp.digest == "a" else (),
        codes=tuple("XYZ"[: stamp.at.second]) if stamp.digest != "a" else (),
    ),
    stamps,
    st.just(True),
)
refunds = st.builds(
    lambda name, stamp: refund(name, money=stamp.at.second + ord(stamp.digest), stamp=stamp),
    st.sampled_from(["R1", "R2"]),
    stamps,
)
pieces = st.builds(state_of, st.none() | snapshots, st.lists(refunds, max_size=2))


@given(st.lists(pieces, min_size=1, max_size=6), st.data())
def test_any_permutation_with_repeats_ends_in_the_same_state(parts: list[OrderState], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(parts + data.draw(st.lists(st.sampled_from(parts), max_size=4))))

    assert reduce(merge, shuffled, EMPTY) == reduce(merge, parts, EMPTY)


@given(pieces, pieces, pieces)
def test_grouping_does_not_matter(a: OrderState, b: OrderState, c: OrderState) -> None:
    assert merge(merge(a, b), c) == merge(a, merge(b, c))
    assert merge(a, b) == merge(b, a)
    assert merge(a, a) == a


@given(st.lists(pieces, min_size=1, max_size=6))
def test_a_code_that_any_snapshot_showed_is_known(parts: list[OrderState]) -> None:
    shown = {code for part in parts for code in part.codes}

    assert set(reduce(merge, parts, EMPTY).codes) == shown


def test_a_snapshot_that_lacks_a_known_refund_keeps_it() -> None:
    state = merge(state_of(order(10), [refund("R1", money=4)]), state_of(order(10, age=99), []))

    assert [r.reference for r in standing_refunds(state)] == ["R1"]


def test_a_source_that_lists_all_refunds_removes_those_it_does_not_name_but_no_newer_ones() -> None:
    older, newer = refund("R1", money=4), refund("R2", money=5, at=NOON + timedelta(days=2))
    listing = order(10, stamp=Stamp(at=NOON + timedelta(days=1)), lists_all_refunds=True, refund_references=())
    state = state_of(listing, [older, newer])

    assert [r.reference for r in standing_refunds(state)] == ["R2"]


def test_a_webhook_body_is_tied_with_what_is_known_of_its_moment_but_a_fetched_one_never_is() -> None:
    known, other = order(10, age=1), order(11, age=1)
    other = replace(other, stamp=replace(other.stamp, digest="other"))
    fetched = replace(other, stamp=replace(other.stamp, read_at=5))

    assert is_tied(state_of(known, []), other, 4)
    assert not is_tied(state_of(known, []), fetched, 6)
    assert not is_tied(state_of(fetched, []), known, 4)
    assert is_tied(state_of(fetched, []), known, 6)
    assert not is_tied(state_of(known, []), known, 4)

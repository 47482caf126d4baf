"""Windows, audiences, shares, campaigns with variants and a control group, switches, and the states of a program."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampcard.engine.matching import group_of, place_of
from stampcard.errors import RequestRefused
from stampcard.program.campaigns import Campaign
from stampcard.testing.scenes import LATER, Scene, stranger

WALLET = "wallets: {points: {}}\n"


def windowed(during: str) -> Scene:
    return Scene(WALLET + f"rules: [{{id: r, on: purchase, award: 5, during: {during}}}]\n")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("during", "inside", "outside"),
    [
        ("{hours: 08:00-11:00}", "2026-03-10T09:59", "2026-03-10T10:00"),  # Berlin is an hour ahead
        ("{weekdays: [tue]}", "2026-03-10T22:59", "2026-03-10T23:00"),
        ("{dates: 2026-03-10}", "2026-03-09T23:00", "2026-03-10T23:00"),
        ("{dates: 03-10}", "2026-03-10T12:00", "2026-03-09T12:00"),
    ],
)
def test_a_rule_is_open_by_the_programs_clock(during: str, inside: str, outside: str) -> None:
    assert windowed(during).buys(5, at=at(inside)).points == {"r": 5}
    assert windowed(during).buys(5, at=at(outside)).codes == {"r": "not_now"}


def test_a_rule_may_go_by_the_members_clock_and_by_the_programs_where_that_is_not_known() -> None:
    during = "{hours: 08:00-11:00, zone: member}"
    scene = windowed(during)
    scene.knows("ann", timezone="Asia/Kuala_Lumpur")
    scene.knows("ben", timezone="Nowhere/At_All")
    assert scene.buys(5, at=at("2026-03-10T02:00")).points == {"r": 5}
    assert scene.buys(5, at=at("2026-03-10T08:00")).codes == {"r": "not_now"}
    assert scene.buys(5, by="ben", at=at("2026-03-10T08:00")).points == {"r": 5}
    assert windowed(during).buys(5, at=at("2026-03-10T08:00")).points == {"r": 5}


def test_a_rule_may_go_by_the_shops_clock() -> None:
    during = "{hours: 08:00-11:00, zone: shop}"
    assert windowed(during).buys(5, at=at("2026-03-10T15:00"), utc_offset=-300).codes == {"r": "matched"}
    assert windowed(during).buys(5, at=at("2026-03-10T15:00")).codes == {"r": "not_now"}


def test_a_rule_may_be_for_named_members() -> None:
    scene = Scene(WALLET + "rules: [{id: r, on: purchase, award: 5, who: {members: ['shop:42', ben]}}]\n")
    assert scene.buys(5).codes == {"r": "not_for_this_member"}
    assert scene.buys(5, by="ben").points == {"r": 5}
    scene.named("ann", "shop:42")
    assert scene.buys(5).points == {"r": 5}


@given(st.integers(1, 99), st.sampled_from(["rule:main/a", "rule:main/b"]))
def test_a_share_is_about_that_share_and_always_the_same_members(percent: int, salt: str) -> None:
    chosen = [number for number in range(800) if place_of(salt, f"m{number}") < percent]
    assert abs(len(chosen) / 8 - percent) < 8
    assert chosen == [number for number in range(800) if place_of(salt, f"m{number}") < percent]


def test_shares_of_different_things_are_different_members() -> None:
    one = {number for number in range(1000) if place_of("campaign:main/a", f"m{number}") < 50}
    other = {number for number in range(1000) if place_of("campaign:main/b", f"m{number}") < 50}
    assert 200 < len(one & other) < 300


def test_a_campaign_splits_its_members_for_good() -> None:
    campaign = Campaign.model_validate({"variants": {"a": "45 %", "b": "45 %"}, "control": "10 %"})
    groups = [group_of(campaign, "campaign:main/x", f"m{number}") for number in range(2000)]
    shares = {name: groups.count(name) / 20 for name in ("a", "b", "control")}
    assert shares["a"] == pytest.approx(45, abs=4)
    assert shares["b"] == pytest.approx(45, abs=4)
    assert shares["control"] == pytest.approx(10, abs=3)
    assert "" not in groups


def test_a_rule_of_a_variant_pays_its_members_and_the_control_group_gets_nothing() -> None:
    members = tuple(f"m{number}" for number in range(40))
    scene = Scene(
        WALLET + "campaigns: {c: {variants: {a: 40 %, b: 40 %}, control: 20 %}}\n"
        "rules:\n"
        "  - {id: all, on: purchase, award: 1, campaign: c}\n"
        "  - {id: a, on: purchase, award: 2, campaign: c, variant: a}\n",
        members=members,
    )
    campaign = scene.world.programs.current(LATER)[0].program.campaigns["c"]
    for member in members:
        group = group_of(campaign, "campaign:main/c", member)
        expected: dict[str, dict[str, Any]] = {"a": {"all": 1, "a": 2}, "b": {"all": 1}, "control": {}}
        assert scene.buys(5, by=member).points == expected[group]
        if group == "control":
            assert set(scene.codes.values()) == {"control_group"}


def test_a_campaign_begins_and_ends_with_its_days_and_audience() -> None:
    rules = (
        "campaigns: {c: {during: {dates: 2026-03-10..2026-03-11}, who: {members: [ann]}}}\n"
        "rules: [{id: r, on: purchase, award: 5, campaign: c}]\n"
    )
    scene = Scene(WALLET + rules)
    assert scene.buys(5).points == {"r": 5}
    assert scene.buys(5, by="ben").codes == {"r": "not_for_this_member"}
    assert scene.wait(days=5).buys(5, at=at("2026-03-12T12:00")).codes == {"r": "not_now"}


@pytest.mark.parametrize("target", ["rule:main/r", "campaign:main/c", "program:main"])
def test_what_is_switched_off_pays_nothing_and_an_order_of_then_stays_without(target: str) -> None:
    rules = "campaigns: {c: {}}\nrules: [{id: r, on: purchase, award: 5, campaign: c}]\n"
    scene = Scene(WALLET + rules)
    scene.buys(5, reference="before")
    scene.stops(target)
    assert scene.buys(5, reference="A").codes == {"r": "stopped"}
    scene.stops()
    assert scene.buys(6, reference="A", age=1).codes == {"r": "stopped"}
    assert scene.buys(5).points == {"r": 5}
    scene.stops(target)
    scene.buys(6, reference="before", age=1)
    assert scene.active() == 10


@pytest.mark.parametrize("where", ["rule", "campaign"])
def test_what_is_not_enabled_pays_nothing(where: str) -> None:
    off = {"rule": ("{}", ", enabled: false"), "campaign": ("{enabled: false}", "")}[where]
    rules = f"campaigns: {{c: {off[0]}}}\nrules: [{{id: r, on: purchase, award: 5, campaign: c{off[1]}}}]\n"
    assert Scene(WALLET + rules).buys(5).codes == {"r": "stopped"}


ENDING = "ending: {last_earn: 2026-03-10, last_redeem: 2026-03-20, closed: 2026-04-01}\n"


@pytest.mark.parametrize(
    ("state", "by", "day", "code"),
    [
        ("state: draft\n", "ann", "10", "draft"),
        ("state: test\naudience: {members: [ann]}\n", "ann", "10", "matched"),
        ("state: test\naudience: {members: [ann]}\n", "ben", "10", "not_in_audience"),
        ("state: soft\naudience: {members: [ann]}\n", "ben", "10", "not_in_audience"),
        ("state: live\n", "ben", "10", "matched"),
        (f"state: ending\n{ENDING}", "ann", "10", "matched"),
        (f"state: ending\n{ENDING}", "ann", "11", "ended"),
        ("state: ended\n", "ann", "10", "ended"),
    ],
)
def test_a_program_earns_as_its_state_says(state: str, by: str, day: str, code: str) -> None:
    scene = Scene(state + WALLET + "rules: [{id: r, on: purchase, award: 5}]\n")
    scene.buys(5, by=by, at=at(f"2026-03-{day}T12:00"))
    assert set(scene.codes.values()) == {code}


@pytest.mark.parametrize(("state", "joined"), [("draft", False), ("test", False), ("live", True), ("ended", False)])
def test_nobody_is_enrolled_outside_of_the_audience(state: str, joined: bool) -> None:
    audience = "audience: {members: [ben]}\n" if state == "test" else ""
    scene = Scene(f"state: {state}\n{audience}" + WALLET + "rules: [{id: w, on: sign_up, award: 5}]\n")
    scene.world = type(scene.world)(
        now=scene.world.now, programs=scene.world.programs, members={"ann": stranger("ann")}
    )
    scene.buys(5)
    assert ("main" in scene.world.members["ann"].programs) is joined
    assert scene.active() == (5 if joined else 0)


def test_points_of_a_program_that_ends_can_be_spent_until_their_last_day() -> None:
    scene = Scene(f"state: ending\n{ENDING}" + WALLET + "rules: [{id: r, on: purchase, award: 50}]\n")
    scene.buys(5, at=at("2026-03-10T12:00"))
    scene.spends(10)
    scene.wait(days=10)
    with pytest.raises(RequestRefused, match="has ended"):
        scene.spends(10, key="s2")


def test_points_that_only_count_for_status_cannot_be_spent() -> None:
    scene = Scene("wallets: {points: {spendable: false}}\nrules: [{id: r, on: purchase, award: 50}]\n")
    scene.buys(5)
    with pytest.raises(RequestRefused, match="count for status"):
        scene.spends(10)


def test_the_place_of_a_member_never_changes() -> None:
    # Written down, so that a change of the drawing would be seen: it would move everybody to another group.
    assert place_of("campaign:main/c", "ann").quantize(Decimal("0.0001")) == Decimal("50.8559")

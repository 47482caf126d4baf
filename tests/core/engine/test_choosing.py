"""Picking one reward of a choice, and what gives the choice back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stampcard.domain.events import OrderSeen, RefundSeen
from stampcard.domain.members import Member
from stampcard.domain.rewards import ISSUE, WITHDRAW, Fulfiller, Minted, Redemption
from stampcard.domain.value import replace
from stampcard.engine.choosing import check_choosable, decide_choose
from stampcard.engine.deciding import decide_order
from stampcard.engine.redeeming import (
    decide_handled,
    decide_overdue,
    decide_release,
    decide_revoke,
    decide_settled,
    decide_use,
    decide_withdrawn,
)
from stampcard.engine.rewarding import standing
from stampcard.engine.taking import find_reward
from stampcard.engine.world import Decision, World
from stampcard.errors import Conflict, RequestRefused
from stampcard.testing.building import LONG_AGO, NOON, absorbed, order, refund, world

#: A choice that every order of 50 EUR gives.
TEXT = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules:
  - {id: thanks, on: purchase, award: reward pick, when: order.total >= 50}
rewards:
  pick: {gives: 'choice of shop, ours, few, dear, others, card', valid: 30 days}
  shop: {gives: 5 EUR off, stock: 3, valid: 60 days, hold: 2 days}
  ours: {gives: 5 EUR off, by: own, unused: return, valid: 10 days}
  few: {gives: merchandise, stock: 0}
  dear: {gives: 5 EUR off, wallet: points, price: 1000000, by: own, when: member.days > 100000}
  others: {gives: 5 EUR off, by: own, who: {members: [bob]}}
  card: {gives: gift card 25 EUR}
"""
GIVEN = frozenset({"held", "issued", "used"})


class Scene:
    """A member who was given a choice, in a world that takes its decisions in."""

    def __init__(self, text: str = TEXT) -> None:
        made = world(text, now=NOON)
        person = Member(id="ann", joined_at=LONG_AGO, programs=frozenset({"main"}))
        fulfiller = Fulfiller(connection="web", reference="7", kinds=frozenset({"amount_off"}))
        self.number = 0
        self.sent: list[tuple[str, str]] = []
        self.world: World = replace(
            made, members={"ann": person}, fulfillers={"ann": (fulfiller,)}, mint=lambda *_: self.minted()
        )
        event = OrderSeen(reference="A", snapshot=order(60, customer="ann"))
        self.take(decide_order(self.world, event, "shop", "ann", NOON))
        (self.given,) = self.world.redemptions.values()

    @property
    def choice(self) -> Redemption:
        return self.of(self.given)

    @property
    def picks(self) -> list[Redemption]:
        return [one for one in self.world.redemptions.values() if one.subject == f"choice:{self.given.id}"]

    def minted(self) -> Minted:
        self.number += 1
        return Minted(id=f"r{self.number}", code=f"CODE-{self.number}")

    def take(self, decision: Decision) -> None:
        found = {**self.world.redemptions, **{one.id: one for one in decision.redemptions}}
        self.world = replace(absorbed(self.world, decision), redemptions=found)
        self.sent += [(command.kind, command.key.partition(":")[0]) for _, command in decision.commands]

    def of(self, one: Redemption) -> Redemption:
        return self.world.redemptions[one.id]

    def pick(self, name: str) -> Redemption:
        live, of = find_reward(self.world, name)
        found = standing(self.world, live, of, self.world.members["ann"])
        decision = decide_choose(self.world, self.choice, found, self.world.members["ann"], self.minted())
        self.take(decision)
        return decision.redemptions[0]

    def passes(self, time: timedelta) -> None:
        self.world = replace(self.world, now=self.world.now + time)

    def overdue(self) -> None:
        for one in list(self.world.redemptions.values()):
            self.take(decide_overdue(self.world, self.of(one)))

    def refunds(self) -> None:
        event = RefundSeen(order="A", refund=refund("RA", [("L1", 60)]))
        self.take(decide_order(self.world, event, "shop", None, self.world.now))

    @property
    def out(self) -> int:
        """What is out of the stock of the reward that the shop makes."""
        return sum(value for key, value in self.world.counters.items() if key.scope == "reward:shop:stock")


def test_what_is_picked_begins_without_a_price_and_the_choice_is_used() -> None:
    scene = Scene()
    picked = scene.pick("shop")
    assert (picked.status, picked.price, picked.subject, picked.wallet) == ("held", 0, f"choice:{scene.given.id}", "")
    assert (scene.choice.status, scene.choice.ended_at, scene.choice.due_at) == ("used", NOON, None)
    assert (scene.sent, scene.out) == ([(ISSUE, picked.id)], 1)


def test_price_conditions_and_audiences_do_not_stand_against_what_is_picked() -> None:
    for name in ("dear", "others"):
        scene = Scene()
        assert (scene.pick(name).status, scene.choice.status) == ("issued", "used")


def test_a_plugin_may_be_against_what_is_picked_and_the_choice_stays() -> None:
    scene = Scene()
    against = {"shop": "perks: you are blocked"}
    scene.world = replace(scene.world, veto=lambda reward, *_: against.get(reward, ""))

    with pytest.raises(RequestRefused, match="perks: you are blocked") as refused:
        scene.pick("shop")
    assert (refused.value.code, scene.choice.status, scene.picks) == ("vetoed", "issued", [])

    assert scene.pick("ours").status == "issued"


def test_a_plugin_that_is_against_what_a_rule_gives_is_asked_again_with_the_orders_next_news() -> None:
    scene = Scene()
    said = ["perks: you are blocked", ""]
    scene.world = replace(scene.world, veto=lambda *_: said[0])
    scene.take(decision := decide_order(
        scene.world, OrderSeen(reference="B", snapshot=order(70, customer="ann")), "shop", "ann", NOON
    ))  # fmt: skip
    assert len(scene.world.redemptions) == 1
    assert [(one.code, one.detail, one.due) for one in decision.reasons] == [("vetoed", "perks: you are blocked", 0)]

    del said[0]
    event = RefundSeen(order="B", refund=refund("R", [("L1", 10)], money=10))
    scene.take(decision := decide_order(scene.world, event, "shop", None, NOON))

    assert [(one.code, one.due) for one in decision.reasons] == [("matched", 1)]
    assert [one.subject for one in scene.world.redemptions.values()] == ["order:shop:A", "order:shop:B"]


def test_a_plugin_that_cannot_be_asked_about_what_a_rule_gives_leaves_the_order_as_it_is() -> None:
    scene = Scene()

    def fails(*_: Any) -> str:
        raise RequestRefused("plugin_failed", "redemption_veto of plugin 'moody' failed")

    scene.world = replace(scene.world, veto=fails)
    event = OrderSeen(reference="B", snapshot=order(70, customer="ann"))

    decision = decide_order(scene.world, event, "shop", "ann", NOON)

    assert [(one.code, one.due) for one in decision.reasons] == [("plugin_failed", 0)]
    assert (decision.order is not None, decision.redemptions) == (True, ())


@pytest.mark.parametrize(("name", "code"), [("few", "sold_out"), ("card", "shop_cannot"), ("ours", "stopped")])
def test_what_cannot_be_had_is_refused_and_leaves_the_choice_as_it_was(name: str, code: str) -> None:
    scene = Scene(TEXT.replace("ours: {gives", "ours: {enabled: false, gives"))
    with pytest.raises(RequestRefused) as refused:
        scene.pick(name)
    assert refused.value.code == code
    assert (scene.choice, scene.picks) == (scene.given, [])


def test_of_a_choice_that_is_used_nothing_more_is_picked_and_it_cannot_be_revoked() -> None:
    scene = Scene()
    scene.pick("ours")
    with pytest.raises(Conflict, match="used"):
        scene.pick("shop")
    with pytest.raises(Conflict, match="used"):
        decide_revoke(scene.world, scene.choice, "fraud")


@pytest.mark.parametrize("end", ["expired", "due", "revoked", "withdrawn", "held"])
def test_of_a_choice_that_is_not_open_nothing_is_picked(end: str) -> None:
    scene = Scene()
    if end in {"expired", "due"}:
        scene.passes(timedelta(days=40))
    if end == "expired":
        scene.overdue()
    elif end == "revoked":
        scene.take(decide_revoke(scene.world, scene.choice, "by mistake"))
    elif end == "withdrawn":
        scene.take(decide_withdrawn(scene.world, scene.choice, back=False))
    elif end == "held":
        scene.take(Decision(redemptions=(replace(scene.choice, status="held"),)))
    with pytest.raises(Conflict) as refused:
        scene.pick("ours")
    assert refused.value.code == f"already_{'expired' if end == 'due' else end}"
    assert scene.picks == []


def test_what_gives_something_else_is_no_choice() -> None:
    scene = Scene()
    with pytest.raises(RequestRefused, match="nothing to choose"):
        check_choosable(scene.pick("ours"), scene.world.now)


def test_what_the_shop_refuses_gives_the_choice_back_as_it_was() -> None:
    scene = Scene()
    refused = scene.pick("shop")
    scene.take(decide_settled(scene.world, refused, done=False, result={}, why="closed"))
    assert (scene.of(refused).status, scene.choice, scene.out) == ("released", scene.given, 0)
    assert scene.pick("ours").status == "issued"


def test_a_code_that_came_after_the_choice_was_given_back_is_asked_back_and_changes_no_later_pick() -> None:
    scene = Scene()
    late = scene.pick("shop")
    scene.take(decide_release(scene.world, late, "too slow"))
    kept = scene.pick("ours")
    scene.take(decide_settled(scene.world, scene.of(late), done=True, result={}, why=""))
    scene.take(decide_settled(scene.world, scene.of(late), done=False, result={}, why="after all"))
    assert scene.sent == [(ISSUE, late.id), (WITHDRAW, late.id)]
    assert (scene.choice.status, scene.of(late).status, scene.of(kept)) == ("used", "released", kept)


def test_a_choice_that_is_given_back_too_late_ends_with_its_time() -> None:
    scene = Scene(TEXT.replace("hold: 2 days", "hold: 50 days"))
    slow = scene.pick("shop")
    scene.passes(timedelta(days=51))
    scene.overdue()
    assert scene.of(slow).status == "released"
    with pytest.raises(Conflict, match="expired"):
        scene.pick("ours")
    scene.overdue()
    assert scene.choice.status == "expired"


def test_what_people_cannot_hand_out_gives_the_choice_back() -> None:
    scene = Scene(TEXT.replace("stock: 0", "stock: 1"))
    few = scene.pick("few")
    scene.take(decide_handled(scene.world, few, "refused", "broken"))
    assert (scene.of(few).status, scene.choice.status) == ("revoked", "issued")


@pytest.mark.parametrize(("keeps", "status"), [(False, "issued"), (True, "used")])
def test_what_is_taken_back_gives_the_choice_back_unless_it_is_kept(keeps: bool, status: str) -> None:
    scene = Scene()
    picked = scene.pick("ours")
    scene.take(decide_revoke(scene.world, picked, "fraud", keep_points=keeps))
    assert scene.choice.status == status


@pytest.mark.parametrize(
    ("picks", "uses", "statuses", "figures"),
    [
        (False, False, ["revoked"], (1, 0)),
        (True, False, ["revoked", "revoked"], (1, 0)),
        (True, True, ["used", "used"], (0, 1)),
    ],
)
def test_a_refund_takes_a_choice_back_with_what_was_picked_and_writes_off_what_was_used(
    picks: bool, uses: bool, statuses: list[str], figures: tuple[int, int]
) -> None:
    scene = Scene()
    if picks:
        picked = scene.pick("ours")
        if uses:
            scene.take(decide_use(scene.world, picked, "till"))
    scene.refunds()
    (award,) = [one for of in scene.world.awards.values() for one in of.values()]
    assert [one.status for one in (scene.choice, *scene.picks)] == statuses
    assert (award.taken, award.written_off) == figures


STEPS = st.sampled_from(
    ["shop", "ours", "few", "dear", "done", "refused", "release", "revoke", "use", "later", "overdue", "refund", "stop"]
)


@settings(max_examples=100, deadline=None)
@given(st.lists(STEPS, max_size=25), st.data())
def test_whatever_happens_a_choice_is_worth_one_reward(steps: list[str], data: st.DataObject) -> None:
    scene = Scene()
    for number, step in enumerate(steps):
        try:
            _step(scene, step, data.draw(st.sampled_from(scene.picks or [scene.choice])), number)
        except RequestRefused:
            continue
        worth = sum(
            one.status in GIVEN or (one.status == "expired" and not (one.returns and not one.orders))
            for one in scene.picks
        )
        assert worth == (scene.choice.status == "used")
    assert scene.out == sum(one.reward == "shop" and one.status in {*GIVEN, "expired"} for one in scene.picks)


def _step(scene: Scene, step: str, one: Redemption, number: int) -> None:
    if step in {"shop", "ours", "few", "dear"}:
        scene.pick(step)
    elif step in {"done", "refused"}:
        scene.take(decide_settled(scene.world, one, done=step == "done", result={}, why="no"))
    elif step == "later":
        scene.passes(timedelta(days=4))
    elif step == "overdue":
        scene.overdue()
    elif step == "refund":
        scene.refunds()
    elif step == "stop":
        scene.take(decide_withdrawn(scene.world, scene.choice, back=number % 2 == 0))
    elif one != scene.choice:
        endings: dict[str, Any] = {"release": decide_release, "revoke": decide_revoke, "use": decide_use}
        scene.take(endings[step](scene.world, one, f"till {number}"))

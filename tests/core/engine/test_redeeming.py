"""The life of a redemption, step by step, with its points."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stampcard.domain.events import CustomEvent, OrderSeen, RefundSeen
from stampcard.domain.members import Member
from stampcard.domain.orders import OrderLine
from stampcard.domain.rewards import ISSUE, WITHDRAW, Fulfiller, Minted, Redemption
from stampcard.domain.value import replace
from stampcard.engine.deciding import decide_custom, decide_order
from stampcard.engine.redeeming import (
    decide_overdue,
    decide_release,
    decide_revoke,
    decide_settled,
    decide_use,
    decide_withdrawn,
)
from stampcard.engine.requesting import decide_adjust
from stampcard.engine.rewarding import Asking
from stampcard.engine.taking import decide_redeem, find_reward
from stampcard.engine.verifying import verify_awards, verify_wallet
from stampcard.engine.wording import sentence
from stampcard.engine.world import Decision, World
from stampcard.errors import Conflict, InsufficientPoints, NotFound, RequestRefused
from stampcard.testing.building import LONG_AGO, NOON, absorbed, order, refund, world

TEXT = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {refunds: {spent: return_on_full}}, miles: {}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR, wallet: points}
  - {id: thanks, on: purchase, award: reward treat, when: order.total >= 50}
  - {id: hello, on: newsletter, award: reward treat, limits: 1 time ever}
rewards:
  shop: {name: Five, gives: 5 EUR off, wallet: points, price: 50, stock: 3, valid: 30 days, hold: 2 days}
  ours: {gives: 5 EUR off, wallet: points, price: 20, by: own, uses: 2, unused: return, valid: 10 days}
  lost: {gives: 5 EUR off, wallet: points, price: 20, by: own, unused: lose, valid: 10 days}
  filled: {gives: 5 EUR off, wallet: points, price: 20, by: pool, valid: 10 days}
  treat: {gives: 5 EUR off, by: own, valid: 1 month, stock: 2}
  fly: {gives: 200 to miles, wallet: points, price: 40}
  patient: {gives: merchandise, wallet: points, price: 5, hold: none}
"""


class Scene:
    """A world that takes its decisions in, with the ledger that they wrote."""

    def __init__(self, text: str, points: int = 100) -> None:
        made = world(text, now=NOON)
        person = Member(id="ann", joined_at=LONG_AGO, programs=frozenset({"main"}))
        fulfiller = Fulfiller(connection="web", reference="7", kinds=frozenset({"amount_off"}))
        self.number = 0
        self.world: World = replace(
            made, members={"ann": person}, fulfillers={"ann": (fulfiller,)}, mint=lambda *_: self.minted()
        )
        self.entries: list[Any] = []
        self.sent: list[tuple[str, str]] = []
        self.last: Decision | None = None
        if points:
            self.take(decide_adjust(self.world, "ann", "points", points, "gift", "a gift"))

    def minted(self) -> Minted:
        self.number += 1
        return Minted(id=f"r{self.number}", code=f"CODE-{self.number}")

    def take(self, decision: Decision) -> Decision:
        self.world = absorbed(self.world, decision)
        debits = {debit.key: debit for of in self.world.debits.values() for debit in of}
        debits |= {debit.key: debit for debit in decision.debits}
        grouped: dict[str, tuple[Any, ...]] = {}
        for debit in debits.values():
            key = debit.subject or debit.key
            grouped[key] = (*grouped.get(key, ()), debit)
        redemptions = {**self.world.redemptions, **{one.id: one for one in decision.redemptions}}
        self.world = replace(self.world, debits=grouped, redemptions=redemptions)
        self.entries += decision.entries
        self.sent += [(command.kind, command.key.partition(":")[0]) for _, command in decision.commands]
        self.last = decision
        return decision

    def passes(self, time: timedelta) -> None:
        self.world = replace(self.world, now=self.world.now + time)

    def redeem(self, reward: str) -> Redemption:
        live, of = find_reward(self.world, reward)
        decision = decide_redeem(self.world, live, of, self.world.members["ann"], self.minted(), Asking())
        return self.take(decision).redemptions[0]

    def of(self, redemption: Redemption) -> Redemption:
        return self.world.redemptions[redemption.id]

    def buys(self, *amounts: Any, reference: str = "A", **more: Any) -> Decision:
        event = OrderSeen(reference=reference, snapshot=order(*amounts, customer="ann", **more))
        return self.take(decide_order(self.world, event, "shop", "ann", self.world.now))

    def refunds(self, amount: Any, reference: str = "A") -> Decision:
        event = RefundSeen(order=reference, refund=refund(f"R{reference}", [("L1", amount)]))
        return self.take(decide_order(self.world, event, "shop", None, self.world.now))

    @property
    def figures(self) -> tuple[int, int, int]:
        sums = self.world.wallets["ann", "points"].sums
        return sums.get("active", 0), sums.get("held", 0), sums.get("redeemed", 0)

    def left(self, reward: str) -> int:
        return sum(value for key, value in self.world.counters.items() if key.scope == f"reward:{reward}:stock")

    def check(self) -> None:
        for (_, name), wallet in self.world.wallets.items():
            own = [entry for entry in self.entries if entry.wallet == name]
            held = sum(
                one.price for one in self.world.redemptions.values() if one.status == "held" and one.wallet == name
            )
            awards = [award for of in self.world.awards.values() for award in of.values() if award.wallet == name]
            assert verify_wallet(wallet, own, held) == []
            assert verify_awards(wallet.member, wallet.name, own, awards) == []


@pytest.mark.parametrize(
    ("reset", "reward", "moves"),
    [("redeem", "gift", True), ("redeem", "ours", True), ("spend", "ours", True), ("spend", "gift", False)],
)
def test_a_reward_that_is_taken_gives_points_a_new_date_and_a_free_one_spends_nothing(
    reset: str, reward: str, moves: bool
) -> None:
    text = TEXT.replace("miles: {}", f"miles: {{expire: 1 month after last {reset}}}")
    scene = Scene(text + "  gift: {gives: merchandise, wallet: points, price: 0}\n")
    scene.take(decide_adjust(scene.world, "ann", "miles", 10, "fly", "flown"))
    scene.passes(timedelta(days=9))
    scene.redeem(reward)
    (lot,) = scene.world.wallets["ann", "miles"].lots.values()
    assert lot.expires_at == datetime(2026, 4, 19 if moves else 10, 22, tzinfo=UTC)


def test_points_are_held_issued_and_spent() -> None:
    scene = Scene(TEXT)
    held = scene.redeem("shop")
    assert (held.status, scene.figures, scene.sent, scene.left("shop")) == ("held", (50, 50, 0), [(ISSUE, "r1")], 1)

    scene.take(decide_settled(scene.world, held, done=True, result={"code": "THEIRS"}, why=""))

    issued = scene.of(held)
    assert (issued.status, scene.figures) == ("issued", (50, 0, 50))
    assert issued.voucher is not None
    assert issued.voucher.code == "THEIRS"
    scene.check()


def test_an_answer_that_comes_twice_changes_nothing_more() -> None:
    scene = Scene(TEXT)
    held = scene.redeem("shop")
    for _ in range(2):
        scene.take(decide_settled(scene.world, scene.of(held), done=True, result={}, why=""))
    assert scene.figures == (50, 0, 50)
    scene.check()


def test_what_the_vendor_refuses_gives_points_and_stock_back() -> None:
    scene = Scene(TEXT)
    held = scene.redeem("shop")
    scene.take(decide_settled(scene.world, held, done=False, result={}, why="closed"))
    released = scene.of(held)
    assert (released.status, released.reason, scene.figures) == ("released", "closed", (100, 0, 0))
    assert scene.left("shop") == 0
    scene.check()


def test_a_code_that_came_after_the_release_is_asked_back() -> None:
    scene = Scene(TEXT)
    held = scene.redeem("shop")
    scene.take(decide_release(scene.world, held, "no"))
    scene.take(decide_settled(scene.world, scene.of(held), done=True, result={}, why=""))
    assert scene.sent == [(ISSUE, "r1"), (WITHDRAW, "r1")]
    assert (scene.of(held).status, scene.figures) == ("released", (100, 0, 0))


def test_revoking_an_issued_reward_withdraws_it_and_returns_the_points_unless_they_are_kept() -> None:
    for keep, figures in ((False, (100, 0, 0)), (True, (50, 0, 50))):
        scene = Scene(TEXT)
        held = scene.redeem("shop")
        scene.take(decide_settled(scene.world, held, done=True, result={}, why=""))
        scene.take(decide_revoke(scene.world, scene.of(held), "fraud", keep_points=keep))
        assert (scene.of(held).status, scene.figures, scene.sent[-1]) == ("revoked", figures, (WITHDRAW, "r1"))
        scene.check()


def test_a_hold_that_is_revoked_with_its_points_kept_is_spent() -> None:
    scene = Scene(TEXT)
    held = scene.redeem("shop")
    scene.take(decide_revoke(scene.world, held, "fraud", keep_points=True))
    assert scene.figures == (50, 0, 50)
    scene.check()


def test_nothing_happens_to_what_is_over() -> None:
    scene = Scene(TEXT)
    held = scene.redeem("shop")
    scene.take(decide_release(scene.world, held, "no"))
    for decide in (decide_release, decide_revoke, decide_use):
        with pytest.raises(Conflict, match="released"):
            decide(scene.world, scene.of(held), "again")


def test_a_code_works_as_often_as_it_says_and_the_same_place_counts_once() -> None:
    scene = Scene(TEXT)
    ours = scene.redeem("ours")
    for where, status in (("till 1", "issued"), ("till 1", "issued"), ("till 2", "used")):
        scene.take(decide_use(scene.world, scene.of(ours), where))
        assert scene.of(ours).status == status
    assert scene.of(ours).orders == ("till 1", "till 2")


def test_time_releases_a_hold_and_ends_what_was_not_used() -> None:
    scene = Scene(TEXT, points=200)
    held, ours, lost = (scene.redeem(name) for name in ("shop", "ours", "lost"))
    scene.passes(timedelta(days=3))
    for one in (held, ours, lost):
        scene.take(decide_overdue(scene.world, scene.of(one)))
    assert [scene.of(one).status for one in (held, ours, lost)] == ["released", "issued", "issued"]
    scene.passes(timedelta(days=20))
    for one in (held, ours, lost):
        scene.take(decide_overdue(scene.world, scene.of(one)))
    assert [scene.of(one).status for one in (held, ours, lost)] == ["released", "expired", "expired"]
    assert scene.figures == (180, 0, 20)
    scene.check()


def test_a_code_that_a_shop_made_with_others_is_taken_away_there_when_it_ends() -> None:
    scene = Scene(TEXT, points=200)
    live, of = find_reward(scene.world, "filled")
    ids = []
    for number in (1, 2):
        minted = Minted(id=f"f{number}", code=f"FILLED-{number}", by="web", batch="discount/7")
        decision = decide_redeem(scene.world, live, of, scene.world.members["ann"], minted, Asking())
        ids.append(scene.take(decision).redemptions[0])
    assert [(one.status, one.by) for one in ids] == [("issued", "web")] * 2
    assert all(one.voucher is not None and one.voucher.batch == "discount/7" for one in ids)
    assert scene.sent == []
    scene.take(decide_revoke(scene.world, scene.of(ids[0]), "fraud"))
    scene.passes(timedelta(days=11))
    scene.take(decide_overdue(scene.world, scene.of(ids[1])))
    assert scene.of(ids[1]).status == "expired"
    assert scene.sent == [(WITHDRAW, "f1"), (WITHDRAW, "f2")]
    scene.check()


def test_what_is_handed_out_by_hand_may_be_held_without_an_end() -> None:
    scene = Scene(TEXT)
    patient = scene.redeem("patient")
    scene.passes(timedelta(days=400))
    scene.take(decide_overdue(scene.world, scene.of(patient)))
    assert scene.of(patient).status == "held"


def test_points_go_to_another_wallet_at_once() -> None:
    scene = Scene(TEXT)
    moved = scene.redeem("fly")
    assert (moved.status, scene.world.wallets["ann", "miles"].sums["active"]) == ("used", 200)
    scene.check()


def test_stock_ends_at_its_last() -> None:
    scene = Scene(TEXT, points=1000)
    for _ in range(3):
        scene.redeem("shop")
    with pytest.raises(RequestRefused, match="all 3 are gone"):
        scene.redeem("shop")


def test_too_few_points_and_unknown_rewards_have_errors_of_their_own() -> None:
    scene = Scene(TEXT, points=10)
    with pytest.raises(InsufficientPoints):
        scene.redeem("shop")
    with pytest.raises(NotFound):
        scene.redeem("shoe")


def test_a_plugin_has_the_last_word() -> None:
    scene = Scene(TEXT)
    scene.world = replace(scene.world, veto=lambda reward, *_: f"not today: {reward}")
    with pytest.raises(RequestRefused, match="not today: shop"):
        scene.redeem("shop")


def test_an_order_with_the_code_uses_it_and_its_full_refund_gives_the_points_back() -> None:
    scene = Scene(TEXT)
    lost = scene.redeem("lost")
    scene.buys(40, codes=("code-1",))
    assert (scene.of(lost).status, scene.of(lost).orders) == ("used", ("order:shop:A",))
    assert scene.figures == (120, 0, 20)

    scene.refunds(20)
    assert scene.figures == (100, 0, 20)
    scene.buys(40, codes=("code-1",), age=9, cancelled=True)

    assert scene.figures == (100, 0, 0)
    scene.check()


@pytest.mark.parametrize(
    ("before", "code"), [("revoked", "code_not_valid"), ("used", "code_used_again"), ("", "reward_used")]
)
def test_an_order_tells_what_is_odd_about_its_code(before: str, code: str) -> None:
    scene = Scene(TEXT)
    lost = scene.redeem("lost")
    if before == "revoked":
        scene.take(decide_revoke(scene.world, lost, "no"))
    if before == "used":
        scene.take(decide_use(scene.world, lost, "till 1"))
    decision = scene.buys(40, codes=("CODE-1",))
    assert code in {reason.code for reason in decision.reasons}


def test_an_order_gives_a_reward_once_whatever_comes_again() -> None:
    scene = Scene(TEXT)
    for age in (0, 3, 7):
        scene.buys(60, age=age)
    given = [one for one in scene.world.redemptions.values() if one.rule == "thanks"]
    assert [(one.status, one.price, one.subject) for one in given] == [("issued", 0, "order:shop:A")]
    assert scene.left("treat") == 1


def test_a_refund_takes_an_unused_gift_back_and_writes_a_used_one_off() -> None:
    for used in (False, True):
        scene = Scene(TEXT)
        scene.buys(60)
        (gift,) = scene.world.redemptions.values()
        if used:
            scene.take(decide_use(scene.world, gift, "till"))
        scene.refunds(60)
        (award,) = [one for of in scene.world.awards.values() for one in of.values() if one.rule == "thanks"]
        assert scene.of(gift).status == ("used" if used else "revoked")
        assert (award.due, award.taken, award.written_off) == (0, int(not used), int(used))
        scene.check()


def test_a_gift_that_is_sold_out_is_told_and_not_given() -> None:
    scene = Scene(TEXT)
    for name in ("A", "B", "C"):
        scene.buys(60, reference=name)
    assert len(scene.world.redemptions) == 2
    assert scene.last is not None
    assert [(r.code, r.due) for r in scene.last.reasons if r.rule == "thanks"] == [("sold_out", 0)]


def test_an_event_gives_a_reward_within_the_rules_own_limit() -> None:
    scene = Scene(TEXT)
    for key in ("1", "2"):
        event = CustomEvent(name="newsletter", customer="ann", key=key, occurred_at=NOON)
        scene.take(decide_custom(scene.world, event, scene.world.members["ann"], "shop"))
    assert [(one.reward, one.rule) for one in scene.world.redemptions.values()] == [("treat", "hello")]


def test_unused_codes_are_switched_off_with_their_reward_and_on_again() -> None:
    scene = Scene(TEXT)
    held = scene.redeem("shop")
    scene.take(decide_settled(scene.world, held, done=True, result={}, why=""))
    scene.take(decide_withdrawn(scene.world, scene.of(held), back=False))
    with pytest.raises(Conflict, match="withdrawn"):
        decide_use(scene.world, scene.of(held), "till")
    scene.take(decide_withdrawn(scene.world, scene.of(held), back=True))
    assert [kind for kind, _ in scene.sent] == [ISSUE, WITHDRAW, "reward_restore"]
    assert not scene.of(held).withdrawn


STEPS = st.sampled_from(
    [
        "shop",
        "ours",
        "lost",
        "fly",
        "done",
        "refused",
        "release",
        "revoke",
        "use",
        "later",
        "overdue",
        "order",
        "cancel",
    ]
)


@settings(max_examples=100, deadline=None)
@given(st.lists(STEPS, max_size=25), st.data())
def test_whatever_happens_the_ledger_balances_and_stock_is_what_is_out(steps: list[str], data: st.DataObject) -> None:
    scene = Scene(TEXT, points=300)
    for number, step in enumerate(steps):
        known = list(scene.world.redemptions.values())
        one = data.draw(st.sampled_from(known)) if known else None
        try:
            _step(scene, step, number, one)
        except RequestRefused:
            continue
        scene.check()
    out = sum(
        one.reward == "shop" and one.status in {"held", "issued", "used", "expired"}
        for one in scene.world.redemptions.values()
    )
    assert scene.left("shop") == out


def _step(scene: Scene, step: str, number: int, one: Redemption | None) -> None:
    if step in {"shop", "ours", "lost", "fly"}:
        scene.redeem(step)
    elif step == "later":
        scene.passes(timedelta(days=4))
    elif one is None:
        return
    elif step in {"done", "refused"}:
        scene.take(decide_settled(scene.world, one, done=step == "done", result={}, why="no"))
    elif step == "release":
        scene.take(decide_release(scene.world, one, "no"))
    elif step == "revoke":
        scene.take(decide_revoke(scene.world, one, "no"))
    elif step == "use":
        scene.take(decide_use(scene.world, one, f"till {number}"))
    elif step == "overdue":
        scene.take(decide_overdue(scene.world, one))
    elif one.voucher is not None:
        cancelled = step == "cancel"
        scene.buys(10, reference=f"O{one.id}", codes=(one.voucher.code,), age=number + 1, cancelled=cancelled)


@pytest.mark.parametrize("stack", ["always", "common", "never"])
def test_a_voucher_carries_all_that_a_shop_can_enforce(stack: str) -> None:
    text = TEXT.partition("rewards:")[0].replace("award: reward treat", "award: reward it") + (
        f"rewards: {{it: {{name: Ten, gives: '10 % off, at most 30 EUR', wallet: points, price: 1, by: shop, uses: 3, "
        f"minimum: 20 EUR, only: {{product: [7], collection: [c]}}, valid: 30 days, stack: {stack}, prefix: HI}}}}"
    )
    scene = Scene(text)
    shops = (Fulfiller(connection="web", reference="7", kinds=frozenset({"percent_off"})),)
    scene.world = replace(scene.world, fulfillers={"ann": shops})

    voucher = scene.redeem("it").voucher

    assert voucher is not None
    assert (voucher.title, voucher.percent, voucher.at_most, voucher.amount) == ("Ten", Decimal(10), Decimal(30), None)
    assert (voucher.minimum, voucher.products, voucher.collections) == (Decimal(20), ("7",), ("c",))
    assert (voucher.uses, voucher.stack, voucher.reference, voucher.currency) == (3, stack, "7", "EUR")
    assert (voucher.starts_at, voucher.ends_at) == (NOON, datetime(2026, 4, 9, 22, tzinfo=UTC))


def test_another_reward_for_some_is_given_instead() -> None:
    text = TEXT.replace(
        "award: reward treat, when: order.total >= 50",
        "award: reward treat, when: order.total >= 50, values: [{when: order.total >= 90, award: reward ours}]",
    )
    for amount, reward in ((60, "treat"), (95, "ours")):
        scene = Scene(text)
        scene.buys(amount)
        assert [one.reward for one in scene.world.redemptions.values()] == [reward]


#: A code of a shop that can enforce nothing: for goods of at least 30 EUR, one product and one collection, ten days.
STRICT = TEXT.partition("rewards:")[0].replace("award: reward treat", "award: reward it") + (
    "rewards: {it: {gives: 5 EUR off, wallet: points, price: 1, by: own, minimum: 30 EUR, only: {product: [p-1], "
    "collection: [teas]}, valid: 10 days, uses: 9}}"
)


def item(
    amount: int, *, discount: int = 0, product: str = "p-1", collections: tuple[str, ...] = ("cups",)
) -> OrderLine:
    return OrderLine(
        reference="L1", quantity=1, gross=Decimal(amount), discount=Decimal(discount), product=product,
        collections=collections,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("of", "codes"),
    [
        ({"lines": (item(30),)}, set()),
        ({"lines": (item(34, discount=5),)}, set()),
        ({"lines": (item(29),), "shipping": Decimal(9)}, {"code_below_minimum"}),
        ({"lines": (item(29),), "currency": "USD"}, set()),
        ({"lines": (item(40, product="p-2"),)}, {"code_on_other_products"}),
        ({"lines": (item(40, product="p-2", collections=("teas",)),)}, set()),
        ({"lines": (item(40, product="p-2", collections=()),)}, set()),
        ({"lines": (item(40, product=""),)}, set()),
        ({"lines": (item(40, product="p-2"), item(1))}, set()),
        ({"lines": (), "total": Decimal(5)}, set()),
        ({"lines": (item(9, product="p-2"),)}, {"code_below_minimum", "code_on_other_products"}),
    ],
)
def test_an_order_tells_which_terms_of_its_code_were_not_kept_as_far_as_it_shows_them(
    of: dict[str, Any], codes: set[str]
) -> None:
    scene = Scene(STRICT)
    taken = scene.redeem("it")
    decision = scene.buys(codes=("CODE-1",), **of)
    assert {reason.code for reason in decision.reasons if reason.rule == "it"} == {"reward_used", *codes}
    assert scene.of(taken).orders == ("order:shop:A",)
    scene.check()


@pytest.mark.parametrize(("hours", "codes"), [(-1, set()), (0, {"code_after_its_end"}), (1, {"code_after_its_end"})])
def test_an_order_tells_that_its_code_had_ended_when_it_was_placed_however_late_it_is_heard_of(
    hours: int, codes: set[str]
) -> None:
    scene = Scene(STRICT)
    ends = scene.redeem("it").valid_until
    assert ends is not None
    scene.passes(timedelta(days=20))
    decision = scene.buys(at=ends + timedelta(hours=hours), lines=(item(40),), codes=("CODE-1",))
    assert {reason.code for reason in decision.reasons if reason.rule == "it"} == {"reward_used", *codes}
    assert all(sentence(reason).startswith("Reward 'it': ") for reason in decision.reasons if reason.rule == "it")

"""Whatever the order of arrival of one order's deliveries, the same is due; and the ledger's identities always hold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stampcard.domain.events import OrderSeen, RefundSeen
from stampcard.domain.ledger import Entry, is_balanced
from stampcard.domain.value import replace
from stampcard.domain.wallets import Wallet, balance_of
from stampcard.engine.deciding import decide_order
from stampcard.engine.requesting import decide_adjust, decide_cancel_spend, decide_spend
from stampcard.engine.settling import settle
from stampcard.engine.spending import Debit
from stampcard.engine.verifying import verify_awards, verify_wallet
from stampcard.engine.world import Decision, World
from stampcard.errors import InsufficientPoints
from stampcard.testing.building import NOON, absorbed, world
from stampcard.testing.histories import histories, program_texts


def play(scene: World, events: Sequence[OrderSeen | RefundSeen]) -> tuple[World, list[Entry]]:
    entries: list[Entry] = []
    for event in events:
        customer = event.snapshot.customer if isinstance(event, OrderSeen) else None
        decision = decide_order(scene, event, "shop", customer, NOON)
        entries += decision.entries
        scene = absorbed(scene, decision)
    return scene, entries


def dues(scene: World) -> dict[Any, int]:
    return {key: award.due for key, award in scene.awards.get("order:shop:A", {}).items() if award.due}


@given(program_texts(), histories(), st.data())
def test_every_order_of_arrival_with_repeats_ends_with_the_same_due(
    text: str, events: list[OrderSeen | RefundSeen], data: st.DataObject
) -> None:
    scene = world(text, members=("ann", "ben"), now=NOON + timedelta(hours=2))
    repeats = data.draw(st.lists(st.sampled_from(events), max_size=4))
    other = data.draw(st.permutations([*events, *repeats]))

    assert dues(play(scene, events)[0]) == dues(play(scene, other)[0])


class Played:
    """A scene on which anything may happen, remembering every entry."""

    def __init__(self, text: str) -> None:
        self.scene = world(text, members=("ann", "ben"))
        self.entries: list[Entry] = []

    def take(self, decision: Decision) -> None:
        self.entries += decision.entries
        self.scene = absorbed(self.scene, decision)

    def check(self) -> None:
        assert all(is_balanced(entry) for entry in self.entries)
        for (member, name), wallet in self.scene.wallets.items():
            own = [entry for entry in self.entries if (entry.member, entry.wallet) == (member, name)]
            awards = [a for of in self.scene.awards.values() for a in of.values() if a.member == member]
            assert verify_wallet(wallet, own) == []
            assert verify_awards(wallet.member, wallet.name, own, awards) == []
            balance = balance_of(wallet.sums, 0)
            adjusted = wallet.sums.get("adjusted", 0)
            owned = balance.active + balance.pending + balance.held - balance.negative
            assert owned == balance.lifetime - adjusted - balance.spent - balance.expired
            assert min(balance.active, balance.pending, balance.negative, balance.spent, balance.expired) >= 0
            for lot in wallet.lots.values():
                assert 0 <= lot.remaining <= lot.amount
                assert lot.remaining + lot.expired + lot.taken <= lot.amount


steps = st.lists(
    st.tuples(st.sampled_from(["order", "spend", "cancel", "adjust", "wait"]), st.integers(0, 40)), max_size=14
)


@given(program_texts(), histories(), steps, st.data())
def test_the_ledger_balances_whatever_happens(
    text: str, events: list[OrderSeen | RefundSeen], plan: list[tuple[str, int]], data: st.DataObject
) -> None:
    played = Played(text)
    debits: list[Debit] = []
    for number, (step, amount) in enumerate(plan):
        scene = played.scene
        if step == "wait":
            played.scene = replace(scene, now=scene.now + timedelta(hours=7 * amount))
        elif step == "order":
            event = data.draw(st.sampled_from(events))
            customer = event.snapshot.customer if isinstance(event, OrderSeen) else None
            played.take(decide_order(scene, event, "shop", customer, NOON))
        elif step == "cancel" and debits:
            played.take(decide_cancel_spend(scene, debits.pop(), ""))
        elif step in {"spend", "adjust"} and amount:
            try:
                if step == "spend":
                    decision = decide_spend(scene, "ann", "points", amount, f"k{number}", "")
                    assert decision.debit is not None
                    debits.append(decision.debit)
                else:
                    decision = decide_adjust(scene, "ann", "points", amount - 15 or 1, f"k{number}", "a gift")
            except InsufficientPoints:
                continue
            played.take(decision)
        played.check()


@given(program_texts(), histories(), st.lists(st.integers(1, 400), max_size=5))
def test_a_reader_sees_the_same_whether_timers_ran_or_not(
    text: str, events: list[OrderSeen | RefundSeen], pauses: list[int]
) -> None:
    scene, _ = play(world(text, members=("ann", "ben"), now=NOON + timedelta(hours=2)), events)
    for wallet in scene.wallets.values():
        end = wallet.booked_to + timedelta(hours=sum(pauses))
        punctual: Wallet = wallet
        for pause in pauses:
            punctual, _ = settle(punctual, punctual.booked_to + timedelta(hours=pause))

        late, _ = settle(wallet, end)

        assert (late.sums, late.lots) == (punctual.sums, punctual.lots)

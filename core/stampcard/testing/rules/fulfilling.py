from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Literal, get_args

import httpx
import pytest

from stampcard.plugin import (
    Absent,
    Done,
    Fulfilment,
    Lookup,
    Outcome,
    Rejected,
    RetryLater,
    RewardKind,
    Unknown,
    Voucher,
)
from stampcard.testing.clock import NOON
from stampcard.testing.rules.case import Case, Vendor
from stampcard.testing.rules.delivering import GARBAGE, HTML, LONGEST, LOST, UNSENT

Action = Literal["issue", "withdraw", "restore"]
ACTIONS: tuple[Action, ...] = get_args(Action)


class FulfillingRules(Case):
    """How a plugin makes rewards real: one honest outcome for each, whatever the vendor does."""

    def test_every_kind_and_feature_says_how_well_it_goes(self) -> None:
        """A fulfilment names the kinds that it makes real, and explains every caveat and every no."""
        fulfilment = self._fulfilment()
        assert fulfilment.kinds, "it makes nothing real"
        for name, support in (*fulfilment.kinds.items(), *fulfilment.features.items()):
            assert support.level == "yes" or support.note, f"{name}: say what to expect"
        refused = [name for name, support in fulfilment.kinds.items() if support.level == "no"]
        assert refused == [], "a kind that cannot be made real is left out"

    def test_each_voucher_has_its_own_outcome(self) -> None:
        """Every action answers one outcome for each voucher, for any number up to batch_size, and never raises."""
        most = self._fulfilment().batch_size
        for action in ACTIONS:
            for count in sorted({1, min(2, most), most}):
                self._act(action, self._vouchers(count), self.vendor)

    def test_a_reward_of_another_kind_is_rejected(self) -> None:
        """A voucher of a kind that is not offered is Rejected, with words for people."""
        offered = self._fulfilment().kinds
        for kind in get_args(RewardKind):
            if kind not in offered:
                (outcome,) = self._act("issue", [_voucher(kind, 0)], self.vendor)
                assert isinstance(outcome, Rejected), f"{kind}: {outcome}"
                assert outcome.reason, f"{kind}: say why"

    def test_a_vendor_in_trouble_makes_nothing_real(self) -> None:
        """Errors, time-outs and answers that say nothing are RetryLater or Unknown; Unknown where a repeat would do it twice."""
        idempotent = self._fulfilment().idempotent
        for action, vendor, arrived in self._troubles():
            for outcome in self._act(action, self._vouchers(2), vendor):
                assert isinstance(outcome, (RetryLater, Unknown)), f"{action}: {outcome!r:.300}"
                assert len(outcome.reason) <= LONGEST, f"{action}: a reason of more than {LONGEST} letters"
                if arrived and not idempotent and action == "issue":
                    assert isinstance(outcome, Unknown), f"{action}: the request may have arrived"

    def test_a_lookup_that_learns_nothing_says_so(self) -> None:
        """While the vendor is in trouble a lookup is Unknown: neither done nor absent, and it never raises."""
        for action, vendor, _ in self._troubles():
            for kind in self._fulfilment().kinds:
                found = self._look(_voucher(kind, 0), action, vendor)
                assert isinstance(found, Unknown), f"{action} {kind}: {found}"

    def _troubles(self) -> Iterator[tuple[Action, Vendor, bool]]:
        """Each action with each way to fail, and whether the request may have had its effect."""
        for action in ACTIONS:
            for unsent in UNSENT:
                yield action, _raising(unsent), False
            for lost in LOST:
                yield action, _raising(lost), True
            for body in GARBAGE:
                yield action, _answering(200, body), False
            yield action, _answering(503, HTML), False

    def _fulfilment(self) -> Fulfilment:
        async def get() -> Fulfilment | None:
            async with self.visiting() as visit:
                return visit.capabilities.fulfil

        fulfilment = self.run(get())
        if fulfilment is None:
            pytest.skip("makes no rewards real")
        return fulfilment

    def _vouchers(self, count: int) -> list[Voucher]:
        kinds = list(self._fulfilment().kinds)
        return [_voucher(kinds[number % len(kinds)], number) for number in range(count)]

    def _act(self, action: Action, vouchers: Sequence[Voucher], vendor: Vendor) -> Sequence[Outcome]:
        """Carry an action out, and check that each voucher has an outcome."""

        async def act() -> Sequence[Outcome]:
            async with self.visiting(vendor) as visit:
                fulfil = visit.capabilities.fulfil
                assert fulfil is not None
                actions = {"issue": fulfil.issue, "withdraw": fulfil.withdraw, "restore": fulfil.restore}
                try:
                    return await actions[action](vouchers[: fulfil.batch_size])
                except Exception as error:  # noqa: BLE001 - that is the finding
                    pytest.fail(f"{action} raised {type(error).__name__}: {error}")

        outcomes = list(self.run(act()))
        assert all(isinstance(outcome, Outcome) for outcome in outcomes), f"{action}: {outcomes}"
        most = min(len(vouchers), self._fulfilment().batch_size)
        assert len(outcomes) == most, f"{action}: one outcome for each voucher"
        return outcomes

    def _look(self, voucher: Voucher, action: Action, vendor: Vendor) -> Lookup:
        async def look() -> Lookup:
            async with self.visiting(vendor) as visit:
                fulfil = visit.capabilities.fulfil
                assert fulfil is not None
                try:
                    return await fulfil.lookup(voucher, action)
                except Exception as error:  # noqa: BLE001 - that is the finding
                    pytest.fail(f"lookup raised {type(error).__name__}: {error}")

        found = self.run(look())
        assert isinstance(found, (Done, Absent, Unknown)), f"{action}: {found!r:.300}"
        return found


def _voucher(kind: RewardKind, number: int) -> Voucher:
    """One of many different vouchers of a kind, with what that kind needs."""
    return Voucher(
        key=f"r_{number}",
        kind=kind,
        title="A reward",
        code=f"CODE-{number:04}-BCDF-GHJK",
        reference=str(7001 + number),
        currency="EUR",
        starts_at=NOON,
        amount=None if kind in {"percent_off", "free_shipping"} else Decimal(5),
        percent=Decimal(10) if kind == "percent_off" else None,
        products=("42",) if kind == "free_product" else (),
        name="ride" if kind == "custom" else "",
    )


def _answering(status: int, content: str | bytes) -> Vendor:
    return lambda _: httpx.Response(status, content=content)


def _raising(error: type[httpx.TransportError]) -> Vendor:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error("the network failed", request=request)

    return answer

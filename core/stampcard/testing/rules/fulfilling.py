from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from typing import Literal, get_args

import httpx
import pytest

from stampcard.domain.value import replace
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
from stampcard.testing.listening import Lines, listening
from stampcard.testing.rules.case import Vendor
from stampcard.testing.rules.configuring import ConfiguringRules
from stampcard.testing.rules.delivering import GARBAGE, HTML, LONGEST, LOST, UNSENT

Action = Literal["issue", "withdraw", "restore"]
ACTIONS: tuple[Action, ...] = get_args(Action)
#: What a vendor may call nobody, or what no vendor would call anybody.
ODD_REFERENCES = ("", "0", "nobody", "../..", "ä☕", "\x00", "x" * 5000)


class FulfillingRules(ConfiguringRules):
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

    def test_what_becomes_of_vouchers_is_told_in_their_order(self) -> None:
        """A voucher of a kind that is not offered is Rejected at its own place, and the others are not."""
        fulfilment = self._fulfilment()
        foreign = [kind for kind in get_args(RewardKind) if kind not in fulfilment.kinds]
        count = min(3, fulfilment.batch_size) if foreign else 0
        for place in range(count):
            vouchers = self._vouchers(count)
            vouchers[place] = _voucher(foreign[0], place)
            outcomes = self._act("issue", vouchers, self.vendor)
            rejected = [isinstance(outcome, Rejected) for outcome in outcomes]
            assert rejected == [position == place for position in range(count)], f"{foreign[0]}: {outcomes}"

    def test_odd_vouchers_do_no_harm(self) -> None:
        """A voucher for nobody, without a code, an amount or a percentage has an outcome and a lookup; nothing raises."""
        for kind in self._fulfilment().kinds:
            for odd in _odd(_voucher(kind, 0)):
                for action in ACTIONS:
                    self._act(action, [odd], self.vendor)
                    self._look(odd, action, self.vendor)

    def test_no_secret_shows_in_what_becomes_of_a_voucher(self) -> None:
        """No secret of the settings shows in an outcome, a lookup, a log line or a repr, whatever the vendor sends back."""
        self._fulfilment()
        for vendor in (self.vendor, *map(_quoting, (200, 400, 401, 500)), _failing):
            for text in self.run(self._said(vendor)):
                for secret in self.hidden():
                    assert secret not in text, f"a secret shows in {text.replace(secret, '<secret>')[:300]}"

    def test_a_vendor_in_trouble_makes_nothing_real(self) -> None:
        """Errors, time-outs and answers that say nothing are RetryLater or Unknown; Unknown where a repeat would do it twice."""
        # What says of itself that it restores nothing may say so whatever the vendor does.
        idempotent, cannot = self._fulfilment().idempotent, self._cannot_restore()
        for action, vendor, arrived in self._troubles():
            for outcome in self._act(action, self._vouchers(2), vendor):
                if action == "restore" and cannot and isinstance(outcome, Rejected):
                    continue
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

    def _cannot_restore(self) -> bool:
        """Whether the fulfilment says that nothing can be restored; what is left out counts as no."""
        told = self._fulfilment().features.get("restore")
        return told is None or told.level == "no"

    async def _said(self, vendor: Vendor) -> list[str]:
        """Everything that is said while a voucher goes through all that can be done to it, with this vendor."""
        said = Lines()
        with listening(said):
            async with self.visiting(vendor) as visit:
                fulfil = visit.capabilities.fulfil
                assert fulfil is not None
                said.append(repr(fulfil))
                voucher = _voucher(next(iter(fulfil.kinds)), 0)
                for act in (fulfil.issue, fulfil.withdraw, fulfil.restore):
                    await _hear(said, partial(act, [voucher]))
                for action in ACTIONS:
                    await _hear(said, partial(fulfil.lookup, voucher, action))
                await _hear(said, partial(fulfil.fill, replace(voucher, reference=""), [voucher.code]))
        return [*said, *visit.lines]

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


def _odd(voucher: Voucher) -> Iterator[Voucher]:
    """What no vendor can make anything of, as far as it looks."""
    yield from (replace(voucher, reference=reference) for reference in ODD_REFERENCES)
    yield replace(voucher, code="")
    yield replace(voucher, code="ä \x00☕" * 500, title="ä" * 3000, name="nothing-of-the-kind")
    yield replace(voucher, amount=None, percent=None, products=(), currency="XXX")
    yield replace(voucher, amount=Decimal("1E+12"), percent=Decimal("0.0001"), ends_at=voucher.starts_at)


async def _hear(said: Lines, call: Callable[[], Awaitable[object]]) -> None:
    """Note what a call gives, or its error with all that it came from."""
    try:
        said.append(repr(await call()))
    except Exception as error:  # noqa: BLE001 - its text is what matters here
        said.extend(traceback.format_exception(error))


def _quoting(status: int) -> Vendor:
    """A vendor that sends back what it was sent."""
    return lambda request: httpx.Response(status, text=_quoted(request))


def _failing(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout(_quoted(request), request=request)


def _quoted(request: httpx.Request) -> str:
    """Its own headers first: what is cut short still has the secrets."""
    own = reversed([*request.headers.values()])
    return " ".join([*own, str(request.url), request.content.decode(errors="replace")])


def _answering(status: int, content: str | bytes) -> Vendor:
    return lambda _: httpx.Response(status, content=content)


def _raising(error: type[httpx.TransportError]) -> Vendor:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error("the network failed", request=request)

    return answer

"""A member of one published program, and what becomes of her day by day, without a database."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from stampcard.domain.events import CustomEvent, OrderSeen
from stampcard.domain.orders import OrderLine, Refund
from stampcard.domain.plans import Subscription, Term
from stampcard.domain.proofs import Proof
from stampcard.domain.rewards import Fulfiller, Minted, Redemption, RewardKind
from stampcard.domain.tiers import Tier
from stampcard.domain.value import replace
from stampcard.domain.wallets import balance_of
from stampcard.engine.capping import base_of
from stampcard.engine.deciding import decide_custom, decide_day, decide_order
from stampcard.engine.describing import Past
from stampcard.engine.entitling import entitled, meet
from stampcard.engine.gauging import Counted
from stampcard.engine.progressing import moved
from stampcard.engine.proving import passed
from stampcard.engine.requesting import decide_settle
from stampcard.engine.rewarding import Asking, Standing, standing
from stampcard.engine.segmenting import judge
from stampcard.engine.subscribing import fold, term_of_event, terms_of, trial_of
from stampcard.engine.taking import decide_redeem, find_reward
from stampcard.engine.tiering import assess
from stampcard.engine.versions import LiveProgram, assembled, compiled
from stampcard.engine.world import Decision, World
from stampcard.program.reading import read_program
from stampcard.testing.building import LONG_AGO, absorbed, order, world

PUBLISHED = Path(__file__).parents[2] / "config" / "programs" / "published"
BEFORE_ALL = datetime(2010, 1, 1, tzinfo=UTC)
KINDS = frozenset[RewardKind]({"amount_off", "free_product", "points"})
_NOTHING = Past()


def text_of(name: str) -> str:
    return (PUBLISHED / f"{name}.yaml").read_text()


class Story:
    """Ann, a member of one program, and what becomes of her day by day."""

    def __init__(self, name: str, day: str, text: str = "", **attributes: Any) -> None:
        made = world(text or text_of(name), now=LONG_AGO)
        live = compiled(read_program(text or text_of(name), name), 1, BEFORE_ALL)
        made = replace(made, programs=assembled([live], 0))
        self.zone: ZoneInfo = live.program.zone
        shop = Fulfiller(connection="shop", reference="1", kinds=KINDS)
        ann = replace(made.members["ann"], attributes=attributes)
        minted = lambda *_: Minted(id="r1", code="CODE")  # noqa: E731 - a port of the engine
        self.world: World = replace(made, members={"ann": ann}, fulfillers={"ann": (shop,)}, mint=minted)
        self.progress: dict[date, int] = {}
        self.given: tuple[Redemption, ...] = ()
        self.used: list[datetime] = []
        self.terms: dict[str, dict[str, Term]] = {}
        self._orders: dict[str, OrderSeen] = {}
        self.on(day)

    def on(self, day: str) -> Story:
        """The noon of a day, or the moment that is named; the tier has moved with time."""
        at = datetime.fromisoformat(day)
        at = at.replace(hour=12) if len(day) == len("2026-03-10") else at
        self.world = replace(self.world, now=at.replace(tzinfo=self.zone).astimezone(UTC))
        self._rank()
        self._follow()
        return self

    @property
    def live(self) -> LiveProgram:
        """The program as it is now."""
        (live,) = self.world.programs.current(self.world.now)
        return live

    def having(self, tier: str) -> Story:
        """The same with Ann in that tier, as one is who was given it."""
        self._ranked(Tier(program=self.live.name, name=tier, since=self.world.now, by_hand=True))
        return self

    def buys(self, *amounts: Any, reference: str = "", **more: Any) -> Mapping[str, int]:
        """What each rule grants for an order placed now."""
        reference = reference or f"order-{len(self._orders)}"
        fields = {"currency": "USD", "at": self.world.now, **more}
        self._orders[reference] = OrderSeen(reference=reference, snapshot=order(*amounts, **fields))
        return self._told(self._orders[reference])

    def returns(self, reference: str, back: Refund) -> Mapping[str, int]:
        return self._told(replace(self._orders[reference], refunds=(back,)))

    def does(self, event: str, **data: Any) -> Mapping[str, int]:
        """What each rule grants for an event that is reported now."""
        key = f"event-{self.world.now.isoformat()}"
        seen = CustomEvent(name=event, customer="1", key=key, occurred_at=self.world.now, data=data)
        decision = decide_custom(self.world, seen, self.world.members["ann"], "shop")
        return self._taken(decision, {award.subject: self.world.now for award in decision.awards})

    def pays(self, sku: str, amount: Any, reference: str = "") -> Subscription:
        """What a plan comes to by a product that is bought now."""
        line = OrderLine(reference="L1", quantity=1, gross=Decimal(str(amount)), sku=sku)
        self.buys(lines=(line,), reference=reference)
        return next(one for one in self.plans.values() if sku in self.live.program.plans[one.plan].skus)

    def tries(self, plan: str) -> Subscription:
        self._terms(trial_of(self.live, plan, self.world.now))
        return self.plans[plan]

    def hears(self, event: str, **data: Any) -> Decimal | None:
        """What is paid by an event that begins or renews a plan."""
        key = f"{event}-{self.world.now.isoformat()}"
        seen = CustomEvent(name=event, customer="1", key=key, occurred_at=self.world.now, data=data)
        term = term_of_event(self.live, seen, self.world.now)
        assert term is not None
        self._terms(term)
        return term.price

    @property
    def plans(self) -> Mapping[str, Subscription]:
        return self.world.members["ann"].plans[self.live.name]

    @property
    def perks(self) -> set[str]:
        held = self.world.members["ann"].perks[self.live.name]
        return {name for name, one in held.items() if one.has}

    def proof(self, name: str) -> Proof:
        known = self.world.members["ann"].proofs.get(self.live.name, {})
        return known.get(name) or Proof(program=self.live.name, name=name)

    def stands(self, proof: Proof) -> Story:
        """The same with a verification that stands like that, and what follows from it."""
        ann, name = self.world.members["ann"], self.live.name
        proofs = {name: {**ann.proofs.get(name, {}), proof.name: proof}}
        self.world = replace(self.world, members={"ann": replace(ann, proofs=proofs)})
        self._follow()
        return self

    def discounts(self, reward: str, reference: str, **more: Any) -> None:
        """An order that shows the code of a reward, and what it uses of its cap."""
        self.buys(reference=reference, **more)
        now, uses = self.world.orders["shop", reference], self.world.bases.get("ann", ())
        one = base_of(self.live, reward, now.subject, now.state, None, uses)
        self.world = replace(self.world, bases={"ann": (*uses, *(() if one is None else (one,)))})

    def has_birthday(self) -> Mapping[str, int]:
        now, ann = self.world.now, self.world.members["ann"]
        return self._taken(decide_day(self.world, self.live.name, "birthday", ann, now, now.year))

    def takes(self, reward: str) -> Redemption:
        """Let Ann take a reward for what it costs her now."""
        live, of = find_reward(self.world, reward)
        minted = Minted(id=f"r-{self.world.now.isoformat()}", code="CODE")
        decision = decide_redeem(self.world, live, of, self.world.members["ann"], minted, Asking())
        self._taken(decision)
        return decision.redemptions[0]

    def looks_at(self, reward: str) -> Standing:
        live, of = find_reward(self.world, reward)
        return standing(self.world, live, of, self.world.members["ann"])

    @property
    def tier(self) -> str:
        return next((tier.name for tier in self.world.members["ann"].tiers.values()), "")

    @property
    def until(self) -> str:
        """The last day of the tier."""
        (tier,) = self.world.members["ann"].tiers.values()
        return "" if tier.until is None else (tier.until.astimezone(self.zone) - timedelta(hours=1)).date().isoformat()

    def points(self, wallet: str) -> int:
        """What can be spent of a wallet now."""
        known = [one for one in self.world.wallets.values() if one.name == wallet]
        self.world = absorbed(self.world, decide_settle(self.world, known)) if known else self.world
        return sum(balance_of(self.world.wallets["ann", one.name].sums, 0).active for one in known)

    def _told(self, event: OrderSeen) -> Mapping[str, int]:
        return self._taken(decide_order(self.world, event, "shop", "ann", self.world.now))

    def _taken(self, decision: Decision, moments: Mapping[str, datetime] | None = None) -> Mapping[str, int]:
        before, self.world = self.world, absorbed(self.world, decision)
        self.given = decision.redemptions
        now = decision.order
        was = before.orders.get((now.source, now.reference)) if now is not None else None
        if now is not None:
            self._terms(*terms_of(self.world.programs, self.live.name, now))
        old, new = (
            {subject: tuple(of.values()) for subject, of in of_world.awards.items()}
            for of_world in (before, self.world)
        )
        for key, amount in moved(self.live, (was, now), old, new, moments or {}).items():
            self.progress[key.day] = self.progress.get(key.day, 0) + amount
        at = now.state.snapshot.occurred_at if now is not None and now.state.snapshot is not None else self.world.now
        self._rank([at])
        return {award.rule: award.due for award in decision.awards if award.due}

    def _rank(self, moments: Collection[datetime] = ()) -> None:
        live, ann = self.live, self.world.members["ann"]
        if live.ladder is None:
            return
        known = ann.tiers.get(live.name) or Tier(program=live.name, name="", since=self.world.now)
        counted = Counted(joined_at=ann.joined_at, progress=self.progress)
        self._ranked(assess(live.ladder, known, counted, self.world.now, moments)[0])

    def _ranked(self, tier: Tier) -> None:
        ann = replace(self.world.members["ann"], tiers={tier.program: tier})
        self.world = replace(self.world, members={"ann": ann})

    def _terms(self, *terms: Term) -> None:
        for term in terms:
            self.terms.setdefault(term.plan, {})[term.key] = term
        self._follow()

    def _follow(self) -> None:
        """What follows from time, verifications and plans: segments, then perks."""
        live, now, ann = self.live, self.world.now, self.world.members["ann"]
        proofs = {name: passed(one, now)[0] for name, one in ann.proofs.get(live.name, {}).items()}
        plans = {
            name: fold(live, name, self.terms.get(name, {}).values(), self.used, now) for name in live.program.plans
        }
        ann = replace(ann, proofs={live.name: proofs}, plans={live.name: plans})
        inside = frozenset(one.segment for one in judge(live, ann, _NOTHING, now, ()) if one.inside)
        ann, known = replace(ann, segments={live.name: inside}), ann.perks.get(live.name, {})
        perks = {one.perk: entitled(live, known.get(one.perk), one, now)[0] for one in meet(live, ann, _NOTHING, now)}
        self.world = replace(self.world, members={"ann": replace(ann, perks={live.name: perks})})

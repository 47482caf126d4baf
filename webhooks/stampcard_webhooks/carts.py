"""A cart: what it would earn, which rewards count in it, and which of them together; nothing is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator

from stampcard.applying.evaluating import Cart, evaluate_cart
from stampcard.applying.trying import Question
from stampcard.applying.unit import Sourced
from stampcard.domain.events import OrderSeen
from stampcard.domain.value import replace
from stampcard.engine.combining import Combination
from stampcard.engine.discounting import Key
from stampcard.engine.evaluating import Evaluation, Weighed
from stampcard.engine.rewarding import Refusal
from stampcard_webhooks.asking import Asked, Name, Query
from stampcard_webhooks.editing import ConnectionName
from stampcard_webhooks.reasons import ReasonView
from stampcard_webhooks.rewards import RefusalView
from stampcard_webhooks.routing import Call, Route
from stampcard_webhooks.supposing import DryRun, Money, TriedLine, TriedOrder, Word, question_of
from stampcard_webhooks.trying import DryRunView, TriedWallet, dry_run

_ZERO = Decimal(0)
#: What stands for a visitor and for their connection; no source has an empty name, so nobody is called so.
_VISITOR, _NOWHERE = "visitor", ""
#: Fields that a cart has as an order has them.
_SHARED = frozenset({"currency", "lines", "shipping", "shipping_tax", "tax_included", "channel", "tags"})
#: Rewards that one request may want.
_MOST_WANTED = 50


class CartLine(TriedLine):
    """A line of a cart."""

    reference: Name | None = Field(default=None, description="Your own name for the line; by default its number.")


class CartAsked(Asked):
    """A cart, and whose it is: our `member`, the connection's `customer`, or a visitor's where there is neither."""

    member: Name | None = None
    connection: ConnectionName | None = Field(
        default=None, description="The shop that the cart is in; it comes first where several could make a reward real."
    )
    customer: Name | None = Field(
        default=None, description="How the connection calls the member; one who is not known yet counts as new."
    )
    currency: Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")] | None = Field(
        default=None, description="By default the program's."
    )
    lines: list[CartLine] = Field(min_length=1, max_length=500)
    shipping: Money = _ZERO
    shipping_tax: Money = _ZERO
    tax_included: bool = Field(default=False, description="Whether prices and shipping contain their tax.")
    country: Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")] | None = Field(
        default=None, description="Taken for the member's."
    )
    channel: Word = ""
    tags: list[Word] = Field(default=[])
    rewards: list[Name] = Field(
        default=[], max_length=_MOST_WANTED, description="Those that are wanted, as NAME, or as PROGRAM/NAME."
    )

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        if self.customer is not None and self.member is not None:
            raise ValueError("name the customer or the member, not both")
        if self.customer is not None and self.connection is None:
            raise ValueError("name the connection that calls the customer so")
        if len({line.reference or str(number) for number, line in enumerate(self.lines, 1)}) < len(self.lines):
            raise ValueError("each line needs a reference of its own")
        return self


class CartRewardView(BaseModel):
    """A reward for this member and this cart, each as if it came alone."""

    program: str
    reward: str
    name: str
    gives: str
    kind: str
    has: bool = Field(description="It is issued already, so that using it costs nothing more.")
    usable: bool
    refusals: list[RefusalView] = Field(description="Everything that stands against it.")
    wallet: str
    price: int | None = Field(description="In the wallet's smallest unit.")
    scale: int
    missing: int = Field(description="Points that are lacking, in the wallet's smallest unit.")
    discount: str | None = Field(description="What it would take off alone; null: it takes nothing off a cart.")
    lines: list[str] = Field(description="The lines that it is for.")
    in_best: bool
    left_out: RefusalView | None = Field(description="Why a usable one is not in the best combination.")


class CartCutView(BaseModel):
    """What a reward takes off beside the others, in its turn."""

    program: str
    reward: str
    discount: str


class CartCombinationView(BaseModel):
    """Rewards that come together."""

    discount: str = Field(description="All that they take off.")
    rewards: list[CartCutView]
    prices: dict[str, int] = Field(description="Points that they cost, by wallet.")


class CartRefusedView(BaseModel):
    """A reward that was wanted and does not count."""

    program: str
    reward: str
    refusals: list[RefusalView]


class CartWantedView(CartCombinationView):
    """What becomes of the rewards that were wanted: all of them if they go together, else the best of them."""

    together: bool
    refused: list[CartRefusedView]


class CartView(BaseModel):
    """What a cart comes to. Nothing was written, sent or counted."""

    member: str | None = Field(description="Null for somebody who is not known.")
    is_new: bool
    now: datetime
    currency: str
    wallets: dict[str, TriedWallet] = Field(
        description="What it would earn as it is, before any reward; for somebody new with what they get for joining."
    )
    reasons: list[ReasonView]
    rewards: list[CartRewardView]
    best: CartCombinationView
    wanted: CartWantedView | None = Field(description="Null where no rewards were named.")


async def answer_cart(call: Call[Query, CartAsked]) -> CartView:
    """Judge a cart and forget it."""
    question = await _question(call)
    assert isinstance(question.event, OrderSeen)
    cart = Cart(
        order=question.event.snapshot,
        source=question.source,
        now=question.now,
        member=question.member,
        customer=question.customer,
        at=call.body.connection or "",
        given=call.body.rewards,
        attributes=question.attributes,
        facts=question.facts,
    )
    found = await call.read(lambda connection: evaluate_cart(connection, call.setting, cart))
    earned = await dry_run(call.application, call.setting, question, ask=False)
    return _view(earned, cart, found)


async def _question(call: Call[Query, CartAsked]) -> Question:
    """The cart as an order that is placed now, with what plugins know about it."""
    asked = call.body
    is_known = asked.member is not None or asked.customer is not None
    order = TriedOrder(
        connection=asked.connection or _VISITOR,
        member=asked.member,
        customer=asked.customer if is_known else _VISITOR,
        **{name: getattr(asked, name) for name in _SHARED},
    )
    attributes = {} if asked.country is None else {"country": asked.country}
    source = call.source(asked.connection) if is_known and asked.connection is not None else _NOWHERE
    question = question_of(DryRun(order=order, attributes=attributes), source, call.setting, call.now)
    assert isinstance(question.event, OrderSeen)
    event = _named(question.event, asked)
    about = Sourced(event=event, connection=source, source=source, received_at=call.now)
    (facts,) = await call.application.gatherer.facts_of(call.setting, [about])
    return replace(question, event=event, facts=facts)


def _named(event: OrderSeen, asked: CartAsked) -> OrderSeen:
    lines = tuple(
        replace(line, reference=own.reference or line.reference)
        for line, own in zip(event.snapshot.lines, asked.lines, strict=True)
    )
    return replace(event, snapshot=replace(event.snapshot, lines=lines))


def _view(earned: DryRunView, cart: Cart, found: Evaluation) -> CartView:
    prices = {one.key: one for one in found.rewards}
    return CartView(
        member=None if earned.is_new else earned.member,
        is_new=earned.is_new,
        now=cart.now,
        currency=cart.order.currency,
        wallets=earned.wallets,
        reasons=earned.reasons,
        rewards=[_reward(one, found.best) for one in found.rewards],
        best=CartCombinationView(**_combination(found.best, prices)),
        wanted=None if found.given is None else _wanted(found.given, prices),
    )


def _reward(one: Weighed, best: Combination) -> CartRewardView:
    standing, reward = one.standing, one.standing.of.reward
    terms = standing.live.program.wallets.get(reward.wallet)
    left_out = () if one.refusals else best.refused.get(one.key, ())
    return CartRewardView(
        program=standing.live.name,
        reward=standing.of.name,
        name=reward.name or standing.of.name,
        gives=str(standing.gift),
        kind=standing.gift.kind,
        has=one.has,
        usable=not one.refusals,
        refusals=_refusals(one.refusals),
        wallet=reward.wallet,
        price=0 if one.has else standing.price,
        scale=terms.scale if terms else 0,
        missing=0 if one.has else standing.missing,
        discount=None if one.alone is None else f"{one.alone:f}",
        lines=list(one.lines),
        in_best=any(taken.key == one.key for taken in best.taken),
        left_out=next(iter(_refusals(left_out)), None),
    )


def _combination(found: Combination, rewards: Mapping[Key, Weighed]) -> dict[str, Any]:
    prices: dict[str, int] = {}
    for taken in found.taken:
        candidate = rewards[taken.key].candidate
        if candidate is not None and candidate.price:
            prices[candidate.wallet] = prices.get(candidate.wallet, 0) + candidate.price
    cuts = [
        CartCutView(program=taken.program, reward=taken.reward, discount=f"{taken.amount:f}") for taken in found.taken
    ]
    return {"discount": f"{found.total:f}", "rewards": cuts, "prices": prices}


def _wanted(found: Combination, rewards: Mapping[Key, Weighed]) -> CartWantedView:
    refused = [
        CartRefusedView(program=program, reward=reward, refusals=_refusals(refusals))
        for (program, reward), refusals in found.refused.items()
    ]
    return CartWantedView(together=not refused, refused=refused, **_combination(found, rewards))


def _refusals(refusals: Iterable[Refusal]) -> list[RefusalView]:
    return [RefusalView(code=refusal.code, detail=refusal.detail) for refusal in refusals]


ROUTES = (
    Route(
        method="POST",
        path="/carts/evaluate",
        scope="dry-run",
        summary="Ask what a cart would earn and which rewards count in it; nothing is written",
        handler=answer_cart,
        takes=CartAsked,
        gives=CartView,
    ),
)

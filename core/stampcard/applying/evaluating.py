"""A cart looked at for a member, or for somebody who is none yet: all of it only reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from stampcard.applying.requests import check_attributes
from stampcard.applying.setting import Setting
from stampcard.applying.trying import NEWCOMER
from stampcard.applying.unit import Unit
from stampcard.domain.members import Member
from stampcard.domain.orders import OrderSnapshot
from stampcard.domain.value import Value, replace
from stampcard.engine.describing import rate_of
from stampcard.engine.evaluating import Evaluation, evaluate
from stampcard.engine.rewarding import Asking, Standing, keys_of, standing
from stampcard.engine.settling import settle
from stampcard.engine.taking import find_reward
from stampcard.engine.world import NO_FACTS, Facts
from stampcard.errors import NotFound, RequestRefused
from stampcard.storage.loading import load_identities
from stampcard.storage.redemptions import Wanted, list_redemptions

#: The newest issued rewards of a member that are looked at.
_MOST_ISSUED = 1_000


class Cart(Value, frozen=True):
    """A cart, and who asks: our `member`, the source's `customer`, or nobody whom we know.

    `at`: the connection that they ask through. `given`: rewards that are wanted, as NAME or PROGRAM/NAME. `attributes`
    are taken for the member's own.
    """

    order: OrderSnapshot
    source: str
    now: datetime
    member: str | None = None
    customer: str | None = None
    at: str = ""
    given: Sequence[str] = ()
    attributes: Mapping[str, Any] = {}
    facts: Facts = NO_FACTS


def evaluate_cart(connection: Connection, setting: Setting, cart: Cart) -> Evaluation:
    """Judge a cart; raises NotFound for an unknown member or reward, RequestRefused for an unknown currency."""
    if connection.dialect.name != "sqlite":  # there the connections that read cannot write
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
    _check_currency(setting, cart)
    unit = Unit(connection, setting, cart.now)
    member = _look(unit, cart)
    found = [find_reward(unit.world, *reversed(_named(name))) for name in cart.given]
    wanted = Wanted(member=member.id, status="issued")
    redemptions = list_redemptions(connection, setting.merchant, setting.sealer, wanted, None, _MOST_ISSUED)
    return evaluate(
        cart.order,
        _standings(unit, member, Asking(facts=cart.facts, cart=cart.order, at=cart.at)),
        redemptions if member.id != NEWCOMER else (),
        {name: wallet.sums.get("active", 0) for (_, name), wallet in unit.wallets.items()},
        [(live.name, of.name) for live, of in found],
        cart.now,
    )


def _named(name: str) -> tuple[str, str]:
    program, _, reward = name.rpartition("/")
    return program, reward


def _check_currency(setting: Setting, cart: Cart) -> None:
    current = setting.programs.current(cart.now)
    if current and all(rate_of(live.program, cart.order.currency, cart.now) is None for live in current):
        there = ", ".join(dict.fromkeys(live.program.currency for live in current))
        detail = f"no program has a rate for {cart.order.currency}: use {there}, or name one under `rates`"
        raise RequestRefused("currency_unknown", detail)


def _look(unit: Unit, cart: Cart) -> Member:
    """Load whose cart it is, with what conditions may ask of them."""
    id_ = cart.member or _known(unit, cart)
    unit.look(id_)
    if id_ == NEWCOMER:
        unit.members[id_] = Member(id=id_, joined_at=cart.now)
    found = unit.members.get(id_)
    if found is None or not found.is_there:
        raise NotFound("member", id_)
    check_attributes(unit.setting.programs, cart.attributes, cart.now)
    unit.members[id_] = replace(found, attributes={**found.attributes, **cart.attributes})
    for key, wallet in unit.wallets.items():
        unit.wallets[key] = settle(wallet, cart.now)[0]
    return unit.members[id_]


def _known(unit: Unit, cart: Cart) -> str:
    if cart.customer is None:
        return NEWCOMER
    key = (cart.source, cart.customer)
    row = load_identities(unit.connection, unit.setting.merchant, [key]).get(key)
    return row.member if row is not None else NEWCOMER


def _standings(unit: Unit, member: Member, asking: Asking) -> list[Standing]:
    offered = [(live, of) for live in unit.setting.programs.current(unit.now) for of in live.rewards.values()]
    unit.count({key for live, of in offered for key in keys_of(live, of, member.id, unit.now)}, lock=False)
    return [standing(unit.world, live, of, member, asking) for live, of in offered]

"""Points that people and tills spend, on an order or not, and take back: the unit of work of each."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import select

from stampcard.applying.locking import lock_member, present
from stampcard.applying.redeciding import decide_again, lock_orders
from stampcard.applying.unit import Unit
from stampcard.clock import to_micros
from stampcard.engine.counting import FINE
from stampcard.engine.paying import Quote, quote
from stampcard.engine.requesting import decide_cancel_spend, decide_spend
from stampcard.engine.settling import settle
from stampcard.engine.spending import Debit
from stampcard.errors import Conflict, NotFound, RequestRefused
from stampcard.storage import loading, saving
from stampcard.storage.tables import effect


def spend(
    unit: Unit, member: str, wallet: str, amount: int, key: str, note: str, order: tuple[str, str] | None = None
) -> Debit:
    """Spend points of a member, maybe on an order; the key is the debit's own, for cancelling it."""
    _begin_spend(unit, member, key)
    return _spend(unit, member, wallet, amount, key, note, order)


def quote_payment(
    unit: Unit,
    member: str,
    wallet: str,
    total: Decimal,
    order: tuple[str, str] | None = None,
    *,
    points: int | None,
    money: Decimal | None,
) -> Quote:
    """What points could still pay of an order; nothing is locked or written unless the member was locked before."""
    if member not in unit.members:
        unit.look(member)
    present(unit, member)
    live = unit.setting.programs.of_wallet(wallet, unit.now)
    if live is None:
        raise NotFound("wallet", wallet)
    terms = live.program.wallets[wallet]
    if terms.pay is None:
        raise RequestRefused(
            "not_for_paying", f"the wallet {wallet!r} has no terms for paying: write `pay` in the program"
        )
    known = unit.wallets.get((member, wallet))
    active = settle(known, unit.now)[0].sums.get("active", 0) if known is not None else 0
    return quote(terms.pay, terms.scale, active, total, _paid(unit, order), points=points, money=money)


def _paid(unit: Unit, order: tuple[str, str] | None) -> Decimal:
    """What points paid of an order before."""
    subject = _subject(order)
    debits = loading.load_debits(unit.connection, unit.setting.merchant, [subject]).get(subject, ()) if subject else ()
    return sum((Decimal(debit.money) / FINE for debit in debits if not debit.cancelled), Decimal(0))


def _subject(order: tuple[str, str] | None) -> str:
    return f"order:{order[0]}:{order[1]}" if order else ""


def pay(
    unit: Unit,
    member: str,
    wallet: str,
    total: Decimal,
    key: str,
    note: str,
    order: tuple[str, str] | None = None,
    *,
    points: int | None,
    money: Decimal | None,
) -> Quote:
    """Pay a part of an order with points: a spend that knows how much money it was."""
    _begin_spend(unit, member, key, order)
    found = quote_payment(unit, member, wallet, total, order, points=points, money=money)
    _spend(unit, member, wallet, found.points, key, note, order, int(found.money * FINE))
    if order is not None:
        decide_again(unit, [order])  # what it earns may leave out what points paid
    return found


def _begin_spend(unit: Unit, member: str, key: str, order: tuple[str, str] | None = None) -> None:
    """Lock the member, and the order that is to be paid, and make sure that the key is free."""
    if key.startswith("redemption:"):
        raise RequestRefused("reference", "a reference cannot begin with redemption:")
    _reserve(unit, f"spend:{key}", member)
    if order is not None:
        lock_orders(unit, [member], [order])
    if member not in unit.members or not unit.members[member].is_there:
        lock_member(unit, member)
    if loading.load_debit(unit.connection, unit.setting.merchant, key) is not None:
        raise Conflict("spend_exists", f"there is a spend with the key {key!r} already")


def _spend(
    unit: Unit,
    member: str,
    wallet: str,
    amount: int,
    key: str,
    note: str,
    order: tuple[str, str] | None,
    money: int = 0,
) -> Debit:
    decision = decide_spend(unit.world, member, wallet, amount, key, note, _subject(order), money)
    unit.absorb(decision)
    assert decision.debit is not None
    return decision.debit


def _reserve(unit: Unit, key: str, member: str) -> None:
    """Let two requests that name the same spend meet, although they lock different members."""
    row = {"merchant": unit.setting.merchant, "key": key, "body_hash": member, "created_at": to_micros(unit.now)}
    saving.insert_new(unit.connection, "effect", [row])
    owner = unit.connection.execute(
        select(effect.c.body_hash).where(effect.c.merchant == unit.setting.merchant, effect.c.key == key)
    ).scalar()
    if owner != member:
        raise Conflict("spend_exists", f"there is a spend with the key {key.partition(':')[2]!r} already")


def cancel_spend(unit: Unit, key: str, note: str) -> Debit:
    """Cancel a spend by its key."""
    debit = loading.load_debit(unit.connection, unit.setting.merchant, key)
    if debit is None or key.startswith("redemption:"):  # those end as redemptions do
        raise NotFound("spend", key)
    order = _order_of(debit)
    lock_orders(unit, [debit.member], [order] if order is not None else [])
    # Another request may have cancelled it while we waited for the member.
    debit = loading.load_debit(unit.connection, unit.setting.merchant, key) or debit
    unit.load_drawn(debit)
    decision = decide_cancel_spend(unit.world, debit, note)
    unit.absorb(decision)
    if order is not None and debit.money:
        decide_again(unit, [order])
    return decision.debit or debit


def _order_of(debit: Debit) -> tuple[str, str] | None:
    """The order that a spend is for."""
    kind, _, rest = debit.subject.partition(":")
    source, colon, reference = rest.partition(":")
    return (source, reference) if kind == "order" and colon else None

"""Rows and values: the only place that knows how a value lies in its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Row

from stampcard.clock import from_micros, to_micros
from stampcard.domain.awards import Adjustment, Award, Charge
from stampcard.domain.ledger import ACCOUNTS, Entry, LotMove
from stampcard.domain.members import Held, Member
from stampcard.domain.orders import OrderState
from stampcard.domain.rewards import Redemption, Voucher, code_key
from stampcard.domain.wallets import Lot, Wallet
from stampcard.engine.counting import FINE
from stampcard.engine.describing import Purchase, purchase_of
from stampcard.engine.spending import Debit, Draw
from stampcard.engine.world import Order, Pin
from stampcard.sealing import Sealer

V = TypeVar("V")
_encode = msgspec.json.Encoder().encode
_ORDER_STATE = msgspec.json.Decoder(OrderState)
_PINS = msgspec.json.Decoder(dict[str, Pin])
_STRINGS = msgspec.json.Decoder(tuple[str, ...])
_ADJUSTMENTS = msgspec.json.Decoder(tuple[Adjustment, ...])
_CHARGES = msgspec.json.Decoder(tuple[Charge, ...])
_MOVES = msgspec.json.Decoder(tuple[LotMove, ...])
_VOUCHER = msgspec.json.Decoder(Voucher)
_DRAWS = msgspec.json.Decoder(tuple[Draw, ...])
_NUMBERS = msgspec.json.Decoder(dict[str, int])
_OBJECT = msgspec.json.Decoder(dict[str, Any])


def to_json(value: Any) -> str:
    """Any of our values as JSON text."""
    return _encode(value).decode()


def moment(micros: int | None) -> datetime | None:
    """A moment that may be missing."""
    return None if micros is None else from_micros(micros)


def micros(at: datetime | None) -> int | None:
    """Its column."""
    return None if at is None else to_micros(at)


def seal_object(sealer: Sealer, value: Mapping[str, Any], about: str) -> bytes:
    """An object of personal data, sealed; `about` binds it to its row."""
    return sealer.seal(_encode(value), about.encode())


def open_object(sealer: Sealer, sealed: bytes | None, about: str) -> dict[str, Any]:
    """The object back; empty when there is none."""
    return _OBJECT.decode(sealer.open(sealed, about.encode())) if sealed else {}


def member_of(row: Row[Any], memberships: Sequence[Row[Any]], attributes: Mapping[str, Any]) -> Member:
    return Member(
        id=row.id,
        joined_at=from_micros(row.joined_at),
        version=row.version,
        attributes=attributes,
        programs=frozenset(one.program for one in memberships),
        states={one.program: one.state for one in memberships if one.state != "active"},
        joined={one.program: from_micros(one.joined_at) for one in memberships},
        erased_at=moment(row.erased_at),
        merged_into=row.merged_into,
        held=None if row.held_at is None else Held(since=from_micros(row.held_at), reason=row.held_for or ""),
    )


def order_of(row: Row[Any], pinned: Mapping[str, Any]) -> Order:
    pins = _PINS.decode(row.pins)
    if pinned:
        pins = {name: msgspec.structs.replace(pin, member=_revived(pinned.get(name, {}))) for name, pin in pins.items()}
    return Order(
        source=row.source,
        reference=row.reference,
        first_seen_at=from_micros(row.first_seen_at),
        state=_ORDER_STATE.decode(row.state),
        member=row.member,
        pins=pins,
        undecided=_STRINGS.decode(row.undecided),
    )


def _revived(variables: Mapping[str, Any]) -> dict[str, Any]:
    revived = dict(variables)
    if isinstance(revived.get("member.joined_at"), str):
        revived["member.joined_at"] = datetime.fromisoformat(revived["member.joined_at"])
    return revived


def order_row(merchant: str, order: Order, now: int, sealer: Sealer) -> dict[str, Any]:
    pinned = {name: pin.member for name, pin in order.pins.items() if pin.member}
    bare = {name: msgspec.structs.replace(pin, member={}) for name, pin in order.pins.items()}
    about = f"order:{merchant}:{order.source}:{order.reference}"
    purchase = purchase_of(order.state)
    return {
        "merchant": merchant,
        "source": order.source,
        "reference": order.reference,
        "member": order.member,
        "first_seen_at": to_micros(order.first_seen_at),
        "updated_at": now,
        "state": to_json(order.state),
        "pins": to_json(bare),
        "pinned_member_sealed": seal_object(sealer, pinned, about) if pinned else None,
        "undecided": to_json(order.undecided),
        "occurred_at": to_micros(purchase.occurred_at) if purchase else 0,
        "spend": int(purchase.spend * FINE) if purchase else 0,
        "currency": purchase.currency if purchase else "",
    }


def codes_of(row: Row[Any]) -> tuple[str, ...]:
    """The fingerprints of the codes that an order showed at some time."""
    return _ORDER_STATE.decode(row.state).codes if '"codes"' in row.state or '"former_codes"' in row.state else ()


def past_purchase(row: Row[Any]) -> Purchase:
    return Purchase(occurred_at=from_micros(row.occurred_at), spend=Decimal(row.spend) / FINE, currency=row.currency)


def award_of(row: Row[Any]) -> Award:
    return Award(
        subject=row.subject,
        member=row.member,
        program=row.program,
        rule=row.rule,
        wallet=row.wallet,
        granted=row.granted,
        taken=row.taken,
        written_off=row.written_off,
        revision=row.revision,
        basis=row.basis,
        adjustments=_ADJUSTMENTS.decode(row.adjustments) if row.adjustments != "[]" else (),
        desired=row.desired,
        allowed=row.allowed,
        cooling=bool(row.cooling),
        charges=_CHARGES.decode(row.charges) if row.charges != "[]" else (),
    )


def award_row(merchant: str, award: Award) -> dict[str, Any]:
    row = msgspec.structs.asdict(award)
    row["merchant"] = merchant
    row["adjustments"] = to_json(award.adjustments) if award.adjustments else "[]"
    row["charges"] = to_json(award.charges) if award.charges else "[]"
    row["cooling"] = int(award.cooling)
    return row


def lot_of(row: Row[Any]) -> Lot:
    return Lot(
        number=row.number,
        amount=row.amount,
        remaining=row.remaining,
        active=bool(row.active),
        available_from=from_micros(row.available_from),
        expires_at=moment(row.expires_at),
        occurred_at=from_micros(row.occurred_at),
        subject=row.subject,
        rule=row.rule,
        program_version=row.program_version,
        expired=row.expired,
        taken=row.taken,
        parent=row.parent,
        waits_for=row.waits_for,
        slides=bool(row.slides),
    )


def lot_row(merchant: str, member: str, wallet: str, lot: Lot) -> dict[str, Any]:
    return {
        "merchant": merchant,
        "member": member,
        "wallet": wallet,
        "number": lot.number,
        "amount": lot.amount,
        "remaining": lot.remaining,
        "expired": lot.expired,
        "taken": lot.taken,
        "active": int(lot.active),
        "available_from": to_micros(lot.available_from),
        "expires_at": micros(lot.expires_at),
        "occurred_at": to_micros(lot.occurred_at),
        "subject": lot.subject,
        "rule": lot.rule,
        "program_version": lot.program_version,
        "parent": lot.parent,
        "waits_for": lot.waits_for,
        "slides": int(lot.slides),
    }


def wallet_of(row: Row[Any], lots: Mapping[int, Lot]) -> Wallet:
    return Wallet(
        member=row.member,
        name=row.wallet,
        booked_to=from_micros(row.booked_to),
        sums={account: amount for account in ACCOUNTS if (amount := getattr(row, account))},
        lots=lots,
        entries=row.entries,
        opened=row.opened,
        next_change_at=moment(row.next_change_at),
    )


def balance_row(merchant: str, wallet: Wallet) -> dict[str, Any]:
    row: dict[str, Any] = {
        "merchant": merchant,
        "member": wallet.member,
        "wallet": wallet.name,
        "entries": wallet.entries,
        "opened": wallet.opened,
        "booked_to": to_micros(wallet.booked_to),
        "next_change_at": micros(wallet.next_change_at),
    }
    for account in ACCOUNTS:
        row[account] = wallet.sums.get(account, 0)
    return row


def entry_of(row: Row[Any]) -> Entry:
    return Entry(
        member=row.member,
        wallet=row.wallet,
        number=row.number,
        kind=row.kind,
        occurred_at=from_micros(row.occurred_at),
        posted_at=from_micros(row.posted_at),
        postings={account: amount for account in ACCOUNTS if (amount := getattr(row, account))},
        moves=_MOVES.decode(row.moves),
        subject=row.subject,
        rule=row.rule,
        revision=row.revision,
        note=row.note,
    )


def entry_row(merchant: str, entry: Entry) -> dict[str, Any]:
    row: dict[str, Any] = {
        "merchant": merchant,
        "member": entry.member,
        "wallet": entry.wallet,
        "number": entry.number,
        "kind": entry.kind,
        "occurred_at": to_micros(entry.occurred_at),
        "posted_at": to_micros(entry.posted_at),
        "moves": to_json(entry.moves),
        "subject": entry.subject,
        "rule": entry.rule,
        "revision": entry.revision,
        "note": entry.note,
    }
    for account in ACCOUNTS:
        row[account] = entry.postings.get(account, 0)
    return row


def redemption_of(row: Row[Any], sealer: Sealer) -> Redemption:
    bare = bare_redemption(row)
    if row.voucher_sealed is None:
        return bare
    voucher = _VOUCHER.decode(sealer.open(row.voucher_sealed, _voucher_place(row.merchant, row.id)))
    return msgspec.structs.replace(bare, voucher=voucher)


def bare_redemption(row: Row[Any]) -> Redemption:
    """Without its voucher, which nobody needs to see the rest."""
    return Redemption(
        id=row.id,
        member=row.member,
        program=row.program,
        version=row.version,
        reward=row.reward,
        kind=row.kind,
        gives=row.gives,
        by=row.by,
        status=row.status,
        created_at=from_micros(row.created_at),
        wallet=row.wallet,
        price=row.price,
        worth=row.worth,
        due_at=moment(row.due_at),
        valid_until=moment(row.valid_until),
        issued_at=moment(row.issued_at),
        ended_at=moment(row.ended_at),
        orders=_STRINGS.decode(row.orders),
        subject=row.subject,
        rule=row.rule,
        charges=_CHARGES.decode(row.charges),
        returns=bool(row.returns),
        reason=row.reason,
        withdrawn=bool(row.withdrawn),
        discounts=_NUMBERS.decode(row.discounts) if row.discounts != "{}" else {},
    )


def redemption_row(merchant: str, redemption: Redemption, sealer: Sealer) -> dict[str, Any]:
    voucher = redemption.voucher
    row = msgspec.structs.asdict(redemption)
    del row["voucher"]
    for name in ("created_at", "due_at", "valid_until", "issued_at", "ended_at"):
        row[name] = micros(row[name])
    sealed = None if voucher is None else sealer.seal(_encode(voucher), _voucher_place(merchant, redemption.id))
    return {
        **row,
        "merchant": merchant,
        "code_print": code_print(sealer, merchant, voucher.code) if voucher is not None else None,
        "voucher_sealed": sealed,
        "orders": to_json(redemption.orders),
        "charges": to_json(redemption.charges),
        "discounts": to_json(redemption.discounts),
        "returns": int(redemption.returns),
        "withdrawn": int(redemption.withdrawn),
    }


def _voucher_place(merchant: str, id_: str) -> bytes:
    return f"voucher:{merchant}:{id_}".encode()


def code_print(sealer: Sealer, merchant: str, code: str) -> str:
    """What a code is found by; how it is spelt makes no difference."""
    return sealer.fingerprint(f"code:{merchant}:{code_key(code)}")


def debit_of(row: Row[Any]) -> Debit:
    return Debit(
        key=row.key,
        member=row.member,
        wallet=row.wallet,
        amount=row.amount,
        draws=_DRAWS.decode(row.draws),
        cancelled=bool(row.cancelled),
        subject=row.subject,
        returned=row.returned,
        money=row.money,
    )


def debit_row(merchant: str, debit: Debit, now: int) -> dict[str, Any]:
    return {
        "merchant": merchant,
        "key": debit.key,
        "member": debit.member,
        "wallet": debit.wallet,
        "amount": debit.amount,
        "draws": to_json(debit.draws),
        "cancelled": int(debit.cancelled),
        "created_at": now,
        "subject": debit.subject,
        "returned": debit.returned,
        "money": debit.money,
    }

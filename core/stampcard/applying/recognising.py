"""Who stands at the counter: a card that is scanned or typed, or a phone number, and what that proves."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection

from stampcard.applying.addressing import phone_print
from stampcard.applying.setting import Setting
from stampcard.domain.addresses import normal_phone
from stampcard.domain.tills import PROOFS, Known, Proof
from stampcard.domain.value import Value
from stampcard.engine.codes import check_code, read_code, spaced
from stampcard.errors import Conflict, NotFound, RequestRefused
from stampcard.storage import cards
from stampcard.storage.contacts import by_prints

#: How long a till may take from scanning a card to what it does with it.
TAKING = timedelta(minutes=30)
#: What phone numbers begin with.
_PHONE = ("+", "00")


class Shown(Value, frozen=True):
    """Somebody who was recognised: by what, and how surely."""

    member: str
    known: Known


def recognise(connection: Connection, setting: Setting, text: str, scan: str, at: datetime, now: datetime) -> Shown:
    """The member whose card it is, shown at a moment by the till's clock; a code of its moment counts once, for one scan.

    Raises RequestRefused for what is no code of ours or is not of its moment, ``shown_before`` for a second showing,
    NotFound for a card or number of nobody.
    """
    if text.strip().startswith(_PHONE):
        return claimed(connection, setting, text)
    code = read_code(text)
    taken = (
        cards.shown_at(connection, setting.merchant, code.number, code.moment, scan) if code.moment and scan else None
    )
    if taken is None or not timedelta(0) <= now - taken <= TAKING:
        check_code(setting.sealer, setting.merchant, code, at)
    member = cards.holder_of(connection, setting.merchant, code.number)
    if member is None:
        raise NotFound("card", spaced(code.number))
    if code.moment and not cards.show_once(connection, setting.merchant, code.number, code.moment, scan, now):
        raise RequestRefused("shown_before", "this code was shown before: let the card be opened again, and scan that")
    return Shown(member=member, known=code.counts_as)


def claimed(connection: Connection, setting: Setting, text: str) -> Shown:
    """The member whose card it says it is, and what it would prove if anybody vouched for it; raises as `recognise` does."""
    if text.strip().startswith(_PHONE):
        return Shown(member=_of_phone(connection, setting, text), known="any")
    code = read_code(text)
    member = cards.holder_of(connection, setting.merchant, code.number)
    if member is None:
        raise NotFound("card", spaced(code.number))
    return Shown(member=member, known=code.counts_as)


def suffices(known: Known, wanted: Proof) -> bool:
    """Whether a card was shown as rewards need it."""
    return PROOFS.index(known or "any") >= PROOFS.index(wanted)


def check_proof(known: Known, wanted: Proof) -> None:
    """Raise RequestRefused where a card was not shown as rewards need it."""
    if not suffices(known, wanted):
        how = (
            "scanned, not typed"
            if wanted == "scanned"
            else "opened in the phone and scanned: its code must be of just now"
        )
        raise RequestRefused("card_not_shown", f"for rewards the card must be {how}")


def _of_phone(connection: Connection, setting: Setting, text: str) -> str:
    number = normal_phone(text)
    if number is None:
        raise RequestRefused("no_code", "this is no phone number: write it with the code of its country, +49 …")
    print_ = phone_print(setting.sealer, number)
    found = by_prints(connection, setting.merchant, "phone_print", [print_]).get(print_)
    if not found:
        raise NotFound("member with the phone number", number)
    if len(found) > 1:
        raise Conflict("several_members", "several members have this phone number: ask for their card")
    return next(iter(found))

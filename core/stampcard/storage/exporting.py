"""Everything that is stored of one member, opened, as plain values: what a person may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, select

from stampcard.clock import from_micros
from stampcard.sealing import Sealer
from stampcard.storage import inboxing, staffing
from stampcard.storage.loading import load_identities_of, sources_of
from stampcard.storage.packing import unpack_reasons
from stampcard.storage.resealing import about_of
from stampcard.storage.rows import open_object
from stampcard.storage.tables import (
    act,
    address,
    audience_member,
    award,
    balance,
    base_use,
    card,
    consent,
    contact,
    contact_conflict,
    data_request,
    debit,
    entry,
    event,
    identity,
    imported,
    inbox,
    lot,
    member,
    membership,
    message,
    metadata,
    order_state,
    outbox,
    pass_,
    perk,
    perk_use,
    plan,
    plan_term,
    progress,
    proof,
    proof_request,
    push,
    redemption,
    segment_member,
    tier,
)

#: Tables with a member's rows that are left out, and why.
LEFT_OUT: Mapping[str, str] = {
    "idempotency": "answers to requests repeat what stands elsewhere, and are deleted after a week",
    "contact_candidate": "a contact that may be the member's may as well be somebody else's",
    "counter": "how much of limits is used follows from the awards",
}
_Shown = Mapping[str, Any]
_TABLES = (
    member, identity, address, membership, consent, tier, segment_member, perk, perk_use, plan, plan_term, proof, proof_request, data_request, base_use, progress, balance, entry, lot, award, debit, order_state, redemption,
    event, imported, push, outbox, message, contact, contact_conflict, audience_member,
    card, pass_, act,
)  # fmt: skip
#: Columns whose JSON is shown as what it says.
_JSON = frozenset(
    {
        "state", "pins", "moves", "draws", "charges", "adjustments", "body", "orders", "undecided", "data",
        "attributes_at", "then", "noticed", "points",
    }
)  # fmt: skip
#: Columns that say something to us alone.
_OURS: Mapping[str, frozenset[str]] = {
    "act": frozenset({"body_hash"}),
    "audience_member": frozenset({"sure"}),
    "contact": frozenset({"fields", "content", "pending", "seen_in"}),
    "message": frozenset({"occasion", "gathers"}),
    "pass": frozenset({"content", "first"}),
}
#: What people write down for each other, by where it stands.
_AMONG_US: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "act": (("note",), ("staff",), ("body", "act", "staff"), ("body", "act", "scan")),
    "consent": (("evidence", "author"),),
    "member": (("held_for",),),
    "perk": (("state", "reason"),),
    "perk_use": (("note",),),
    "plan_term": (("state", "note"),),
    "proof_request": (("decided_by",), ("note",)),
}


def export_member(
    connection: Connection, merchant: str, sealer: Sealer, of: str, *, for_shopper: bool = False
) -> dict[str, list[dict[str, Any]]]:
    """Table → the member's rows, moments as such, JSON and what is sealed opened, without keys and fingerprints.

    `for_shopper`: without what people write down for each other.
    """
    found = {table.name: _rows(connection, table, merchant, sealer, of) for table in _TABLES}
    found["inbox"] = _deliveries(connection, merchant, sealer, of)
    for row in found["act"]:
        _shorten_shift(row)
    for name, places in _AMONG_US.items() if for_shopper else ():
        for row in found[name]:
            for place in places:
                _drop(row, place)
    return {name: rows for name, rows in found.items() if rows}


def _drop(row: dict[str, Any], place: tuple[str, ...]) -> None:
    *inside, last = place
    for name in inside:
        row = row.get(name) or {}
    row.pop(last, None)


def _shorten_shift(row: dict[str, Any]) -> None:
    """Show so much of a shift's name that nobody can work in it."""
    told = (row["body"] or {}).get("act") or {}
    row["shift"] = staffing.shown_shift(row["shift"], row["staff"])
    if "shift" in told:
        told["shift"] = staffing.shown_shift(told["shift"], row["staff"])


def _rows(connection: Connection, table: Table, merchant: str, sealer: Sealer, of: str) -> list[dict[str, Any]]:
    mine = table.c.id if table is member else table.c.member
    # What was booked for whoever was merged into the member stands there still.
    both = [of, *sources_of(connection, merchant, [of])]
    statement = select(table).where(table.c.merchant == merchant, mine.in_(both))
    order = [column for column in table.primary_key.columns if column.name != "merchant"]
    found = connection.execute(statement.order_by(*order)).mappings()
    return [_opened(table.name, {str(name): row[name] for name in row}, merchant, sealer) for row in found]


def _opened(table: str, row: _Shown, merchant: str, sealer: Sealer) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, value in row.items():
        if name in {"merchant", "print"} | _OURS.get(table, frozenset()) or name.endswith("_print"):
            continue
        if name.endswith("_sealed"):
            about = about_of(table, name, {**row, "merchant": merchant})
            shown[name.removesuffix("_sealed")] = open_object(sealer, value, about) if value else None
        elif table == "event" and name == "reasons":
            shown[name] = msgspec.to_builtins(unpack_reasons(value)) if value else []
        elif name in _JSON and isinstance(value, str) and value.startswith(("{", "[")):
            shown[name] = msgspec.json.decode(value)
        elif (name.endswith("_at") or name in {"since", "until", "at"}) and isinstance(value, int):
            shown[name] = from_micros(value).isoformat() if value else None
        else:
            shown[name] = value
    return shown


def _deliveries(connection: Connection, merchant: str, sealer: Sealer, of: str) -> list[dict[str, Any]]:
    """What sources told of the member, as far as it is still kept."""
    keys = [(row.connection, row.reference) for row in load_identities_of(connection, merchant, [of]).get(of, ())]
    prints = [sealer.fingerprint("\0".join(key)) for key in keys]
    statement = select(inbox).where(
        inbox.c.merchant == merchant, inbox.c.id.in_(inboxing.ids_about(merchant, [of], prints))
    )
    found = []
    for row in connection.execute(statement.order_by(inbox.c.id)):
        told = inboxing.delivery_of(row, sealer)
        found.append(
            {
                "connection": row.connection,
                "topic": row.topic,
                "received_at": from_micros(row.received_at).isoformat(),
                "status": row.status,
                "body": told.body.decode(errors="replace") if told is not None else None,
            }
        )
    return found


def covered() -> frozenset[str]:
    """The tables that are exported or left out on purpose."""
    return frozenset({*(table.name for table in _TABLES), "inbox", *LEFT_OUT}) & metadata.tables.keys()

"""What members said, as rows that are only ever added; the evidence lies sealed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, bindparam, select

from stampcard.clock import from_micros, to_micros
from stampcard.domain.consents import Consent
from stampcard.sealing import Sealer
from stampcard.storage import saving
from stampcard.storage.rows import open_object, seal_object
from stampcard.storage.tables import consent

_M: BindParameter[str] = bindparam("merchant")
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_OF = select(consent).where(consent.c.merchant == _M, consent.c.member.in_(_IDS)).order_by(consent.c.id)


def load_consents(
    connection: Connection, merchant: str, members: Collection[str], sealer: Sealer, *, evidence: bool
) -> dict[str, list[Consent]]:
    """Member → everything they said, in the order in which it was written down; the evidence only where it is asked for."""
    found: dict[str, list[Consent]] = {}
    if not members:
        return found
    for row in connection.execute(_OF, {"merchant": merchant, "ids": sorted(members)}):
        found.setdefault(row.member, []).append(opened(row, merchant, sealer, evidence=evidence))
    return found


def opened(row: Row[Any], merchant: str, sealer: Sealer, *, evidence: bool) -> Consent:
    """What a row says."""
    known = open_object(sealer, row.evidence_sealed, _about(merchant, row.member, row.id)) if evidence else {}
    return Consent(
        channel=row.channel,
        purpose=row.purpose,
        state=row.state,
        at=from_micros(row.at),
        recorded_at=from_micros(row.recorded_at),
        **known,
    )


def save_consent(connection: Connection, merchant: str, sealer: Sealer, number: int, member: str, one: Consent) -> None:
    """Add what a member said."""
    evidence = {"source": one.source, "text": one.text, "ip": one.ip, "author": one.author}
    row = {
        "merchant": merchant,
        "id": number,
        "member": member,
        "channel": one.channel,
        "purpose": one.purpose,
        "state": one.state,
        "at": to_micros(one.at),
        "recorded_at": to_micros(one.recorded_at),
        "evidence_sealed": seal_object(sealer, evidence, _about(merchant, member, number)),
    }
    saving.insert(connection, "consent", [row])


def _about(merchant: str, member: str, number: int) -> str:
    return f"consent:{merchant}:{member}:{number}"

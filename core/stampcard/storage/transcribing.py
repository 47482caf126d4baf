"""What everybody said about being addressed, and all addresses that get nothing: page by page, as an import reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select, tuple_

from stampcard.domain.commands import OWN
from stampcard.sealing import Sealer
from stampcard.storage import loading
from stampcard.storage.consenting import opened
from stampcard.storage.correspondence import suppression_of
from stampcard.storage.tables import consent, suppression

#: Field → what stands there.
Line = Mapping[str, str]


class Leaf(NamedTuple):
    """A page: its lines, and the place behind it, or None behind the last."""

    lines: Sequence[Line]
    after: tuple[str, int] | tuple[str, str] | None


def consents_after(
    connection: Connection, merchant: str, sealer: Sealer, after: tuple[str, int] | None, limit: int
) -> Leaf:
    """The next consents, member by member, with how each member is found elsewhere."""
    key = (consent.c.member, consent.c.id)
    statement = select(consent).where(consent.c.merchant == merchant)
    if after is not None:
        statement = statement.where(tuple_(*key) > after)
    found = connection.execute(statement.order_by(*key).limit(limit)).all()
    who = _who(connection, merchant, sealer, sorted({row.member for row in found}))
    lines = []
    for row in found:
        if row.member in who:
            one = opened(row, merchant, sealer, evidence=True)
            said = {name: str(getattr(one, name)) for name in ("channel", "purpose", "state", "source", "text", "ip")}
            lines.append({**who[row.member], **said, "at": one.at.isoformat()})
    return Leaf(lines, (found[-1].member, found[-1].id) if len(found) == limit else None)


def _who(connection: Connection, merchant: str, sealer: Sealer, members: Sequence[str]) -> dict[str, Line]:
    people = loading.load_members(connection, merchant, members, sealer, attributes=True, lock=False)
    known = loading.load_identities_of(connection, merchant, members)
    found: dict[str, Line] = {}
    for id_, person in people.items():
        keys = sorted((row.connection, row.reference) for row in known.get(id_, ()) if row.connection != OWN)
        name, reference = keys[0] if keys else ("", "")
        addresses = {kind: str(person.attributes.get(kind) or "") for kind in ("email", "phone")}
        found[id_] = {"member": id_, "connection": name, "reference": reference, **addresses}
    return found


def suppressions_after(
    connection: Connection, merchant: str, sealer: Sealer, after: tuple[str, str] | None, limit: int
) -> Leaf:
    """The next addresses that get nothing; of those whose fingerprint alone is known, nothing is told."""
    key = (suppression.c.channel, suppression.c.print)
    statement = select(suppression).where(suppression.c.merchant == merchant)
    if after is not None:
        statement = statement.where(tuple_(*key) > after)
    found = connection.execute(statement.order_by(*key).limit(limit)).all()
    all_ = [suppression_of(merchant, sealer, row) for row in found]
    lines = [
        {
            **{name: str(getattr(one, name)) for name in ("channel", "address", "reason", "note")},
            "at": one.at.isoformat(),
        }
        for one in all_
        if one.address
    ]
    return Leaf(lines, (found[-1].channel, found[-1].print) if len(found) == limit else None)

"""What members are verified as, and what they asked for, as rows; the evidence lies sealed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import BindParameter, Connection, Row, bindparam, func, select, tuple_, update

from stampcard.clock import from_micros, to_micros
from stampcard.domain.proofs import Proof, ProofRequest, RequestStatus
from stampcard.sealing import Sealer
from stampcard.storage import saving
from stampcard.storage.rows import micros, moment, open_object, seal_object, to_json
from stampcard.storage.tables import proof, proof_request

#: After how long what could not be looked at is looked at again.
PATIENCE = timedelta(days=1)
_ONE = msgspec.json.Decoder(Proof)
_M: BindParameter[str] = bindparam("merchant")
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_OF = select(proof.c.member, proof.c.program, proof.c.name, proof.c.state).where(
    proof.c.merchant == _M, proof.c.member.in_(_IDS)
)
_DUE = (
    select(proof.c.member)
    .where(proof.c.merchant == _M, proof.c.next_at <= bindparam("now"))
    .order_by(proof.c.next_at)
    .limit(bindparam("most"))
)
#: Where a request stands in the queue: when it was asked (microseconds), and its id.
Place = tuple[int, str]


def load_proofs(
    connection: Connection, merchant: str, members: Collection[str]
) -> dict[str, dict[str, dict[str, Proof]]]:
    """Member → program → proof."""
    found: dict[str, dict[str, dict[str, Proof]]] = {}
    if members:
        for row in connection.execute(_OF, {"merchant": merchant, "ids": sorted(members)}):
            found.setdefault(row.member, {}).setdefault(row.program, {})[row.name] = _ONE.decode(row.state)
    return found


def save_proofs(connection: Connection, merchant: str, proofs: Mapping[tuple[str, str, str], Proof]) -> None:
    """Write proofs by (member, program, name)."""
    rows = [
        {
            "merchant": merchant,
            "member": member,
            "program": program,
            "name": name,
            "verified": int(one.since is not None),
            "next_at": micros(one.next_at),
            "state": to_json(one),
        }
        for (member, program, name), one in proofs.items()
    ]
    saving.upsert(connection, "proof", rows)


def due_proofs(connection: Connection, merchant: str, now: datetime, limit: int) -> list[str]:
    """Members one of whose proofs ends or is to be told of, the longest due first."""
    parameters = {"merchant": merchant, "now": to_micros(now), "most": limit}
    return sorted(set(connection.execute(_DUE, parameters).scalars()))


def rest_proofs(connection: Connection, merchant: str, members: Collection[str], now: datetime) -> None:
    """Let what could not be looked at wait."""
    statement = update(proof).where(
        proof.c.merchant == merchant, proof.c.member.in_(sorted(members)), proof.c.next_at <= to_micros(now)
    )
    connection.execute(statement.values(next_at=to_micros(now + PATIENCE)))


def count_proofs(connection: Connection, merchant: str) -> dict[tuple[str, str], int]:
    """(program, proof) → how many members are verified."""
    of = select(proof.c.program, proof.c.name, func.count()).where(proof.c.merchant == merchant, proof.c.verified == 1)
    found = connection.execute(of.group_by(proof.c.program, proof.c.name))
    return {(program, name): int(n) for program, name, n in found}


def save_requests(connection: Connection, merchant: str, sealer: Sealer, requests: Iterable[ProofRequest]) -> None:
    """Write requests with their evidence."""
    rows = [
        {
            "merchant": merchant,
            "id": one.id,
            "member": one.member,
            "program": one.program,
            "name": one.name,
            "status": one.status,
            "asked_at": to_micros(one.asked_at),
            "decided_at": micros(one.decided_at),
            "decided_by": one.by,
            "reason": one.reason,
            "note": one.note,
            "evidence_sealed": seal_object(sealer, one.evidence, _about(merchant, one.id)),
        }
        for one in requests
    ]
    saving.upsert(connection, "proof_request", rows)


def find_request(connection: Connection, merchant: str, sealer: Sealer, id_: str) -> ProofRequest | None:
    """A request with its evidence."""
    statement = select(proof_request).where(proof_request.c.merchant == merchant, proof_request.c.id == id_)
    row = connection.execute(statement).one_or_none()
    return None if row is None else _request(row, sealer)


def open_requests(connection: Connection, merchant: str, member: str) -> list[tuple[str, str, str]]:
    """The open requests of a member, as (program, proof, id)."""
    of = select(proof_request.c.program, proof_request.c.name, proof_request.c.id).where(
        proof_request.c.merchant == merchant, proof_request.c.member == member, proof_request.c.status == "open"
    )
    return [(row.program, row.name, row.id) for row in connection.execute(of)]


def list_requests(
    connection: Connection,
    merchant: str,
    sealer: Sealer,
    status: RequestStatus,
    behind: Place | None,
    limit: int,
) -> list[ProofRequest]:
    """The next requests of a status behind a place, the oldest first."""
    statement = select(proof_request).where(proof_request.c.merchant == merchant, proof_request.c.status == status)
    if behind is not None:
        statement = statement.where(tuple_(proof_request.c.asked_at, proof_request.c.id) > tuple_(*behind))
    statement = statement.order_by(proof_request.c.asked_at, proof_request.c.id).limit(limit)
    return [_request(row, sealer) for row in connection.execute(statement)]


def place_of(one: ProofRequest) -> Place:
    """Where a request stands in the queue."""
    return to_micros(one.asked_at), one.id


def _request(row: Row[Any], sealer: Sealer) -> ProofRequest:
    return ProofRequest(
        id=row.id,
        member=row.member,
        program=row.program,
        name=row.name,
        status=row.status,
        asked_at=from_micros(row.asked_at),
        evidence=open_object(sealer, row.evidence_sealed, _about(row.merchant, row.id)),
        decided_at=moment(row.decided_at),
        by=row.decided_by,
        reason=row.reason,
        note=row.note,
    )


def _about(merchant: str, id_: str) -> str:
    return f"proof:{merchant}:{id_}"

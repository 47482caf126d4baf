"""Paid memberships as rows: the terms that they are made of, and what these come to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import BindParameter, Connection, bindparam, delete, func, select, tuple_, update

from stampcard.clock import to_micros
from stampcard.domain.plans import Subscription, Term
from stampcard.storage import saving
from stampcard.storage.rows import micros, to_json
from stampcard.storage.tables import plan, plan_term

#: After how long a plan that could not be looked at is looked at again.
PATIENCE = timedelta(days=1)
_TERM, _ONE = msgspec.json.Decoder(Term), msgspec.json.Decoder(Subscription)
_M: BindParameter[str] = bindparam("merchant")
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_OF = select(plan.c.member, plan.c.program, plan.c.name, plan.c.state).where(
    plan.c.merchant == _M, plan.c.member.in_(_IDS)
)
_TERMS = select(plan_term.c.member, plan_term.c.state).where(plan_term.c.merchant == _M, plan_term.c.member.in_(_IDS))
_DUE = (
    select(plan.c.member)
    .where(plan.c.merchant == _M, plan.c.next_at <= bindparam("now"))
    .order_by(plan.c.next_at)
    .limit(bindparam("most"))
)
#: (member, program, plan, key)
Place = tuple[str, str, str, str]


def load_plans(
    connection: Connection, merchant: str, members: Collection[str]
) -> dict[str, dict[str, dict[str, Subscription]]]:
    """Member → program → plan."""
    found: dict[str, dict[str, dict[str, Subscription]]] = {}
    if members:
        for row in connection.execute(_OF, {"merchant": merchant, "ids": sorted(members)}):
            found.setdefault(row.member, {}).setdefault(row.program, {})[row.name] = _ONE.decode(row.state)
    return found


def load_terms(connection: Connection, merchant: str, members: Collection[str]) -> dict[Place, Term]:
    """All that these members bought, tried or were given."""
    if not members:
        return {}
    rows = connection.execute(_TERMS, {"merchant": merchant, "ids": sorted(members)})
    found = ((row.member, _TERM.decode(row.state)) for row in rows)
    return {(member, term.program, term.plan, term.key): term for member, term in found}


def save_plans(
    connection: Connection, merchant: str, plans: Mapping[tuple[str, str, str], Subscription], now: datetime
) -> None:
    """Write plans by (member, program, name)."""
    rows = [
        {
            "merchant": merchant,
            "member": member,
            "program": program,
            "name": name,
            "active": int(one.active),
            "next_at": micros(one.next_at(now)),
            "state": to_json(one),
        }
        for (member, program, name), one in plans.items()
    ]
    saving.upsert(connection, "plan", rows)


def save_terms(connection: Connection, merchant: str, terms: Mapping[Place, Term | None]) -> None:
    """Write terms; what is None is not there any more."""
    rows = [
        {
            "merchant": merchant,
            "member": place[0],
            "program": place[1],
            "plan": place[2],
            "key": place[3],
            "at": to_micros(term.at),
            "state": to_json(term),
        }
        for place, term in terms.items()
        if term is not None
    ]
    saving.upsert(connection, "plan_term", rows)
    gone = sorted(place for place, term in terms.items() if term is None)
    if gone:
        key = tuple_(plan_term.c.member, plan_term.c.program, plan_term.c.plan, plan_term.c.key)
        connection.execute(delete(plan_term).where(plan_term.c.merchant == merchant, key.in_(gone)))


def due_plans(connection: Connection, merchant: str, now: datetime, limit: int) -> list[str]:
    """Members one of whose plans has ended or begun, the longest due first."""
    parameters = {"merchant": merchant, "now": to_micros(now), "most": limit}
    return sorted(set(connection.execute(_DUE, parameters).scalars()))


def rest_plans(connection: Connection, merchant: str, members: Collection[str], now: datetime) -> None:
    """Let what could not be looked at wait."""
    statement = update(plan).where(
        plan.c.merchant == merchant, plan.c.member.in_(sorted(members)), plan.c.next_at <= to_micros(now)
    )
    connection.execute(statement.values(next_at=to_micros(now + PATIENCE)))


def count_plans(connection: Connection, merchant: str) -> dict[tuple[str, str], int]:
    """(program, plan) → how many members have it."""
    of = select(plan.c.program, plan.c.name, func.count()).where(plan.c.merchant == merchant, plan.c.active == 1)
    return {
        (program, name): int(n) for program, name, n in connection.execute(of.group_by(plan.c.program, plan.c.name))
    }

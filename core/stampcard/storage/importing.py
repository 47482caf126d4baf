"""Imports as rows: the files, what each of their rows came to, and which came to nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import BindParameter, Connection, Row, bindparam, case, func, select, update

from stampcard.clock import from_micros, to_micros
from stampcard.domain.imports import Intake
from stampcard.errors import NotFound
from stampcard.storage import saving
from stampcard.storage.rows import moment, to_json
from stampcard.storage.tables import entry, imported, intake, lot, unimported

_M: BindParameter[str] = bindparam("merchant")
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_OPTIONS = msgspec.json.Decoder(dict[str, Any])
_KNOWN = select(imported.c.print, imported.c.nth, imported.c.seen_in, imported.c.state).where(
    imported.c.merchant == _M, imported.c.print.in_(_IDS)
)
_SEEN = (
    update(imported)
    .where(
        imported.c.merchant == bindparam("b_merchant"),
        imported.c.print == bindparam("b_print"),
        imported.c.nth == bindparam("b_nth"),
    )
    .values(seen_in=bindparam("seen_in"))
)
_UNDONE = (
    update(imported)
    .where(
        imported.c.merchant == bindparam("b_merchant"),
        imported.c.print == bindparam("b_print"),
        imported.c.nth == bindparam("b_nth"),
    )
    .values(state="undone", kept=bindparam("kept"), note="", referral_sealed=None)
)
_OF = (
    select(imported)
    .where(imported.c.merchant == _M, imported.c.intake == bindparam("intake"), imported.c.member.in_(_IDS))
    .order_by(imported.c.member, imported.c.line)
)
_LOTS = select(lot).where(lot.c.merchant == _M, lot.c.subject == bindparam("subject"), lot.c.member.in_(_IDS))

Rows = Sequence[Row[*tuple[Any, ...]]]


def begin_intake(connection: Connection, merchant: str, one: Intake) -> None:
    """A file that is imported from now on."""
    saving.insert(connection, "intake", [_row(merchant, one)])


def save_intake(connection: Connection, merchant: str, one: Intake) -> None:
    """How far it is."""
    saving.upsert(connection, "intake", [_row(merchant, one)])


def _row(merchant: str, one: Intake) -> dict[str, Any]:
    row = msgspec.structs.asdict(one)
    for name in ("started_at", "ended_at", "undone_at"):
        row[name] = None if row[name] is None else to_micros(row[name])
    return {"merchant": merchant, **row, "options": to_json(one.options)}


def _intake_of(row: Row[Any]) -> Intake:
    of = {name: getattr(row, name) for name in Intake.__struct_fields__}
    times = {name: moment(of[name]) for name in ("ended_at", "undone_at")}
    return Intake(**{**of, **times, "started_at": from_micros(row.started_at), "options": _OPTIONS.decode(row.options)})


def plan_anew(connection: Connection) -> None:
    """Let PostgreSQL plan each statement of this transaction for the tables as they are now.

    An import makes them grow faster than their statistics: a plan that was kept from its beginning reads all of them.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_custom_plan")


def load_intake(connection: Connection, merchant: str, id_: str, *, lock: bool = False) -> Intake:
    """An import; raises NotFound."""
    statement = select(intake).where(intake.c.merchant == merchant, intake.c.id == id_)
    row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
    if row is None:
        raise NotFound("import", id_)
    return _intake_of(row)


def list_intakes(
    connection: Connection, merchant: str, limit: int, before: tuple[int, str] | None = None
) -> list[Intake]:
    """Imports, the newest first."""
    statement = select(intake).where(intake.c.merchant == merchant)
    if before is not None:
        at, id_ = before
        older = (intake.c.started_at < at) | ((intake.c.started_at == at) & (intake.c.id < id_))
        statement = statement.where(older)
    statement = statement.order_by(intake.c.started_at.desc(), intake.c.id.desc()).limit(limit)
    return [_intake_of(row) for row in connection.execute(statement)]


def intakes_of(connection: Connection, merchant: str, fingerprint: str, program: str, source: str) -> list[Intake]:
    """The imports of a file that were not undone, the newest first."""
    statement = select(intake).where(
        intake.c.merchant == merchant,
        intake.c.fingerprint == fingerprint,
        intake.c.program == program,
        intake.c.connection == source,
        intake.c.state.not_in(("undoing", "undone")),
    )
    return [_intake_of(row) for row in connection.execute(statement.order_by(intake.c.started_at.desc()))]


def load_known(
    connection: Connection, merchant: str, prints: Collection[str]
) -> dict[str, list[Row[*tuple[Any, ...]]]]:
    """Print → every row with the same content that any file had, also those that were undone."""
    found: dict[str, list[Row[*tuple[Any, ...]]]] = {}
    if prints:
        for row in connection.execute(_KNOWN, {"merchant": merchant, "ids": sorted(prints)}):
            found.setdefault(row.print, []).append(row)
    return found


def note_seen(connection: Connection, merchant: str, seen_in: str, places: Iterable[tuple[str, int]]) -> None:
    """Write down that this file had these rows, too."""
    rows = [{"b_merchant": merchant, "b_print": p, "b_nth": n, "seen_in": seen_in} for p, n in sorted(places)]
    if rows:
        connection.execute(_SEEN, rows)


def refuse(connection: Connection, merchant: str, id_: str, codes: Mapping[int, str]) -> None:
    """Write down which lines changed nothing, and why."""
    rows = [{"merchant": merchant, "intake": id_, "line": line, "code": code} for line, code in codes.items()]
    saving.insert(connection, "unimported", rows)


def refused_codes(connection: Connection, merchant: str, id_: str) -> dict[str, int]:
    """Code → how many lines."""
    mine = (unimported.c.merchant == merchant, unimported.c.intake == id_)
    statement = select(unimported.c.code, func.count()).where(*mine).group_by(unimported.c.code)
    return {code: int(count) for code, count in connection.execute(statement.order_by(unimported.c.code))}


def refused_lines(connection: Connection, merchant: str, id_: str, after: int, limit: int) -> list[tuple[int, str]]:
    """The next lines that changed nothing, with why."""
    statement = select(unimported.c.line, unimported.c.code).where(
        unimported.c.merchant == merchant, unimported.c.intake == id_, unimported.c.line > after
    )
    found = connection.execute(statement.order_by(unimported.c.line).limit(limit))
    return [(row.line, row.code) for row in found]


def members_of(connection: Connection, merchant: str, id_: str, after: str, limit: int) -> list[str]:
    """The next members whom an import has rows of."""
    statement = select(imported.c.member).where(
        imported.c.merchant == merchant, imported.c.intake == id_, imported.c.member > after
    )
    return list(connection.execute(statement.distinct().order_by(imported.c.member).limit(limit)).scalars())


def is_left(connection: Connection, merchant: str, id_: str) -> bool:
    """Whether anything of an import is still to be undone."""
    statement = select(imported.c.nth).where(
        imported.c.merchant == merchant, imported.c.intake == id_, imported.c.state == "applied"
    )
    return connection.execute(statement.limit(1)).first() is not None


def rows_of(connection: Connection, merchant: str, id_: str, members: Collection[str]) -> dict[str, list[Row[Any]]]:
    """Member → what an import's rows came to, by line."""
    found: dict[str, list[Row[Any]]] = {}
    for row in connection.execute(_OF, {"merchant": merchant, "intake": id_, "ids": sorted(members)}):
        found.setdefault(row.member, []).append(row)
    return found


def expired_of(
    connection: Connection, merchant: str, subject: str, members: Collection[str]
) -> dict[tuple[str, str, int], int]:
    """(member, wallet, lot) → how much of it expired, of the lots of an import."""
    found = connection.execute(_LOTS, {"merchant": merchant, "subject": subject, "ids": sorted(members)})
    return {(row.member, row.wallet, row.number): row.expired for row in found}


def undo_rows(connection: Connection, merchant: str, kept: Mapping[tuple[str, int], int]) -> None:
    """(print, nth) → what stays of the points of a row that is undone."""
    rows = [{"b_merchant": merchant, "b_print": p, "b_nth": n, "kept": points} for (p, n), points in kept.items()]
    if rows:
        connection.execute(_UNDONE, rows)


def kept_points(connection: Connection, merchant: str, id_: str, limit: int) -> Rows:
    """Members who had spent points of an import when it was undone: member, wallet, points."""
    statement = select(imported.c.member, imported.c.wallet, func.sum(imported.c.kept).label("points")).where(
        imported.c.merchant == merchant, imported.c.intake == id_, imported.c.kept > 0
    )
    statement = statement.group_by(imported.c.member, imported.c.wallet).order_by(imported.c.member).limit(limit)
    return connection.execute(statement).all()


def booked_of(
    connection: Connection, merchant: str, subject: str, members: Collection[str]
) -> list[tuple[str, int, int]]:
    """Wallet, what the ledger gave these members for an import, and what it took back, from its entries alone."""
    given = func.sum(case((entry.c.imported < 0, -entry.c.imported), else_=0))
    returned = func.sum(case((entry.c.imported > 0, entry.c.imported), else_=0))
    statement = select(entry.c.wallet, given, returned).where(
        entry.c.merchant == merchant, entry.c.member.in_(sorted(members)), entry.c.subject == subject
    )
    found = connection.execute(statement.group_by(entry.c.wallet))
    return [(wallet, int(credited), int(back)) for wallet, credited, back in found]

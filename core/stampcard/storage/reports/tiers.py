"""Who has which tier, and what happened to tiers between the days, from the events that say so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from stampcard.domain.tiers import TierMoved
from stampcard.engine.reporting import Asked
from stampcard.storage.numbering import number_at
from stampcard.storage.reports.periods import within
from stampcard.storage.tables import event
from stampcard.storage.tiering import count_tiers

_MOVED = msgspec.json.Decoder(TierMoved)
CHUNK = 5_000
#: What happened → the columns of the tier that it led to, and of the one before.
_WAYS = {"joined": ("joined", ""), "up": ("risen", "left_up"), "down": ("fallen", "left_down"), "kept": ("kept", "")}
FIGURES = ("joined", "risen", "fallen", "kept", "left_up", "left_down")


def read_tiers(connection: Connection, asked: Asked) -> Iterator[dict[str, Any]]:
    """A row for each tier, the lowest first; behind them those that the program does not have any more."""
    program, ladder = asked.live.name, asked.live.ladder
    moved: Counter[tuple[str, str]] = Counter()
    for one in _moves(connection, asked):
        if one.program == program and one.way in _WAYS:
            to, before = _WAYS[one.way]
            moved.update({(one.tier, to): 1, **({(one.before, before): 1} if before else {})})
    counts = {name: count for (of, name), count in count_tiers(connection, asked.merchant).items() if of == program}
    names = [rung.name for rung in ladder.rungs] if ladder is not None else []
    others = {tier for tier, _ in moved} | counts.keys()
    for name in (*names, *sorted(others - {*names, ""})):
        figures = {figure: moved[name, figure] for figure in FIGURES}
        yield {"tier": name, "members": counts.get(name, 0), **figures}


def _moves(connection: Connection, asked: Asked) -> Iterator[TierMoved]:
    """What happened to tiers in the days; it may have been noticed later, never before."""
    place = number_at(asked.span.moments[0]) - 1
    statement = (
        select(event.c.id, event.c.body)
        .where(event.c.merchant == asked.merchant, event.c.kind == "tier_moved")
        .where(*within(event.c.occurred_at, asked.span))
        .order_by(event.c.id)
        .limit(CHUNK)
    )
    while chunk := connection.execute(statement.where(event.c.id > place)).all():
        place = chunk[-1].id
        yield from (_MOVED.decode(row.body) for row in chunk)

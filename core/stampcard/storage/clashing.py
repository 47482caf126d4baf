"""What a new version may not do to the wallets there are: take another program's, lose one, count it otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from stampcard.engine.versions import LiveProgram
from stampcard.errors import Problem
from stampcard.program.model import Program
from stampcard.storage.tables import balance


def clashes(
    connection: Connection, merchant: str, program: Program, stored: Sequence[LiveProgram], planned_at: datetime | None
) -> Iterator[Problem]:
    """Everything that speaks against the program; `planned_at`: now, if it becomes valid only later."""
    ours = [live for live in stored if live.name == program.program]
    yield from _taken(program, (live for live in stored if live.name != program.program))
    yield from _lost(connection, merchant, program, ours, planned_at)


def _taken(program: Program, others: Iterable[LiveProgram]) -> Iterator[Problem]:
    """Wallets that another program has, or once had: its orders may still award to them."""
    owners = {name: live.name for live in others for name in live.program.wallets}
    for name in program.wallets:
        if name in owners:
            problem = f"the program {owners[name]!r} has a wallet of this name already"
            yield Problem(problem, path=f"wallets.{name}")


def _lost(
    connection: Connection, merchant: str, program: Program, ours: Sequence[LiveProgram], planned_at: datetime | None
) -> Iterator[Problem]:
    """Wallets with balances that are gone, or whose figures would mean something else."""
    scales = {name: terms.scale for live in ours for name, terms in live.program.wallets.items()}
    filling = _filling(ours, planned_at) if planned_at is not None else frozenset()
    for name, scale in scales.items():
        terms = program.wallets.get(name)
        if terms is not None and terms.scale == scale:
            continue
        held = select(balance.c.member).where(balance.c.merchant == merchant, balance.c.wallet == name).limit(1)
        has = "members have" if connection.execute(held).first() is not None else ""
        has = has or ("until then members may have" if name in filling else "")
        if has and terms is None:
            yield Problem(f"{has} balances in this wallet, so it cannot be left out", path=f"wallets.{name}")
        elif has:
            yield Problem(f"{has} balances in this wallet, so its scale stays {scale}", path=f"wallets.{name}.scale")


def _filling(ours: Sequence[LiveProgram], now: datetime) -> frozenset[str]:
    """The wallets into which points may come before a planned version begins."""
    begun = [live for live in ours if live.valid_from <= now][-1:]
    planned = [live for live in ours if live.valid_from > now]
    return frozenset(name for live in (*begun, *planned) for name in live.program.wallets)

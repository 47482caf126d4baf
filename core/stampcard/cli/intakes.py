"""What commands tell of imports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from stampcard.cli.invocation import PARTLY
from stampcard.cli.printing import say, show, show_json, show_table

if TYPE_CHECKING:
    from stampcard.domain.imports import Holds, Intake
    from stampcard.importing.reconciling import Total
    from stampcard.importing.trying import Trial

_SUMS = ("file", "refused", "known", "credited", "difference", "returned")


def show_totals(totals: dict[str, Total], scales: dict[str, int], *, json: bool) -> None:
    """The comparison of a file with the ledger."""
    from stampcard.engine.wording import points_words

    if json:
        told = {
            name: {**{of: getattr(total, of) for of in _SUMS}, "unread": total.unread, "scale": scales.get(name, 0)}
            for name, total in totals.items()
        }
        show_json({"ok": not any(total.difference for total in totals.values()), "wallets": told})
        return
    rows = [
        (name, *(points_words(getattr(total, of), scales.get(name, 0)) for of in _SUMS), str(total.unread))
        for name, total in totals.items()
    ]
    heads = ("WALLET", "IN THE FILE", "REFUSED", "KNOWN", "CREDITED", "DIFFERENCE", "TAKEN BACK", "UNREADABLE ROWS")
    show_table([heads, *rows])


def data_of(intake: Intake) -> dict[str, Any]:
    names = (
        "id", "holds", "state", "file", "program", "connection", "total", "applied", "known", "refused", "members", "started_at",
        "ended_at", "undone_at",
    )  # fmt: skip
    return {name: getattr(intake, name) for name in names}


def show_end(intake: Intake, *, json: bool) -> None:
    if json:
        show_json(data_of(intake))
    else:
        made = f"; new members: {intake.members}" if intake.holds == "members" else ""
        show(
            f"import {intake.id}: {intake.applied} rows imported, {intake.known} known from earlier, "
            f"{intake.refused} refused{made}"
        )
        if intake.refused:
            say(f"refused rows with their reasons: {intake.options['errors']}; mend them and import that file")
        if intake.holds == "members":
            say(f"compare: stampcard import reconcile {intake.id}; take back: stampcard import undo {intake.id}")
    if intake.refused:
        raise typer.Exit(PARTLY)


def show_trial(trial: Trial, holds: Holds, *, json: bool) -> None:
    if json:
        show_json(
            {
                "applied": trial.applied,
                "known": trial.known,
                "refused": trial.refused,
                "members": trial.members,
                "kinds": dict(trial.kinds),
                "points": dict(trial.points),
                "reasons": dict(trial.reasons),
                "examples": trial.examples,
            }
        )
        return
    made = f"; new members, at most: {trial.members}" if holds == "members" else ""
    show(
        f"dry run: {trial.applied} rows would be imported, {trial.known} are known from earlier, {trial.refused} "
        f"would be refused{made}"
    )
    for wallet, points in trial.points.items():
        show(f"{wallet}: {points}, in the smallest unit")
    for code, count in trial.reasons.items():
        show(f"{count} refused: {code}")
    for line in trial.examples:
        say(line)

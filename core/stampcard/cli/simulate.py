from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stampcard.cli.invocation import settings_of
from stampcard.cli.printing import moment, say, show, show_json, show_table
from stampcard.cli.spans import span

if TYPE_CHECKING:
    from stampcard.app import Application
    from stampcard.engine.tallying import Tally
    from stampcard.engine.versions import LiveProgram
    from stampcard.program.model import Program
    from stampcard.settings import Settings

_KINDS = {"member.attributes": "attributes", "facts": "facts"}


def simulate(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="PROGRAM_FILE", help="A changed program.", show_default=False)],
    since: Annotated[
        str, typer.Option(help="Only what happened within this time: 12h, 90d, 52w.", show_default=False)
    ] = "",
    samples: Annotated[int, typer.Option(min=0, max=100, help="So many examples of what changes.")] = 5,
    json: Annotated[bool, typer.Option("--json", help="For other programs.")] = False,
) -> None:
    """Say what a changed program would have paid for the stored orders and events, beside what the valid one pays.

    Nothing is written. Members are decided one after the other, each in order of time.
    """
    from stampcard.storage.programming import read_file

    program, _ = read_file(file)
    length = span(since) if since else None
    began, tally = _simulated(settings_of(context), program, length, samples)
    if json:
        show_json(_data(tally, began))
        return
    _tell(tally, began)


def _simulated(settings: Settings, program: Program, length: Any, samples: int) -> tuple[datetime | None, Tally]:
    import asyncio

    from stampcard.cli.acting import acting
    from stampcard.cli.progressing import progress
    from stampcard.clock import EPOCH
    from stampcard.engine.versions import compiled
    from stampcard.storage import listing
    from stampcard.storage.simulating import Comparison, simulate

    async def use(application: Application) -> tuple[datetime | None, Tally]:
        setting, now = application.setting, application.clock.now()
        began, hooks = None if length is None else now - length, setting.hooks
        valid = [live for live in setting.programs.current(now) if live.name == program.program]
        before = compiled(valid[0].program, valid[0].number, EPOCH) if valid else None
        wanted = Comparison(
            merchant=setting.merchant,
            before=before,
            after=compiled(program, before.number + 1 if before else 1, EPOCH),
            stopped=setting.programs.stopped,
            since=began,
            samples=samples,
            adjust=hooks.award_adjustments if hooks.implements("award_adjustments") else None,
            work_out=hooks.award_formula,
        )
        total = await application.database.read(lambda c: listing.count_members(c, setting.merchant))
        with progress("deciding members", total) as told:
            tally = await asyncio.to_thread(simulate, application.database, setting.sealer, wanted, told)
        return began, tally

    return acting(settings, use)


def _data(tally: Tally, began: datetime | None) -> dict[str, Any]:
    import msgspec

    return {
        "program": tally.after.name,
        "before": tally.before.number if tally.before else None,
        "since": began,
        "members": tally.members,
        "events": tally.steps,
        "wallets": {name: _wallet(tally, name) for name in tally.wallets},
        "rules": [
            {
                "rule": rule,
                "wallet": wallet,
                "before": {"points": sums.before, "awards": sums.times_before},
                "after": {"points": sums.after, "awards": sums.times_after},
            }
            for (rule, wallet), sums in sorted(tally.rules.items())
        ],
        "samples": [msgspec.to_builtins(sample) for sample in tally.samples],
        "lacking": {_KINDS[name]: tally.lacking.get(name, 0) for name in _KINDS},
        "undecided": tally.undecided,
        "failed": tally.failed,
        "notes": _notes(tally),
    }


def _wallet(tally: Tally, name: str) -> dict[str, Any]:
    from stampcard.engine.tallying import worth_of

    sums, people = tally.wallets[name], tally.people[name]
    before, after = worth_of(tally.before, name, sums.before), worth_of(tally.after, name, sums.after)
    return {
        "before": sums.before,
        "after": sums.after,
        "scale": _scale(tally, name),
        "worth": {"before": _money(before), "after": _money(after), "currency": tally.after.program.currency},
        "members": {"more": people.more, "fewer": people.fewer, "same": people.same},
    }


def _tell(tally: Tally, began: datetime | None) -> None:
    version = f"version {tally.before.number}" if tally.before else "no program"
    since = f" since {moment(began)}" if began else ""
    show(
        f"program {tally.after.name!r}, {version} against the file: {tally.members} members, {tally.steps} events{since}"
    )
    rows = []
    for name in tally.wallets:
        told = _wallet(tally, name)
        worth, people = told["worth"], told["members"]
        money = f"{worth['before'] or '-'} -> {worth['after'] or '-'} {worth['currency']}"
        rows.append((name, *_figures(tally, name, told["before"], told["after"]), money, *map(str, people.values())))
    show_table([("WALLET", "BEFORE", "AFTER", "CHANGE", "WORTH", "MORE", "FEWER", "SAME"), *rows])
    show("")
    rules = [
        (rule, *_figures(tally, wallet, sums.before, sums.after), f"{sums.times_before} -> {sums.times_after}")
        for (rule, wallet), sums in sorted(tally.rules.items())
    ]
    show_table([("RULE", "BEFORE", "AFTER", "CHANGE", "AWARDS"), *rules])
    for sample in tally.samples:
        before, after, _ = _figures(tally, sample.wallet, sample.before, sample.after)
        show("")
        show(f"{sample.subject} of {sample.member}: {before} -> {after} {sample.wallet}")
        for line in sample.words:
            show(f"  {line}")
    for note in _notes(tally):
        say(f"note: {note}")


def _notes(tally: Tally) -> list[str]:
    """What to know before believing the figures."""
    lacking = [(tally.lacking.get(name, 0), what) for name, what in _KINDS.items()]
    notes = []
    if lacking[0][0]:
        notes.append(f"{lacking[0][0]} events kept no attributes of the member: today's are taken")
    if lacking[1][0]:
        notes.append(f"{lacking[1][0]} events kept no facts: rules that need them stay undecided")
    if tally.undecided:
        notes.append(f"{tally.undecided} events have a rule whose condition failed")
    if tally.failed:
        notes.append(f"{tally.failed} events could not be decided")
    if any(_is_shared(live) for live in (tally.before, tally.after) if live):
        notes.append("limits over all members are approximate: members are decided one after the other")
    notes.append("birthdays, anniversaries and spends are left out; edits and cancels count from the order's beginning")
    return notes


def _is_shared(live: LiveProgram) -> bool:
    return any(bound.limit.in_all for offer in live.offers.values() for bound in offer.bounds)


def _figures(tally: Tally, wallet: str, before: int, after: int) -> tuple[str, str, str]:
    from stampcard.engine.wording import points_words

    scale = _scale(tally, wallet)
    change = f"{'+' if after > before else ''}{points_words(after - before, scale)}"
    return points_words(before, scale), points_words(after, scale), change


def _scale(tally: Tally, wallet: str) -> int:
    lives: list[LiveProgram] = [live for live in (tally.after, tally.before) if live and wallet in live.program.wallets]
    return lives[0].program.wallets[wallet].scale if lives else 0


def _money(worth: Decimal | None) -> str | None:
    return None if worth is None else f"{worth.quantize(Decimal('0.01')):f}"

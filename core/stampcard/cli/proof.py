from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stampcard.cli.invocation import opened, settings_of
from stampcard.cli.naming import Member, find_member
from stampcard.cli.people import user
from stampcard.cli.printing import say, show, show_json, show_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from stampcard.app import Application
    from stampcard.applying.requests import Answer
    from stampcard.applying.unit import Unit
    from stampcard.applying.verifying import ProofStanding
    from stampcard.domain.proofs import ProofRequest
    from stampcard_webhooks.proofs import ProofView

app = typer.Typer(
    no_args_is_help=True, help="Verifications: who is verified as what, the queue, and deciding a request."
)

Json = Annotated[bool, typer.Option("--json", help="For other programs.")]
Name = Annotated[
    str,
    typer.Argument(metavar="PROOF", help="Its name; PROGRAM/NAME where several programs have it.", show_default=False),
]
Request = Annotated[str, typer.Argument(metavar="REQUEST", help="The request's id.", show_default=False)]
Until = Annotated[
    str, typer.Option(help="The last day, as 2027-12-31; by default as the program says.", show_default=False)
]
Reason = Annotated[str, typer.Option(help="Why; the member may see it.", show_default=False)]


@app.command("list")
def list_proofs(context: typer.Context, json: Json = False) -> None:
    """Show everything that members can be verified as, and how many are."""
    from stampcard.clock import SystemClock
    from stampcard.storage.programming import load_programs
    from stampcard.storage.proving import count_proofs

    merchant, now = settings_of(context).merchant, SystemClock().now()
    with opened(settings_of(context)) as database:
        counts, programs = database.read_now(lambda c: (count_proofs(c, merchant), load_programs(c, merchant)))
    rows: list[dict[str, Any]] = [
        {
            "program": live.name,
            "proof": name,
            "members": counts.get((live.name, name), 0),
            "valid": None if terms.valid is None else str(terms.valid),
            "evidence": dict(terms.evidence),
        }
        for live in programs.current(now)
        for name, terms in live.program.proofs.items()
    ]
    if json:
        show_json(rows)
    elif not rows:
        say("No program verifies anything.")
    else:
        shown = [
            (
                row["program"],
                row["proof"],
                str(row["members"]),
                row["valid"] or "for good",
                ", ".join(row["evidence"]) or "-",
            )
            for row in rows
        ]
        show_table([("PROGRAM", "PROOF", "MEMBERS", "VALID", "EVIDENCE"), *shown])


@app.command("queue")
def queue(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many at most.")] = 20,
    json: Json = False,
) -> None:
    """Show the requests that wait for somebody to decide, the oldest first, with their evidence: personal data."""
    from stampcard.cli.acting import acting
    from stampcard.storage.proving import list_requests

    async def use(application: Application) -> list[ProofRequest]:
        setting = application.setting
        return await application.database.read(
            lambda c: list_requests(c, setting.merchant, setting.sealer, "open", None, limit)
        )

    found = acting(settings_of(context), use)
    if json:
        told = [
            {"id": one.id, "member": one.member, "program": one.program, "proof": one.name,
             "asked_at": one.asked_at.isoformat(), "evidence": one.evidence, "note": one.note}
            for one in found
        ]  # fmt: skip
        show_json(told)
    elif not found:
        say("Nobody waits.")
    for one in found if not json else ():
        note = f" ({one.note})" if one.note else ""
        show(f"{one.id}: {one.member} as {one.name}, asked {one.asked_at:%Y-%m-%d %H:%M}Z{note}")
        for field, text in one.evidence.items():
            show(f"  {field}: {text}")


@app.command("show")
def show_proofs(context: typer.Context, member: Member, json: Json = False) -> None:
    """Show what a member is verified as, until when, and why not."""
    from stampcard.cli.acting import acting
    from stampcard_webhooks.proofs import proof_views

    settings = settings_of(context)

    async def use(application: Application) -> list[ProofView]:
        def read(connection: Connection) -> list[ProofView]:
            id_ = find_member(connection, settings, member)
            return proof_views(connection, application.setting, id_, application.clock.now())

        return await application.database.read(read)

    views = acting(settings, use)
    if json:
        show_json([view.model_dump(mode="json") for view in views])
    elif not views:
        say("The member takes part in no program that verifies anything.")
    else:
        shown = [
            (
                view.program, view.proof, view.status,
                f"{view.until:%Y-%m-%d %H:%M}Z" if view.until is not None else "-", view.request or "-", view.reason or "-",
            )
            for view in views
        ]  # fmt: skip
        show_table([("PROGRAM", "PROOF", "STATUS", "UNTIL", "REQUEST", "REASON"), *shown])


@app.command("ask")
def ask_for(
    context: typer.Context,
    member: Member,
    name: Name,
    evidence: Annotated[
        list[str], typer.Option("--evidence", metavar="FIELD=TEXT", help="What is asked for.", show_default=False)
    ] = [],  # noqa: B006 - typer makes a new one each time
    json: Json = False,
) -> None:
    """Ask for a member to be verified; a plugin may decide at once."""
    from stampcard.applying.verifying import ask

    wrong = [one for one in evidence if "=" not in one]
    if wrong:
        raise typer.BadParameter(f"{wrong[0]!r} is no evidence: write FIELD=TEXT", param_hint="--evidence")
    given = {one.partition("=")[0]: one.partition("=")[2] for one in evidence}
    program, _, proof = name.rpartition("/")
    _change(
        context,
        lambda unit, find: ask(unit, find(member), program, proof, given, by_member=False),
        json=json,
    )


@app.command("approve")
def approve_one(context: typer.Context, request: Request, until: Until = "", json: Json = False) -> None:
    """Approve a request."""
    from stampcard.applying.verifying import decide
    from stampcard.storage.proving import find_request

    def work(unit: Unit, _: Callable[[str], str]) -> ProofStanding:
        found = find_request(unit.connection, unit.setting.merchant, unit.setting.sealer, request)
        return decide(unit, request, user(), approve=True, until=_end(unit, until, found.program if found else ""))

    _change(context, work, json=json)


@app.command("refuse")
def refuse_one(context: typer.Context, request: Request, reason: Reason = "", json: Json = False) -> None:
    """Refuse a request, with a reason."""
    from stampcard.applying.verifying import decide

    _change(context, lambda unit, _: decide(unit, request, user(), approve=False, reason=reason), json=json)


@app.command("verify")
def verify_one(context: typer.Context, member: Member, name: Name, until: Until = "", json: Json = False) -> None:
    """Verify a member who did not ask."""
    from stampcard.applying.verifying import verify

    program, _, proof = name.rpartition("/")
    _change(
        context, lambda unit, find: verify(unit, find(member), program, proof, _end(unit, until, program)), json=json
    )


@app.command("revoke")
def revoke_one(context: typer.Context, member: Member, name: Name, reason: Reason = "", json: Json = False) -> None:
    """Let a member be verified no more, with a reason."""
    from stampcard.applying.verifying import revoke

    program, _, proof = name.rpartition("/")
    _change(context, lambda unit, find: revoke(unit, find(member), program, proof, reason), json=json)


def _end(unit: Unit, day: str, program: str) -> Any:
    """The midnight behind a day, by the clock of the program, or of the only one that verifies anything."""
    from stampcard.cli.spans import last_moment

    zones = [live.program.zone for live in unit.proving.live if program in {"", live.name}]
    return last_moment(day, zones[0]) if zones else None


def _change(context: typer.Context, work: Callable[[Unit, Callable[[str], str]], ProofStanding], *, json: bool) -> None:
    from stampcard.applying.requests import Answer
    from stampcard.cli.acting import act
    from stampcard_webhooks.proofs import proof_view

    settings = settings_of(context)

    def change(unit: Unit) -> Answer:
        told = work(unit, lambda member: find_member(unit.connection, settings, member))
        return Answer(status=200, body=proof_view(told, unit.now).model_dump(mode="json"))

    body = act(settings, change).body
    if json:
        show_json(body)
        return
    end = f" until {body['until'].replace('T', ' ')[:16]}Z" if body["until"] else ""
    because = f": {body['reason']}" if body["reason"] else ""
    waiting = f"; request {body['request']} is open" if body["request"] else ""
    show(f"{body['proof']}: {body['status']}{end}{because}{waiting}")

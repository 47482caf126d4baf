from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stampcard.cli.invocation import opened, settings_of
from stampcard.cli.naming import Member, find_member
from stampcard.cli.printing import say, show, show_json, show_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from stampcard.app import Application
    from stampcard.applying.joining import PlanStanding
    from stampcard.applying.requests import Answer
    from stampcard.applying.unit import Unit
    from stampcard_webhooks.plans import PlanView, TermView

app = typer.Typer(no_args_is_help=True, help="Paid memberships: who has which, trying, giving and ending one.")

Json = Annotated[bool, typer.Option("--json", help="For other programs.")]
Name = Annotated[
    str,
    typer.Argument(metavar="PLAN", help="Its name; PROGRAM/NAME where several programs have it.", show_default=False),
]
Note = Annotated[str, typer.Option(help="For your own people.", show_default=False)]


@app.command("list")
def list_plans(context: typer.Context, json: Json = False) -> None:
    """Show every plan with how it is bought, what it costs and how many have it."""
    from stampcard.clock import SystemClock
    from stampcard.storage.programming import load_programs
    from stampcard.storage.subscribing import count_plans

    merchant, now = settings_of(context).merchant, SystemClock().now()
    with opened(settings_of(context)) as database:
        counts, programs = database.read_now(lambda c: (count_plans(c, merchant), load_programs(c, merchant)))
    rows: list[dict[str, Any]] = [
        {
            "program": live.name,
            "plan": name,
            "members": counts.get((live.name, name), 0),
            "lasts": "for good" if plan.lasts is None else str(plan.lasts),
            "price": None if plan.price is None else str(plan.price),
            "renewal_price": None if plan.renewal_price is None else str(plan.renewal_price),
            "skus": list(plan.skus),
            "on": list(plan.on),
        }
        for live in programs.current(now)
        for name, plan in live.program.plans.items()
    ]
    if json:
        show_json(rows)
    elif not rows:
        say("No program has plans.")
    else:
        shown = [
            (
                row["program"], row["plan"], str(row["members"]), row["lasts"], row["price"] or "-",
                ", ".join((*row["skus"], *row["on"])) or "(by hand)",
            )
            for row in rows
        ]  # fmt: skip
        show_table([("PROGRAM", "PLAN", "MEMBERS", "LASTS", "PRICE", "BY"), *shown])


@app.command("show")
def show_plans(context: typer.Context, member: Member, json: Json = False) -> None:
    """Show a member's plans, what they pay, and what each is made of."""
    from stampcard.applying.joining import plan_standings
    from stampcard.applying.unit import Unit
    from stampcard.cli.acting import acting
    from stampcard_webhooks.plans import plan_view

    settings = settings_of(context)

    async def use(application: Application) -> list[PlanView]:
        def read(connection: Connection) -> list[PlanView]:
            id_ = find_member(connection, settings, member)
            unit = Unit(connection, application.setting, application.clock.now())
            return list(map(plan_view, plan_standings(unit, id_)))

        return await application.database.read(read)

    views = acting(settings, use)
    if json:
        show_json([view.model_dump(mode="json") for view in views])
    elif not views:
        say("The member takes part in no program with plans.")
    else:
        show_table([("PROGRAM", "PLAN", "STATE", "UNTIL", "PAYS", "RENEWS AT"), *map(_row, views)])
        for view in views:
            for term in view.terms:
                back = f", {term.bought - term.kept} of {term.bought} refunded" if term.kept < term.bought else ""
                show(f"{view.plan}: {term.kind} {term.at:%Y-%m-%d %H:%M}Z, {_length(term)} ({term.key}){back}")


def _length(term: TermView) -> str:
    """How long a term lasts."""
    return f"up to {term.until:%Y-%m-%d %H:%M}Z" if term.until is not None else term.lasts or "at once"


def _row(view: PlanView) -> tuple[str, ...]:
    state = ("trial" if view.trial else "active") if view.active else "can be tried" if view.can_try else "-"
    until = f"{view.until:%Y-%m-%d %H:%M}Z" if view.until is not None else "for good" if view.active else "-"
    return view.program, view.plan, state, until, view.price or "-", view.renewal_price or "-"


@app.command("try")
def try_one(context: typer.Context, member: Member, name: Name, json: Json = False) -> None:
    """Let a member try a plan without paying, once."""
    from stampcard.applying.joining import try_plan

    _change(context, member, name, try_plan, json=json)


@app.command("give")
def give_one(
    context: typer.Context,
    member: Member,
    name: Name,
    until: Annotated[
        str, typer.Option(help="The last day, as 2027-12-31; by default for good.", show_default=False)
    ] = "",
    note: Note = "",
    json: Json = False,
) -> None:
    """Give a member a plan by hand."""
    from stampcard.applying.joining import give_plan, named_plan
    from stampcard.cli.spans import last_moment
    from stampcard.storage.numbering import new_use_key

    def work(unit: Unit, id_: str, program: str, plan: str) -> PlanStanding:
        live = named_plan(unit.setting.programs.current(unit.now), program, plan)
        end = last_moment(until, live.program.zone)
        return give_plan(unit, id_, live.name, plan, end, new_use_key(), note)

    _change(context, member, name, work, json=json)


@app.command("end")
def end_one(context: typer.Context, member: Member, name: Name, note: Note = "", json: Json = False) -> None:
    """End a member's plan now; what was paid is given back in the shop."""
    from stampcard.applying.joining import end_plan

    _change(context, member, name, lambda unit, id_, program, plan: end_plan(unit, id_, program, plan, note), json=json)


def _change(
    context: typer.Context,
    member: str,
    name: str,
    work: Callable[[Unit, str, str, str], PlanStanding],
    *,
    json: bool,
) -> None:
    from stampcard.applying.requests import Answer
    from stampcard.cli.acting import act
    from stampcard_webhooks.plans import plan_view

    settings = settings_of(context)
    program, _, plan = name.rpartition("/")

    def change(unit: Unit) -> Answer:
        id_ = find_member(unit.connection, settings, member)
        view = plan_view(work(unit, id_, program, plan)).model_dump(mode="json")
        return Answer(status=200, body={"member": id_, **view}, member=id_)

    body = act(settings, change).body
    if json:
        show_json(body)
        return
    end = f" until {body['until'].replace('T', ' ')[:16]}Z" if body["active"] and body["until"] else ""
    show(f"member {body['member']} {'has' if body['active'] else 'does not have'} {body['plan']}{end}")

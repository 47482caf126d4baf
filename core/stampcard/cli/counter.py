from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from stampcard.cli.invocation import opened, settings_of
from stampcard.cli.people import user
from stampcard.cli.printing import figure, say, show, show_json, show_table

if TYPE_CHECKING:
    from stampcard.app import Application
    from stampcard.engine.versions import Programs
    from stampcard_webhooks.counters import ActView
    from stampcard_webhooks.routing import Call

app = typer.Typer(
    no_args_is_help=True, help="The counter: what was done at tills, what waits for a person, and shifts."
)

Json = Annotated[bool, typer.Option("--json", help="For other programs.")]
Status = Literal["done", "refused", "held", "dismissed", "undone"]
Till = Annotated[str, typer.Argument(metavar="TILL", help="The till that told it.", show_default=False)]
Id = Annotated[
    str, typer.Argument(metavar="ID", help="The till's name for it: see `counter acts`.", show_default=False)
]
OfTill = Annotated[str, typer.Option("--till", help="Only of this till.", show_default=False)]
#: Letters of a note, as the API takes them.
_LONGEST = 1000
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="So many at most.")]


@app.command()
def acts(
    context: typer.Context,
    status: Annotated[
        Status | None, typer.Option(help="Only these; held are those that wait for a person.", show_default=False)
    ] = None,
    till: OfTill = "",
    limit: Limit = 100,
    json: Json = False,
) -> None:
    """Show what was done at tills and what became of it, the newest first."""
    from stampcard.app import open_sealer
    from stampcard.storage.programming import load_programs
    from stampcard.storage.tills import acts_before
    from stampcard_webhooks.counters import act_view

    settings = settings_of(context)
    sealer, merchant = open_sealer(settings), settings.merchant
    wanted = {name: value for name, value in (("status", status), ("till", till)) if value}
    with opened(settings) as database:
        found, programs = database.read_now(
            lambda c: (acts_before(c, merchant, sealer, wanted, None, limit), load_programs(c, merchant))
        )
    views = [act_view(one) for one in found]
    if json:
        show_json([view.model_dump() for view in views])
    elif not views:
        say("There is no such act." if wanted else "Nothing was done at a till yet.")
    else:
        heads = ("AT", "TILL", "ID", "KIND", "STATUS", "MEMBER", "WHAT", "POINTS", "WHY")
        show_table([heads, *(_cells(view, programs) for view in views)])
        if len(views) == limit:
            say(f"There may be more: raise --limit {limit}, or ask for a status or a till.")


def _figures(points: Mapping[str, int], programs: Programs) -> str:
    """What was given or taken by wallet, as members read it."""
    from stampcard.storage.reading import scale_of

    return ", ".join(f"{name} {figure(amount, scale_of(programs, name)):+}" for name, amount in points.items())


def _cells(view: ActView, programs: Programs) -> tuple[object, ...]:
    points = _figures(view.points, programs)
    why = view.note or view.detail or "-"
    return (
        view.at, view.till, view.id, view.kind, view.status, view.member or "-", view.amount or view.reward or "-",
        points or "-", why,
    )  # fmt: skip


@app.command()
def accept(
    context: typer.Context,
    till: Till,
    id_: Id,
    note: Annotated[str, typer.Option(help="Why; for your own people.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Book an act that was held, as it would be booked now."""
    _decide(context, till, id_, note or f"accepted by {user()}", json=json, accepts=True)


@app.command()
def dismiss(
    context: typer.Context,
    till: Till,
    id_: Id,
    note: Annotated[str, typer.Option(help="Why; for your own people.", show_default=False)],
    json: Json = False,
) -> None:
    """Let an act that was held never be booked."""
    if not note.strip():
        raise typer.BadParameter("say why, for your own people", param_hint="--note")
    _decide(context, till, id_, note, json=json, accepts=False)


def _decide(context: typer.Context, till: str, id_: str, note: str, *, json: bool, accepts: bool) -> None:
    from stampcard.cli.acting import acting
    from stampcard_webhooks.counters import accept_act, dismiss_act

    if len(note) > _LONGEST:
        message = f"a note has at most {_LONGEST} letters, and this has {len(note)}: write less"
        raise typer.BadParameter(message, param_hint="--note")

    async def use(application: Application) -> tuple[dict[str, Any], str]:
        call = _call(application, till, id_, note)
        body = dict((await (accept_act if accepts else dismiss_act)(call)).body)
        return body, _figures(body["points"], call.setting.programs)

    # Plugins are asked, as when the till had told it in time: conditions may need what they know.
    body, points = acting(settings_of(context), use, calls=accepts)
    if json:
        show_json(body)
        return
    show(f"{till}/{id_} is {body['status']}" + (f": {points}" if points else ""))


def _call(application: Application, till: str, id_: str, note: str) -> Call[Any, Any]:
    """What the API would be asked by somebody with the user's name."""
    from aiohttp import web

    from stampcard.storage.keys import ApiKey
    from stampcard_webhooks.asking import Query
    from stampcard_webhooks.counters import Reviewing
    from stampcard_webhooks.routing import Call

    setting, now = application.setting, application.clock.now()
    key = ApiKey(merchant=setting.merchant, id="cli", name=user(), scopes=("counter:review",), created_at=now)
    return Call(
        application=application, server=web.Application(), key=key, setting=setting, now=now,
        path={"till": till, "id": id_}, query=Query(), body=Reviewing(note=note), once=None,
    )  # fmt: skip


@app.command()
def shifts(context: typer.Context, till: OfTill = "", limit: Limit = 100, json: Json = False) -> None:
    """Show shifts with what they have given, the newest first."""
    from stampcard.clock import SystemClock
    from stampcard.storage.programming import load_programs
    from stampcard.storage.staffing import list_shifts, list_workers
    from stampcard_webhooks.tills import shift_views

    merchant, now = settings_of(context).merchant, SystemClock().now()
    with opened(settings_of(context)) as database:
        found, workers, programs = database.read_now(
            lambda c: (
                list_shifts(c, merchant, till or None, None, limit),
                list_workers(c, merchant),
                load_programs(c, merchant),
            )
        )
    rows = [view.model_dump() for view in shift_views(found, workers, programs, now)]
    if json:
        show_json(rows)
    elif not rows:
        say("There is no shift of that till." if till else "There was no shift yet.")
    else:
        keys = ("till", "name", "staff", "opened_at", "closed_at", "points", "worth", "typed")
        heads = tuple(key.upper().replace("_AT", "") for key in keys)
        shown = [{**row, "points": figure(row["points"], row["scale"])} for row in rows]
        show_table([heads, *(tuple("-" if row[key] is None else row[key] for key in keys) for row in shown)])

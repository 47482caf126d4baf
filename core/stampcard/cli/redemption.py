from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from stampcard.cli.invocation import opened, settings_of
from stampcard.cli.printing import say, show, show_json, show_table

if TYPE_CHECKING:
    from stampcard.applying.requests import Answer
    from stampcard.applying.unit import Unit
    from stampcard.domain.rewards import Redemption
    from stampcard.engine.redeeming import Handling

app = typer.Typer(no_args_is_help=True, help="Redemptions: rewards that members took, and what people do about them.")

Json = Annotated[bool, typer.Option("--json", help="For other programs.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="As `redemption list` shows it.", show_default=False)]
Reason = Annotated[str, typer.Option(help="Why; the member may see it.", show_default=False)]
Note = Annotated[str, typer.Option(help="Such as a parcel's number; the member may see it.", show_default=False)]
Status = Literal["held", "issued", "used", "released", "expired", "revoked"]


@app.command("list")
def list_redemptions(
    context: typer.Context,
    status: Annotated[Status | None, typer.Option(help="Only these.")] = None,
    reward: Annotated[str, typer.Option(help="Only of this reward.", show_default=False)] = "",
    member: Annotated[str, typer.Option(help="Only of this member's id.", show_default=False)] = "",
    by: Annotated[
        str,
        typer.Option(help="Only those made real by it; manual with --status held is the queue.", show_default=False),
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="So many at most.")] = 100,
    json: Json = False,
) -> None:
    """Show redemptions, newest first; codes are shown for one alone."""
    from stampcard.app import open_sealer
    from stampcard.storage.redemptions import Wanted
    from stampcard.storage.redemptions import list_redemptions as listed

    settings = settings_of(context)
    wanted = Wanted(member=member, status=status or "", reward=reward, by=by)
    sealer = open_sealer(settings)
    with opened(settings) as database:
        found = database.read_now(lambda c: listed(c, settings.merchant, sealer, wanted, None, limit))
    rows = [_row(one) for one in found]
    if json:
        show_json(rows)
    elif not rows:
        say("There is no such redemption." if wanted.columns() else "There is no redemption yet.")
    else:
        keys = ("id", "created_at", "member", "reward", "gives", "by", "status", "reason")
        show_table(
            [tuple(key.upper().replace("_AT", "") for key in keys), *([row[key] for key in keys] for row in rows)]
        )
        if len(rows) == limit:
            say(f"There may be more: raise --limit {limit}, or ask for a status, a reward or a member.")


@app.command("show")
def show_redemption(
    context: typer.Context,
    which: Annotated[str, typer.Argument(metavar="ID", help="Its id, or its code.", show_default=False)],
    json: Json = False,
) -> None:
    """Show one redemption with its code."""
    from stampcard.app import open_sealer
    from stampcard.errors import NotFound
    from stampcard.storage.redemptions import find_code, find_redemption

    settings = settings_of(context)
    merchant, sealer = settings.merchant, open_sealer(settings)
    with opened(settings) as database:
        one = database.read_now(
            lambda c: find_redemption(c, merchant, sealer, which) or find_code(c, merchant, sealer, which)
        )
    if one is None:
        raise NotFound("redemption", which)
    row = _row(one) | {"code": one.voucher.code if one.voucher is not None and one.issued_at is not None else None}
    if json:
        show_json(row)
        return
    for name, value in row.items():
        if value not in (None, "", []):
            show(f"{name:<12} {value}")


@app.command()
def release(context: typer.Context, id_: Id, reason: Reason, json: Json = False) -> None:
    """Give up a redemption that was not issued; its points go back."""
    from stampcard.applying import redeeming

    _end(context, lambda unit: redeeming.release(unit, id_, reason), json)


@app.command()
def revoke(
    context: typer.Context,
    id_: Id,
    reason: Reason,
    keep_points: Annotated[bool, typer.Option("--keep-points", help="The points stay spent.")] = False,
    json: Json = False,
) -> None:
    """Take back a redemption that was not used, at the shop too."""
    from stampcard.applying import redeeming

    _end(context, lambda unit: redeeming.revoke(unit, id_, reason, keep_points=keep_points), json)


@app.command()
def use(
    context: typer.Context,
    id_: Id,
    where: Annotated[str, typer.Option(help="The order or receipt; the same one counts once.", show_default=False)],
    json: Json = False,
) -> None:
    """Mark an issued reward used."""
    from stampcard.applying import redeeming

    _end(context, lambda unit: redeeming.use(unit, id_, where), json)


@app.command()
def done(context: typer.Context, id_: Id, note: Note = "", json: Json = False) -> None:
    """Say that a reward was handed out by hand."""
    _handle(context, id_, "done", note, json)


@app.command()
def shipped(context: typer.Context, id_: Id, note: Note = "", json: Json = False) -> None:
    """Say that a reward is on its way."""
    _handle(context, id_, "shipped", note, json)


@app.command()
def refused(context: typer.Context, id_: Id, note: Note = "", json: Json = False) -> None:
    """Say that a reward cannot be handed out; its points go back."""
    _handle(context, id_, "refused", note, json)


def _handle(context: typer.Context, id_: str, how: Handling, note: str, json: bool) -> None:
    from stampcard.applying import redeeming

    _end(context, lambda unit: redeeming.handle(unit, id_, how, note), json)


def _end(context: typer.Context, work: Callable[[Unit], Redemption], json: bool) -> None:
    from stampcard.applying.requests import Answer
    from stampcard.cli.acting import act

    def do(unit: Unit) -> Answer:
        one = work(unit)
        return Answer(status=200, body=_row(one), member=one.member)

    body = act(settings_of(context), do).body
    if json:
        show_json(body)
    else:
        show(f"{body['id']} ({body['gives']}) is {body['status']}")


def _row(one: Redemption) -> dict[str, Any]:
    return {
        "id": one.id,
        "created_at": one.created_at,
        "member": one.member,
        "program": one.program,
        "reward": one.reward,
        "gives": one.gives,
        "by": one.by,
        "status": one.status,
        "wallet": one.wallet,
        "price": one.price,
        "issued_at": one.issued_at,
        "valid_until": one.valid_until,
        "ended_at": one.ended_at,
        "orders": list(one.orders),
        "given_for": one.subject,
        "reason": one.reason,
    }

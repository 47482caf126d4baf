from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stampcard.cli import disclosing, enrolling, merging, telling
from stampcard.cli.invocation import settings_of
from stampcard.cli.naming import Member, find_member
from stampcard.cli.printing import figure, say, show, show_json, show_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from stampcard.app import Application
    from stampcard.applying.requests import Answer
    from stampcard.applying.unit import Unit

app = typer.Typer(no_args_is_help=True, help="Members: what they have, and points by hand.")

Json = Annotated[bool, typer.Option("--json", help="For other programs.")]
Wallet = Annotated[str, typer.Argument(metavar="WALLET", help="A wallet of the program.", show_default=False)]
_POINTS = "In the wallet's smallest unit: 1250 means 12.50 when the wallet has two decimal places."
#: Click would take the minus of an adjustment for an option.
_NEGATIVE = {"ignore_unknown_options": True}


@app.command("show")
def show_member(context: typer.Context, member: Member, json: Json = False) -> None:
    """Show one member with identities and balances as of now."""
    view = _views(context, [member])[0]
    if json:
        show_json(view)
        return
    show(f"member       {view['id']}, joined {view['joined_at'][:10]}, version {view['version']}")
    show(f"identities   {_identities(view) or '(none)'}")
    if view["held"] is not None:
        show(f"on hold      {view['held']}")
    show(f"tiers        {', '.join(f'{name}: {tier}' for name, tier in view['tiers'].items()) or '(none)'}")
    show(f"programs     {', '.join(view['programs']) or '(none)'}")
    for name, value in sorted(view["attributes"].items()):
        show(f"{name:<12} {value}")
    kinds = ("active", "pending", "held", "spent", "expired", "negative", "lifetime")
    show_table([("WALLET", *(kind.upper() for kind in kinds)), *_balances(view, kinds)])


@app.command("list")
def list_members(
    context: typer.Context,
    after: Annotated[str, typer.Option(metavar="ID", help="Go on behind this id.", show_default=False)] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many at most.")] = 50,
    json: Json = False,
) -> None:
    """List members by id, with what they can spend now."""
    views = _views(context, None, after, limit)
    if json:
        show_json(views)
    elif not views:
        say("There is no member behind that id." if after else "There is no member yet.")
    else:
        rows = [(view["id"], view["joined_at"][:10], _spendable(view), _identities(view)) for view in views]
        show_table([("ID", "JOINED", "ACTIVE", "IDENTITIES"), *rows])
        if len(views) == limit:
            say(f"There may be more: stampcard member list --after {views[-1]['id']}")


app.command("explain")(telling.explain)
app.command("timeline")(telling.timeline)
app.command("memberships")(enrolling.memberships)
app.command("join")(enrolling.join)
app.command("confirm")(enrolling.confirm)
app.command("leave")(enrolling.leave)
app.command("requests")(disclosing.requests)
app.command("answered")(disclosing.answered)
app.command("merge")(merging.merge)
app.command("unmerge")(merging.unmerge)
app.command("merges")(merging.merges)
app.command("duplicates")(merging.duplicates)
app.command("apart")(merging.apart)


@app.command(context_settings=_NEGATIVE)
def adjust(
    context: typer.Context,
    member: Member,
    wallet: Wallet,
    points: Annotated[
        int, typer.Argument(metavar="POINTS", help=f"Added, or taken if below 0. {_POINTS}", show_default=False)
    ],
    reason: Annotated[str, typer.Option(help="Why; the member will see it.", show_default=False)],
    json: Json = False,
) -> None:
    """Add or take points by hand."""
    import secrets

    from stampcard.applying import requests
    from stampcard.applying.requests import Answer

    key = f"a_{secrets.token_hex(12)}"

    def work(unit: Unit, id_: str) -> Answer:
        requests.adjust(unit, id_, wallet, points, key, reason)
        return Answer(status=201, body={"key": key, **_after(unit, id_, wallet)}, member=id_)

    _tell(_for_member(context, member, work), json)


@app.command()
def spend(
    context: typer.Context,
    member: Member,
    wallet: Wallet,
    points: Annotated[int, typer.Argument(metavar="POINTS", min=1, help=_POINTS, show_default=False)],
    reference: Annotated[
        str, typer.Option(help="Your own name for the spend, used once; made up without.", show_default=False)
    ] = "",
    note: Annotated[str, typer.Option(help="What for; the member will see it.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Spend points of a member; the key that is printed cancels it."""
    import secrets

    from stampcard.applying import spending
    from stampcard.applying.requests import Answer

    key = reference or f"s_{secrets.token_hex(12)}"

    def work(unit: Unit, id_: str) -> Answer:
        spending.spend(unit, id_, wallet, points, key, note)
        return Answer(status=201, body={"key": key, **_after(unit, id_, wallet)}, member=id_)

    _tell(_for_member(context, member, work), json)


@app.command("cancel-spend")
def cancel_spend(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key that `spend` printed, or your own reference.")],
    note: Annotated[str, typer.Option(help="Why; the member will see it.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Put the points of a spend back."""
    from stampcard.applying import spending
    from stampcard.applying.requests import Answer
    from stampcard.cli.acting import act

    def work(unit: Unit) -> Answer:
        debit = spending.cancel_spend(unit, key, note)
        return Answer(status=200, body={"key": key, **_after(unit, debit.member, debit.wallet)}, member=debit.member)

    _tell(act(settings_of(context), work), json)


@app.command()
def hold(
    context: typer.Context,
    member: Member,
    reason: Annotated[str, typer.Option(help="Why; for your own people.", show_default=False)],
) -> None:
    """Let a member earn and redeem nothing until `release`; refunds and time go on."""
    from stampcard.applying import holding
    from stampcard.applying.requests import Answer

    def work(unit: Unit, id_: str) -> Answer:
        holding.hold(unit, id_, reason)
        return Answer(status=201, body={"member": id_}, member=id_)

    show(f"member {_for_member(context, member, work).body['member']} is on hold")


@app.command()
def release(context: typer.Context, member: Member) -> None:
    """End a hold; orders that awarded nothing because of it are paid now."""
    from stampcard.applying import holding
    from stampcard.applying.requests import Answer

    def work(unit: Unit, id_: str) -> Answer:
        return Answer(status=200, body={"member": id_, "orders": holding.let_go(unit, id_)}, member=id_)

    body = _for_member(context, member, work).body
    show(f"member {body['member']} goes on; orders decided again: {body['orders']}")


@app.command()
def held(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many at most.")] = 50,
    json: Json = False,
) -> None:
    """List members who are on hold, the newest first."""
    from stampcard.cli.invocation import opened
    from stampcard.storage.listing import held_before

    settings = settings_of(context)
    with opened(settings) as database:
        found = database.read_now(lambda c: held_before(c, settings.merchant, None, limit))
    if json:
        show_json([{"member": one.member, "since": one.since.isoformat(), "reason": one.reason} for one in found])
    elif not found:
        say("Nobody is on hold.")
    else:
        rows = [(one.member, f"{one.since:%Y-%m-%d %H:%M}Z", one.reason) for one in found]
        show_table([("MEMBER", "SINCE", "REASON"), *rows])


@app.command()
def consents(context: typer.Context, member: Member, json: Json = False) -> None:
    """Show what a member agreed to, with where and when it was said."""
    from stampcard.cli.acting import acting
    from stampcard.domain.consents import current
    from stampcard.storage.consenting import load_consents

    settings = settings_of(context)

    async def use(application: Application) -> list[Any]:
        def read(connection: Connection) -> list[Any]:
            id_ = find_member(connection, settings, member)
            sealer = application.setting.sealer
            return load_consents(connection, settings.merchant, [id_], sealer, evidence=True).get(id_, [])

        return await application.database.read(read)

    history = acting(settings, use)
    if json:
        import msgspec

        show_json([msgspec.to_builtins(one) for one in history])
    elif not history:
        say("Nothing is known of what the member agrees to.")
    else:
        for name, one in sorted(current(history).items()):
            show(f"{name:<24} {one.state}")
        rows = [(f"{one.at:%Y-%m-%d %H:%M}Z", one.name, one.state, one.source, one.text) for one in reversed(history)]
        show_table([("AT", "CONSENT", "STATE", "SOURCE", "TEXT"), *rows])


@app.command()
def consent(
    context: typer.Context,
    member: Member,
    name: Annotated[str, typer.Argument(metavar="CHANNEL.PURPOSE", help="Such as email.marketing.")],
    state: Annotated[str, typer.Argument(metavar="STATE", help="given, pending, refused or withdrawn.")],
    source: Annotated[str, typer.Option(help="Where it was said: a call, the counter.", show_default=False)],
    text: Annotated[str, typer.Option(help="Which version of which words they saw.", show_default=False)] = "",
    confirmed: Annotated[
        bool, typer.Option("--confirmed", help="You asked back already: a yes counts at once.", show_default=False)
    ] = False,
) -> None:
    """Write down what a member said about being addressed."""
    from typing import get_args

    from stampcard.applying.consenting import record_consent
    from stampcard.applying.requests import Answer
    from stampcard.domain.consents import Consent, ConsentState

    channel, dot, purpose = name.partition(".")
    if not (dot and channel and purpose):
        raise typer.BadParameter("write CHANNEL.PURPOSE, such as email.marketing", param_hint="CHANNEL.PURPOSE")
    if state not in get_args(ConsentState):
        raise typer.BadParameter(f"write {', '.join(get_args(ConsentState))}", param_hint="STATE")

    def work(unit: Unit, id_: str) -> Answer:
        said: Any = {"state": state}
        one = Consent(
            channel=channel,
            purpose=purpose,
            at=unit.now,
            recorded_at=unit.now,
            source=source,
            text=text,
            author="cli",
            **said,
        )
        record_consent(unit, id_, one, confirmed=confirmed)
        asked = state == "given" and name not in unit.members[id_].consents
        return Answer(status=201, body={"member": id_, "state": "pending" if asked else state}, member=id_)

    answer = _for_member(context, member, work).body
    asked = answer["state"] != state
    show(f"member {answer['member']}: {name} is {answer['state']}{'; they are asked to confirm it' if asked else ''}")


@app.command()
def export(context: typer.Context, member: Member) -> None:
    """Print everything that is stored of a member, as JSON."""
    from stampcard.cli.acting import acting
    from stampcard.storage.exporting import export_member

    settings = settings_of(context)

    async def use(application: Application) -> dict[str, Any]:
        def read(connection: Connection) -> dict[str, Any]:
            id_ = find_member(connection, settings, member)
            tables = export_member(connection, settings.merchant, application.setting.sealer, id_)
            return {"member": id_, "exported_at": application.clock.now().isoformat(), "tables": tables}

        return await application.database.read(read)

    show_json(acting(settings, use))


@app.command()
def erase(
    context: typer.Context,
    member: Member,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Forget a member's personal data for ever; the anonymous ledger stays."""
    from stampcard.applying.erasing import erase_members
    from stampcard.applying.locking import lock_member
    from stampcard.applying.requests import Answer

    if not yes:
        typer.confirm(f"Erase {member}? Nobody can undo that.", abort=True, err=True)

    def work(unit: Unit, id_: str) -> Answer:
        lock_member(unit, id_)
        erase_members(unit, [id_])
        return Answer(status=204, body={"member": id_})

    show(f"member {_for_member(context, member, work).body['member']} is erased")


def _for_member(context: typer.Context, named: str, work: Any) -> Answer:
    from stampcard.cli.acting import act

    settings = settings_of(context)
    return act(settings, lambda unit: work(unit, find_member(unit.connection, settings, named)))


def _views(context: typer.Context, named: list[str] | None, after: str = "", limit: int = 0) -> list[dict[str, Any]]:
    from stampcard.cli.acting import acting
    from stampcard.storage.listing import members_after
    from stampcard_webhooks.showing import check_member, member_views

    settings = settings_of(context)

    async def use(application: Application) -> list[dict[str, Any]]:
        now = application.clock.now()

        def read(connection: Connection) -> list[dict[str, Any]]:
            if named is None:
                ids = members_after(connection, settings.merchant, after, limit)
            else:
                found = [find_member(connection, settings, one) for one in named]
                ids = [check_member(connection, application.setting, one) for one in found]
            views = member_views(connection, application.setting, ids, now)
            return [view.model_dump(mode="json") for view in views]

        return await application.database.read(read)

    return acting(settings, use)


def _after(unit: Unit, member: str, wallet: str) -> dict[str, Any]:
    """The wallet as it is now."""
    import msgspec

    from stampcard.domain.wallets import balance_of

    balance = balance_of(unit.wallets[member, wallet].sums, unit.scale_of(wallet))
    return {"member": member, "wallet": wallet, "balance": msgspec.structs.asdict(balance)}


def _tell(answer: Answer, json: bool) -> None:
    body = answer.body
    if json:
        show_json(body)
        return
    balance = body["balance"]
    active = figure(balance["active"], balance["scale"])
    show(f"{body['key']}: member {body['member']} has {active} active in {body['wallet']!r} now")


def _identities(view: Mapping[str, Any]) -> str:
    return ", ".join(f"{one['connection']}:{one['reference']}" for one in view["identities"])


def _balances(view: Mapping[str, Any], kinds: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [
        (wallet, *(str(figure(balance[kind], balance["scale"])) for kind in kinds))
        for wallet, balance in view["balances"].items()
    ]


def _spendable(view: Mapping[str, Any]) -> str:
    return ", ".join(f"{wallet} {active}" for wallet, active in _balances(view, ("active",)))

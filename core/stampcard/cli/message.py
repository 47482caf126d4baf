"""Messages to members: what became of them, previews and tests, sending to many, addresses that get none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stampcard.cli.invocation import opened, settings_of
from stampcard.cli.naming import find_member
from stampcard.cli.printing import moment, say, show, show_json, show_table
from stampcard.engine.reports import REPORTS

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from stampcard.applying.mailing import Estimate
    from stampcard.applying.requests import Answer
    from stampcard.applying.setting import Setting
    from stampcard.applying.unit import Unit
    from stampcard.settings import Settings

app = typer.Typer(help="Messages to members, and what became of them.", no_args_is_help=True)
suppressions = typer.Typer(help="Addresses that get no messages.", no_args_is_help=True)
app.add_typer(suppressions, name="suppression")
Json = Annotated[bool, typer.Option("--json", help="For other programs.")]
Name = Annotated[
    str, typer.Argument(metavar="MESSAGE", help="A message, by its name in the program.", show_default=False)
]
Program = Annotated[str, typer.Option(help="The program; by default the only one that has it.", show_default=False)]
Channel = Annotated[str, typer.Option(help="email, sms, inbox …")]
Member = Annotated[str, typer.Option(help="A member's id, or CONNECTION:REFERENCE.", show_default=False)]
Language = Annotated[str, typer.Option(help="A language such as nl; by default the member's.", show_default=False)]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="So many at most.")]
Id = Annotated[int, typer.Argument(metavar="ID", help="A message, as the list shows it.", show_default=False)]


@app.command("list")
def list_(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="One message only.", show_default=False)] = "",
    channel: Annotated[str, typer.Option(help="One channel only.", show_default=False)] = "",
    state: Annotated[
        str, typer.Option(help="waiting, dropped, unknown, sent, delivered, bounced …", show_default=False)
    ] = "",
    member: Annotated[str, typer.Option(help="One member only.", show_default=False)] = "",
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """List messages, the newest first."""
    from stampcard.storage.correspondence import Sought, messages_before
    from stampcard_webhooks.messages import MessageView, check_state, message_view

    settings = settings_of(context)
    check_state(state)

    def work(connection: Connection) -> list[MessageView]:
        who = _known_member(connection, settings, member) if member else ""
        sought = Sought(name=name, channel=channel, state=state, member=who)
        return [message_view(row) for row in messages_before(connection, settings.merchant, sought, None, limit)]

    with opened(settings) as database:
        found = database.read_now(work)
    if json:
        show_json([one.model_dump(mode="json") for one in found])
    elif not found:
        say("There is no such message.")
    else:
        rows = [
            (one.id, moment(one.created_at), one.name, one.channel, one.member, one.state, one.reason or "-")
            for one in found
        ]
        show_table([("ID", "SINCE", "MESSAGE", "CHANNEL", "MEMBER", "STATE", "WHY"), *rows])


def _known_member(connection: Connection, settings: Settings, named: str) -> str:
    """The id of the member who is meant, or was before a merge; raises NotFound for one who never was."""
    from stampcard.errors import NotFound
    from stampcard.storage.loading import standing_for

    who = find_member(connection, settings, named)
    if who not in standing_for(connection, settings.merchant, [who]):
        raise NotFound("member", named)
    return who


@app.command("show")
def show_(context: typer.Context, id_: Id, json: Json = False) -> None:
    """Show a message with everything that was told of it."""
    from stampcard.errors import NotFound
    from stampcard.storage.correspondence import one_message
    from stampcard.storage.messages import steps_of
    from stampcard_webhooks.messages import message_view

    settings = settings_of(context)
    with opened(settings) as database:
        row = database.read_now(lambda c: one_message(c, settings.merchant, id_))
        if row is None:
            raise NotFound("message", str(id_))
        steps = database.read_now(lambda c: steps_of(c, settings.merchant, [id_])).get(id_, [])
    from stampcard.clock import from_micros

    view = message_view(row).model_dump(mode="json")
    told = [(moment(from_micros(one.at)), one.state, one.code, one.detail) for one in steps]
    if json:
        show_json({**view, "steps": [dict(zip(("at", "state", "code", "detail"), one, strict=True)) for one in told]})
        return
    show_table([(name.replace("_", " "), value if value not in {"", None} else "-") for name, value in view.items()])
    if told:
        show_table(
            [
                ("AT", "STATE", "CODE", "DETAIL"),
                *((at, state, *(of or "-" for of in more)) for at, state, *more in told),
            ]
        )


@app.command()
def report(
    context: typer.Context,
    program: Program = "",
    first: Annotated[
        str, typer.Option("--from", help="The first day; by default the first of the month.", show_default=False)
    ] = "",
    last: Annotated[str, typer.Option("--to", help="The last day; by default today.", show_default=False)] = "",
    csv: Annotated[bool, typer.Option("--csv", help="For a spreadsheet.")] = False,
    json: Json = False,
) -> None:
    """What became of messages, by message, channel and language: `stampcard report messages`."""
    from stampcard.cli.report import tell

    tell(context, REPORTS["messages"], first, last, program, "", "", csv=csv, json=json)


@app.command()
def preview(
    context: typer.Context,
    name: Name,
    member: Member,
    program: Program = "",
    channel: Channel = "email",
    language: Language = "",
    html: Annotated[Path | None, typer.Option(help="Write the mail's HTML into this file.", show_default=False)] = None,
    json: Json = False,
) -> None:
    """Show a message as a member would get it, with made-up facts; nothing is sent."""
    from stampcard.applying.mailing import named_message
    from stampcard.applying.mailing import preview as previewed
    from stampcard.applying.unit import Unit
    from stampcard.clock import SystemClock

    settings = settings_of(context)
    now = SystemClock().now()

    def work(connection: Connection, setting: Setting) -> Any:
        live, terms = named_message(setting.programs, program, name, now)
        who = find_member(connection, settings, member)
        return previewed(Unit(connection, setting, now), live, name, terms, who, channel, language)

    found = _looked(settings, work)
    if html is not None:
        html.write_text(found.html, encoding="utf-8")
        say(f"wrote {html}")
    if json:
        show_json({one: getattr(found, one) for one in ("language", "direction", "to", "subject", "text", "html")})
        return
    say(f"To: {found.to or '(no address)'}   language: {found.language}, {found.direction}")
    if found.subject:
        show(f"Subject: {found.subject}\n")
    show(found.text)


@app.command("test")
def try_one(
    context: typer.Context,
    name: Name,
    to: Annotated[str, typer.Option(help="The one address that it goes to.", show_default=False)],
    member: Member,
    program: Program = "",
    channel: Channel = "email",
    language: Language = "",
) -> None:
    """Send a message to one address, to try it; `serve` lets it leave."""
    from stampcard.applying.mailing import named_message, send_test
    from stampcard.applying.requests import Answer
    from stampcard_webhooks.messages import check_address

    settings = settings_of(context)

    def work(unit: Unit) -> Answer:
        live, terms = named_message(unit.setting.programs, program, name, unit.now)
        who = find_member(unit.connection, settings, member)
        check_address(unit, live, channel, to)
        id_ = send_test(unit, live, name, terms, who, channel, to, language)
        return Answer(status=200, body={"id": str(id_)})

    body = _acted(settings, work).body
    show(f"the message {body['id']} is on its way; look: stampcard message show {body['id']}")


@app.command()
def send(
    context: typer.Context,
    name: Name,
    program: Program = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Send a message `on: by_hand` to everybody whom it is for, after an estimate. `stampcard stop message` stops it."""
    import secrets

    from stampcard.applying.mailing import mailing_name, named_message
    from stampcard.applying.requests import Answer
    from stampcard.clock import SystemClock
    from stampcard.errors import Conflict
    from stampcard.program.occasions import BY_HAND
    from stampcard.storage.jobs import begin_job

    settings = settings_of(context)
    now = SystemClock().now()

    def check(_: Connection, setting: Setting) -> tuple[str, str]:
        live, terms = named_message(setting.programs, program, name, now)
        if terms.on.event != BY_HAND:
            raise Conflict(
                "not_by_hand", f"{name} goes by itself, on {terms.on}: only one on {BY_HAND} is sent by people"
            )
        return live.name, live.program.currency

    of, currency = _looked(settings, check)
    told = _estimated(settings, of, name)
    say(f"{told.audience} members are meant.")
    for channel, count in told.reached.items():
        say(f"  {count} by {channel}")
    for why, count in told.dropped.items():
        say(f"  {count} will get nothing: {why}")
    if told.parts:
        cost = f", about {told.cost:f} {currency}" if told.cost is not None else ""
        say(f"  {told.parts} parts of texts{cost}")
    if not yes:
        typer.confirm("Send it?", abort=True, err=True)

    def work(unit: Unit) -> Answer:
        job = mailing_name(of, name, secrets.token_hex(6))
        begin_job(unit.connection, unit.setting.merchant, job, 0, unit.now)
        return Answer(status=200, body={})

    _acted(settings, work)
    show(f"{name} is being sent. Stop it: stampcard stop message {of}/{name}")


@app.command()
def settle(
    context: typer.Context,
    id_: Id,
    left: Annotated[bool, typer.Option("--left/--not-left", help="What you found out.", show_default=False)],
) -> None:
    """Say whether a message of unknown outcome left; what did not leave is sent now."""
    from stampcard.applying.requests import Answer
    from stampcard_webhooks.messages import settle as settled

    def work(unit: Unit) -> Answer:
        settled(unit, id_, left=left)
        return Answer(status=200, body={})

    _acted(settings_of(context), work)
    show(f"the message {id_} {'left' if left else 'did not leave, and is sent now'}")


@suppressions.command("list")
def list_suppressions(
    context: typer.Context,
    channel: Annotated[str, typer.Option(help="One channel only.", show_default=False)] = "",
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """List addresses that get nothing, the latest first."""
    from stampcard.app import open_sealer
    from stampcard.storage.correspondence import suppressions_before

    settings = settings_of(context)
    sealer = open_sealer(settings)
    with opened(settings) as database:
        found = database.read_now(lambda c: suppressions_before(c, settings.merchant, sealer, channel, None, limit))
    if json:
        show_json(
            [{n: getattr(one, n) for n in ("channel", "address", "reason", "at", "source", "note")} for one in found]
        )
    elif not found:
        say("Every address gets messages.")
    else:
        rows = [
            (one.channel, one.address or "(unknown)", one.reason, moment(one.at), one.source or "-") for one in found
        ]
        show_table([("CHANNEL", "ADDRESS", "WHY", "SINCE", "BY"), *rows])


@suppressions.command("add")
def add_suppression(
    context: typer.Context,
    address: Annotated[str, typer.Argument(help="An e-mail address or phone number.", show_default=False)],
    channel: Channel = "email",
    note: Annotated[str, typer.Option(help="Why.", show_default=False)] = "",
) -> None:
    """Let an address get nothing more."""
    from stampcard.applying.messaging import hold_back
    from stampcard.applying.requests import Answer

    def work(unit: Unit) -> Answer:
        _check_channel(unit, channel)
        hold_back(unit, channel, address, note, "cli")
        return Answer(status=200, body={})

    _acted(settings_of(context), work)
    show(f"{address} gets nothing more by {channel}")


def _check_channel(unit: Unit, channel: str) -> None:
    """Raise RequestRefused for a channel that no connection has and no message names."""
    from stampcard.errors import RequestRefused

    named = {
        one
        for live in unit.setting.programs.current(unit.now)
        for of in live.program.messages.values()
        for one in of.channels
    }
    known = {"email", "sms", *unit.setting.ways, *named}
    if channel not in known:
        raise RequestRefused("unknown_channel", f"{channel!r} is none of {', '.join(sorted(known))}")


@suppressions.command("remove")
def remove_suppression(
    context: typer.Context,
    address: Annotated[str, typer.Argument(help="An e-mail address or phone number.", show_default=False)],
    channel: Channel = "email",
) -> None:
    """Let an address get messages again; what its owner agreed to counts all the same."""
    from stampcard.applying.messaging import reach_print
    from stampcard.applying.requests import Answer
    from stampcard.errors import NotFound
    from stampcard.storage.correspondence import release

    def work(unit: Unit) -> Answer:
        if not release(unit.connection, unit.setting.merchant, channel, reach_print(unit.setting, channel, address)):
            raise NotFound("suppression", address)
        return Answer(status=200, body={})

    _acted(settings_of(context), work)
    show(f"{address} gets messages by {channel} again")


def _estimated(settings: Settings, program: str, name: str) -> Estimate:
    """The estimate of everybody."""
    from stampcard.app import Application
    from stampcard.cli.acting import acting, setting_of
    from stampcard_webhooks.messages import estimated

    async def use(application: Application) -> Estimate:
        setting, now = await setting_of(application), application.clock.now()
        live = next(live for live in setting.programs.current(now) if live.name == program)
        return await estimated(application, setting, live, name)

    return acting(settings, use)


def _looked(settings: Settings, work: Any) -> Any:
    """What a look at the database comes to, with what units of work need; nothing is called."""
    from stampcard.cli.acting import look

    return look(settings, work)


def _acted(settings: Settings, work: Any) -> Answer:
    from stampcard.cli.acting import act

    return act(settings, work)

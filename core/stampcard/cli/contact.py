"""People as CRMs know them: who is linked to whom, what people have to decide, and where both sides said different things."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stampcard.cli.invocation import opened, settings_of
from stampcard.cli.naming import find_member
from stampcard.cli.printing import moment, say, show, show_json, show_table

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from stampcard.applying.requests import Answer
    from stampcard.applying.unit import Unit
    from stampcard_webhooks.contacts import ConflictView, ContactView, State

app = typer.Typer(help="Contacts of CRMs: whose they are, and what was disputed.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="For other programs.")]
Name = Annotated[str, typer.Argument(metavar="CONNECTION", help="A connection to a CRM.", show_default=False)]
Reference = Annotated[str, typer.Argument(metavar="CONTACT", help="The CRM's id of a contact.", show_default=False)]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="So many at most.")]
_STATES = ("linked", "doubtful", "skipped", "gone")


@app.command("list")
def list_(
    context: typer.Context,
    name: Name,
    state: Annotated[str, typer.Option(help="linked, doubtful, skipped or gone.")] = "doubtful",
    why: Annotated[str, typer.Option(help="For one reason only, as the list shows it.", show_default=False)] = "",
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """List contacts; without any option those that people have to decide about."""
    from stampcard.storage.contacts import contacts_after
    from stampcard_webhooks.contacts import contact_view

    if state not in _STATES:
        raise typer.BadParameter(f"{state!r} is none of {', '.join(_STATES)}", param_hint="--state")
    wanted: State = state  # type: ignore[assignment]
    settings = settings_of(context)

    def work(connection: Connection) -> list[ContactView]:
        found = contacts_after(connection, settings.merchant, name, wanted, why, "", limit)
        return [contact_view(connection, settings.merchant, one) for one in found]

    with opened(settings) as database:
        found = database.read_now(work)
    if json:
        show_json([one.model_dump(mode="json") for one in found])
    elif not found:
        say(f"No contact of {name} is {state}{f' because of {why}' if why else ''}.")
    else:
        rows = [(one.reference, one.why, one.member or ", ".join(one.candidates), moment(one.since)) for one in found]
        show_table([("CONTACT", "WHY", "MEMBER" if state in {"linked", "gone"} else "MAY BE", "SINCE"), *rows])
        if state == "doubtful":
            say(f"Decide: stampcard contact link {name} CONTACT MEMBER, or stampcard contact part {name} CONTACT")


@app.command()
def link(
    context: typer.Context,
    name: Name,
    reference: Reference,
    member: Annotated[
        str, typer.Argument(metavar="MEMBER", help="A member's id, or CONNECTION:REFERENCE.", show_default=False)
    ],
) -> None:
    """Say that a contact is a member; both are compared then, field by field."""
    from stampcard.applying import linking
    from stampcard.applying.requests import Answer
    from stampcard.cli.acting import act

    settings = settings_of(context)

    def work(unit: Unit) -> Answer:
        who = find_member(unit.connection, settings, member)
        one = linking.link(unit, (name, reference), who)
        return Answer(status=200, body={"member": one.member}, member=one.member)

    body = act(settings, work).body
    show(f"the contact {reference} of {name} is {body['member']}")


@app.command()
def part(context: typer.Context, name: Name, reference: Reference) -> None:
    """Say that a contact is nobody here; what was written there stays. `link` undoes it."""
    from stampcard.applying import linking
    from stampcard.applying.requests import Answer
    from stampcard.cli.acting import act

    settings = settings_of(context)

    def work(unit: Unit) -> Answer:
        linking.part(unit, (name, reference))
        return Answer(status=200, body={})

    act(settings, work)
    show(f"the contact {reference} of {name} is nobody here")


@app.command()
def conflicts(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="[CONNECTION]", help="One CRM only.", show_default=False)] = "",
    member: Annotated[str, typer.Option(help="One member only.", show_default=False)] = "",
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """List fields of which both sides said something of their own, whose counted and why, the newest first."""
    from stampcard.app import open_sealer
    from stampcard.storage.contacts import disputes_before
    from stampcard_webhooks.contacts import conflict_view

    settings = settings_of(context)
    sealer = open_sealer(settings)

    def work(connection: Connection) -> list[ConflictView]:
        who = find_member(connection, settings, member) if member else ""
        found = disputes_before(connection, settings.merchant, sealer, name, who, None, limit)
        return list(map(conflict_view, found))

    with opened(settings) as database:
        found = database.read_now(work)
    if json:
        show_json([one.model_dump(mode="json") for one in found])
    elif not found:
        say("Both sides never said different things of one field.")
    else:
        rows = [
            (
                moment(one.at),
                one.connection,
                one.reference,
                one.member,
                one.field,
                one.ours,
                one.theirs,
                one.rule,
                one.kept,
            )
            for one in found
        ]
        show_table([("AT", "CRM", "CONTACT", "MEMBER", "FIELD", "OURS", "THEIRS", "RULE", "KEPT"), *rows])

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from stampcard.cli.invocation import FAILED
from stampcard.cli.printing import say, show, show_json
from stampcard.errors import ConfigurationError

if TYPE_CHECKING:
    from stampcard.app import Application
    from stampcard.host.connecting import ConnectionSpec
    from stampcard.settings import Settings
    from stampcard_webhooks.rehearsing import RehearsalView, RehearsedEvent


def rehearsed(
    settings: Settings, spec: ConnectionSpec, file: Path, headers: list[str], *, unsigned: bool, json: bool
) -> None:
    """Say what would become of a webhook; ends with 1 when it would not be let in or not be understood."""
    try:
        body = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(str(file), f"cannot be read ({error.strerror})") from None
    view = _view(settings, spec, body, dict(map(_header, headers)), unsigned=unsigned)
    if json:
        show_json(view.model_dump(mode="json"))
    else:
        _tell(view)
    if view.outcome in {"refused", "malformed"}:
        raise typer.Exit(FAILED)


def _header(written: str) -> tuple[str, str]:
    name, colon, value = written.partition(":")
    if not colon or not name.strip():
        raise typer.BadParameter(f"{written!r} is no header: write 'NAME: VALUE'", param_hint="--header")
    return name.strip(), value.strip()


def _view(
    settings: Settings, spec: ConnectionSpec, body: bytes, headers: dict[str, str], *, unsigned: bool
) -> RehearsalView:
    from stampcard.cli.acting import acting
    from stampcard.host.connecting import connect_one, disconnect_all
    from stampcard.host.plugging import Forgetful
    from stampcard_webhooks.rehearsing import rehearse, request_of

    async def use(application: Application) -> RehearsalView:
        # A connection of its own, whose plugin can write nothing down.
        resources = replace(application.resources, open_store=lambda _: Forgetful())
        connection = await connect_one(spec, application.table, resources)
        try:
            request = request_of(application, spec.name, headers, body)
            # A command has no way to any vendor, so no plugin can be asked for facts.
            return await rehearse(application, connection, request, unsigned=unsigned, ask=False)
        finally:
            await disconnect_all({spec.name: connection})

    return acting(settings, use)


def _tell(view: RehearsalView) -> None:
    show(f"signature     {view.signature}")
    if view.key:
        show(f"topic         {view.topic or '(none)'}")
        show(f"delivery key  {view.key}")
    for number, event in enumerate(view.events, 1):
        show(f"{number}. {event.kind}: {event.about}")
        for line in _words(event):
            show(f"   {line}")
    if view.outcome == "ignored":
        show("It tells nothing that matters here.")
    if view.outcome == "answered":
        show("It is a challenge or a ping: it would be answered, and nothing kept.")
    if view.problem:
        say(f"{view.outcome}: {view.problem}")


def _words(event: RehearsedEvent) -> list[str]:
    if event.problem:
        return [f"would come to nothing: {event.problem}"]
    if event.would is None:
        return []
    known = "" if not event.would.is_new else "somebody new: shares and variants may come out otherwise"
    return [*event.would.words, *filter(None, [known])]

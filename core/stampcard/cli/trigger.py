from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from stampcard.cli.invocation import FAILED, UNREACHABLE, USAGE, settings_of
from stampcard.cli.printing import say, show, show_json, show_table
from stampcard.errors import ConfigurationError, InvalidSettings, NotFound

if TYPE_CHECKING:
    import httpx

    from stampcard.host.connecting import ConnectionSpec
    from stampcard.settings import Settings
    from stampcard.testing.simulator import SignedRequest

#: Seconds that the server may take to answer.
PATIENCE = 15.0

#: What an answer other than 2xx means here.
HINTS = {
    401: "The server checks with other secrets: restart it if connections.{name} was changed since it started.",
    404: "The server has no such connection: restart it if connections.{name} was added since it started.",
    413: "See http.max_body.",
    503: "The connection is not ready: stampcard connection test {name}",
}


def trigger(
    context: typer.Context,
    topic: Annotated[
        str | None, typer.Argument(metavar="TOPIC", help="What shall have happened.", show_default=False)
    ] = None,
    connection: Annotated[
        str | None, typer.Option(help="Which connection; needed when there are several.", show_default=False)
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="The server's address; otherwise http.host and http.port.", show_default=False)
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the topics.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before what erases or ends a connection.")] = False,
    json: Annotated[bool, typer.Option("--json", help="For other programs.")] = False,
) -> None:
    """Send a made-up webhook, signed as the connection's vendor would, to the running server.

    It counts like a real one: a made-up customer becomes a member. Ends with 4 if nothing listens, 1 if it is refused.
    """
    if list_:
        _list(json=json)
        return
    if topic is None:
        say("error: name a topic. See: stampcard trigger --list")
        raise typer.Exit(USAGE)
    from stampcard.cli.serving import address_of

    settings = settings_of(context)
    spec = _chosen(settings, connection)
    path = f"/webhooks/{quote(spec.name)}"
    # Whatever way it goes there: the server takes the address that its settings tell for the one that is signed.
    request = _sample(spec, topic, settings.http.base_url + path, yes=yes)
    address = (url or address_of(settings.http)).rstrip("/") + path
    answer = _send(address, request)
    if json:
        show_json({"url": address, "topic": topic, "status": answer.status_code, "answer": answer.text})
    else:
        _tell(answer, spec.name, topic)
    if not answer.is_success:
        raise typer.Exit(FAILED)


def _list(*, json: bool) -> None:
    from stampcard.cli.simulators import simulated_vendors, simulator_of

    topics = [(vendor, topic) for vendor in simulated_vendors() for topic in simulator_of(vendor).build(0).topics()]
    if json:
        show_json([{"plugin": vendor, "topic": topic} for vendor, topic in topics])
    else:
        show_table([("PLUGIN", "TOPIC"), *topics])


def _chosen(told: Settings, name: str | None) -> ConnectionSpec:
    """The named connection, or the only one whose vendor can be simulated and that takes webhooks in."""
    from stampcard.cli.plugging import with_plugged
    from stampcard.cli.simulators import simulated_vendors, simulator_of

    settings = with_plugged(told)
    possible = {spec.name: spec for spec in settings.specs() if spec.plugin in simulated_vendors()}
    if name is not None:
        if name not in {spec.name for spec in settings.specs()}:
            raise NotFound("connection", name)
        if name not in possible:
            (plugin,) = (spec.plugin for spec in settings.specs() if spec.name == name)
            raise NotFound("simulator of", plugin)
        return possible[name]
    possible = {
        name: spec for name, spec in possible.items() if not simulator_of(spec.plugin).build(0).unfit(spec.settings)
    }
    if not possible:
        known = ", ".join(simulated_vendors())
        raise ConfigurationError("connections", f"none is of a plugin that can be simulated ({known})")
    if len(possible) > 1:
        say(f"error: say which --connection: {', '.join(sorted(possible))}")
        raise typer.Exit(USAGE)
    return next(iter(possible.values()))


def _sample(spec: ConnectionSpec, topic: str, target: str, *, yes: bool) -> SignedRequest:
    """A webhook of the topic to that address, signed with the connection's own secrets."""
    import secrets

    from stampcard.cli.simulators import simulator_of
    from stampcard.host.discovering import discover
    from stampcard.host.sections import plugin_for, read_settings, revealed

    simulator = simulator_of(spec.plugin).build(secrets.randbits(32))
    if topic not in simulator.topics():
        raise NotFound("topic", topic)
    if topic in simulator.drastic() and not yes:
        question = f"{topic} ends {spec.name!r} or erases what came from it, on the server that gets it. Send it?"
        typer.confirm(question, abort=True, err=True)
    section, problems = read_settings(spec.name, plugin_for(spec.name, spec.plugin, discover()).manifest, spec.settings)
    if section is None:
        raise InvalidSettings(problems)
    told = revealed(section)
    if why := simulator.unfit(told):
        raise ConfigurationError(f"connections.{spec.name}", why)
    simulator.target_url = target
    return simulator.sample(topic, settings=told)


def _send(address: str, request: SignedRequest) -> httpx.Response:
    import httpx

    try:
        return httpx.post(
            address, content=request.body, headers=dict(request.headers), timeout=PATIENCE, trust_env=False
        )
    except httpx.TransportError as error:
        say(f"error: nothing answers at {address} ({type(error).__name__}). Start it: stampcard serve")
    except httpx.InvalidURL as error:
        say(f"error: {address} is no address: {error}")
        raise typer.Exit(USAGE) from None
    raise typer.Exit(UNREACHABLE)


def _tell(answer: httpx.Response, name: str, topic: str) -> None:
    if answer.is_success:
        show(f"{topic} was taken in ({answer.status_code}). See what it did: stampcard connection show {name}")
        return
    say(f"refused with {answer.status_code}: {_detail(answer)}")
    hint = HINTS.get(answer.status_code)
    if hint:
        say(hint.format(name=name))


def _detail(answer: httpx.Response) -> str:
    """The problem's own words, or the beginning of whatever came."""
    try:
        body: Any = answer.json()
    except ValueError:
        return answer.text[:200]
    return str(body.get("detail", answer.text[:200])) if isinstance(body, dict) else answer.text[:200]

"""Connections that are added, changed and removed while Stampcard is there, from the command line."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stampcard.cli.invocation import UNREACHABLE, opened, settings_of
from stampcard.cli.printing import say, show, show_json
from stampcard.errors import ConfigurationError, InvalidSettings, NotFound, PluginError, RequestRefused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stampcard.host.connecting import ConnectionSpec
    from stampcard.host.discovering import PluginTable
    from stampcard.plugin.manifest import PluginManifest
    from stampcard.sealing import Sealer
    from stampcard.settings import Settings
    from stampcard.storage.plugging import Plugged

Json = Annotated[bool, typer.Option("--json", help="For other programs; nothing is asked.")]
Values = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="A setting of the plugin; repeatable.", show_default=False),
]
Files = Annotated[
    list[str],
    typer.Option(
        "--from-file",
        metavar="KEY=PATH",
        help="A setting that is the text of a file: for secrets, which nobody should see among the running programs.",
        show_default=False,
    ),
]
Untested = Annotated[bool, typer.Option("--no-test", help="Do not ask the vendor whether all is well.")]
Orders = Annotated[
    str,
    typer.Option("--orders-of", metavar="CONNECTION", help="Whose orders it reports, too.", show_default=False),
]
_FILE = "stampcard.toml or the environment"
_DATABASE = "the database"


def with_plugged(settings: Settings) -> Settings:
    """The settings with the connections of the database, as far as it can be read."""
    from stampcard.app import open_sealer
    from stampcard.storage.plugging import load_plugged

    try:
        sealer = open_sealer(settings)
        with opened(settings) as database:
            found = database.read_now(lambda connection: load_plugged(connection, settings.merchant, sealer))
    except (ConfigurationError, Unavailable):
        return settings
    return settings.with_plugged({one.name: one.section for one in found})


def add(
    context: typer.Context,
    plugin: Annotated[
        str, typer.Argument(metavar="PLUGIN", help="What it speaks to: see `plugin list`.", show_default=False)
    ],
    name: Annotated[
        str,
        typer.Option(help="What it is called, also in its webhook's address; else as the plugin.", show_default=False),
    ] = "",
    values: Values = [],  # noqa: B006 - typer makes a new one each time
    files: Files = [],  # noqa: B006
    orders_of: Orders = "",
    no_test: Untested = False,
    json: Json = False,
) -> None:
    """Add a connection: asks what is missing, tests it, and plugs it in on every running process within a second."""
    from stampcard.cli.asking import is_person
    from stampcard.cli.backfilling import offer
    from stampcard.cli.syncing import announce
    from stampcard.clock import SystemClock
    from stampcard.host.connecting import ConnectionSpec
    from stampcard.host.plugging import check_name, check_orders_of
    from stampcard.host.sections import plugin_for
    from stampcard.storage.plugging import Plugged

    settings, sealer, table = ready(context)
    name = name or plugin
    manifest = plugin_for(name, plugin, table).manifest
    known = _known(settings, sealer)
    check_name(name, {**dict.fromkeys(known, _DATABASE), **dict.fromkeys(settings.connections, _FILE)})
    check_orders_of(name, orders_of, settings.with_plugged({n: one.section for n, one in known.items()}).sources())
    section = _given(values, files)
    if is_person() and not json:
        section = _asked(manifest, section)
    spec = ConnectionSpec(name=name, plugin=plugin, settings=section)
    to_do = _check(settings, table, spec, test=not no_test, ask=is_person() and not json, fresh=True)
    now = SystemClock().now()
    _save(settings, sealer, Plugged(
        name=name, plugin=plugin, settings=section, added_at=now, changed_at=now, orders_of=orders_of, author=_user(),
    ))  # fmt: skip
    _tell(settings, table, spec, json=json, done="is plugged in", to_do=to_do)
    if not no_test and not json and not to_do:
        _subscribe(settings, table, spec, ask=is_person())
        announce(settings, table, spec)
        if is_person():
            offer(settings, table, spec)


def _subscribe(settings: Settings, table: PluginTable, spec: ConnectionSpec, *, ask: bool) -> None:
    """Let the vendor send its webhooks here, where it lets us say so and the outside can reach us."""
    from stampcard.cli.subscribing import audited, lines, webhook_address

    try:
        address = webhook_address(settings, spec.name)
        audit = asyncio.run(audited(settings, table, spec, address, None))
        if audit is None:
            return
        if (
            audit.missing
            and ask
            and typer.confirm(f"Let the vendor send {len(audit.missing)} topics there?", default=True, err=True)
        ):
            audit = asyncio.run(audited(settings, table, spec, address, frozenset())) or audit
    except ConfigurationError:
        return  # that it is missing was told
    except PluginError as error:
        say(f"Its webhooks could not be looked at: {error}")
        return
    for line in lines(spec.name, address, audit, ()):
        show(line)


def change(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="CONNECTION", help="A connection of the database.", show_default=False)
    ],
    values: Values = [],  # noqa: B006
    files: Files = [],  # noqa: B006
    unset: Annotated[
        list[str], typer.Option("--unset", metavar="KEY", help="Back to its default; repeatable.", show_default=False)
    ] = [],  # noqa: B006
    no_test: Untested = False,
    json: Json = False,
) -> None:
    """Change settings of a connection that was added: a new secret, say. What is not named stays."""
    from stampcard.cli.asking import is_person
    from stampcard.clock import SystemClock
    from stampcard.domain.value import replace
    from stampcard.host.connecting import ConnectionSpec
    from stampcard.host.plugging import changed

    settings, sealer, table = ready(context)
    one = stored(settings, sealer, name)
    given = _given(values, files)
    if not given and not unset:
        raise typer.BadParameter("say what to change: --set KEY=VALUE, --from-file KEY=PATH or --unset KEY")
    section = changed(one.settings, given, unset)
    spec = ConnectionSpec(name=name, plugin=one.plugin, settings=section)
    to_do = _check(settings, table, spec, test=not no_test, ask=is_person() and not json)
    _save(settings, sealer, replace(one, settings=section, changed_at=SystemClock().now(), author=_user()))
    _tell(settings, table, spec, json=json, done="was changed", to_do=to_do)


def ready(context: typer.Context) -> tuple[Settings, Sealer, PluginTable]:
    """What commands about connections begin with."""
    from stampcard.app import open_sealer
    from stampcard.cli.logging import quiet
    from stampcard.host.discovering import discover

    quiet()
    settings = settings_of(context)
    return settings, open_sealer(settings), discover()


def _user() -> str:
    from stampcard.cli.people import user

    return user()


def _known(settings: Settings, sealer: Sealer) -> Mapping[str, Plugged]:
    from stampcard.storage.plugging import load_plugged

    with opened(settings, create=True) as database:
        found = database.read_now(lambda connection: load_plugged(connection, settings.merchant, sealer))
    return {one.name: one for one in found}


def stored(settings: Settings, sealer: Sealer, name: str) -> Plugged:
    """A connection of the database; raises NotFound, RequestRefused for one of the settings file."""
    if name in settings.connections:
        raise RequestRefused("of_the_file", f"{name!r} stands in {_FILE}: change it there, and restart")
    known = _known(settings, sealer)
    if name not in known:
        raise NotFound("connection", name)
    return known[name]


def _given(values: Sequence[str], files: Sequence[str]) -> dict[str, Any]:
    """The settings that flags say."""
    from stampcard.host.plugging import plain

    found: dict[str, Any] = {}
    for pair, flag in (*((one, "--set") for one in values), *((one, "--from-file") for one in files)):
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise typer.BadParameter(
                f"{key!r} is not KEY={'PATH' if flag == '--from-file' else 'VALUE'}", param_hint=flag
            )
        if flag == "--from-file":
            try:
                text = Path(text).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "not text in UTF-8"
                raise typer.BadParameter(f"{text} cannot be read ({reason})", param_hint=flag) from None
        found[key] = plain(text)
    return found


def _asked(manifest: PluginManifest, section: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with what a person says of those that the plugin asks for and no flag gave."""
    from stampcard.host.plugging import is_secret_setting, plain, questions

    given = dict(section)
    for key in questions(manifest):
        if key in given:
            continue
        field = manifest.settings.model_fields[key]
        if field.description:
            say(f"{key}: {field.description}")
        optional = not field.is_required()
        written = typer.prompt(
            f"{key} (empty: none)" if optional else key,
            default="" if optional else None,
            show_default=False,
            hide_input=is_secret_setting(manifest, key),
            err=True,
        )
        if written.strip():
            given[key] = plain(written.strip())
    return given


def _check(
    settings: Settings, table: PluginTable, spec: ConnectionSpec, *, test: bool, ask: bool, fresh: bool = False
) -> str:
    """Look whether the settings are right and the vendor answers; whoever is asked may keep what does not work yet.

    Answers what a person is still to do in a browser, if that is all that is missing.
    """
    from stampcard.cli.findings import connection_findings
    from stampcard.host.plugging import checked

    try:
        checked(spec, table)
    except InvalidSettings as error:
        raise InvalidSettings([_as_flag(problem, spec.name) for problem in error.problems]) from None
    if not test:
        return ""
    finding, *_ = asyncio.run(connection_findings(settings, table, [spec], fresh=fresh))
    if finding.level != "unreachable":
        return finding.text if finding.level == "warning" else ""
    say(f"{spec.name}: {finding.text}")
    if not ask:
        say("Nothing was changed. Mend it, or leave the test out: --no-test")
        raise typer.Exit(UNREACHABLE)
    typer.confirm("Keep it all the same?", abort=True, err=True)
    return ""


def _as_flag(problem: ConfigurationError, name: str) -> ConfigurationError:
    """What is wrong, as somebody mends it who typed it here."""
    key = problem.setting.removeprefix(f"connections.{name}").lstrip(".")
    if problem.problem != "is missing":
        return problem
    table, dot, _ = key.partition(".")
    if dot:
        return ConfigurationError(problem.setting, problem.problem, f"It belongs into the JSON of --set {table}=…")
    return ConfigurationError(
        problem.setting, problem.problem, f"Say --set {key}=…, or --from-file {key}=PATH for a secret"
    )


def _save(settings: Settings, sealer: Sealer, one: Plugged) -> None:
    from stampcard.storage.plugging import save_plugged

    with opened(settings) as database:
        database.write_now(lambda connection: save_plugged(connection, settings.merchant, sealer, one))


def _tell(
    settings: Settings, table: PluginTable, spec: ConnectionSpec, *, json: bool, done: str, to_do: str = ""
) -> None:
    """Say that it is done, where webhooks go, and what is still missing."""
    from stampcard.host.plugging import checked, without_secrets_of

    base = settings.http.public_url
    address = f"{base or 'https://YOUR-HOST'}/webhooks/{spec.name}"
    missing = [] if base else ["http.public_url: say in stampcard.toml how the outside reaches this installation"]
    missing += [to_do] if to_do else []
    if json:
        shown = without_secrets_of(checked(spec, table))
        show_json({"name": spec.name, "plugin": spec.plugin, "settings": shown, "webhook": address, "missing": missing})
        return
    show(f"{spec.name} {done}; every running process uses it within a second")
    show(f"Its webhooks go to {address}")
    for line in missing:
        say(f"Still missing: {line}")

"""What `check` looks at; each part answers findings and raises nothing for what it finds."""

from __future__ import annotations

import stat
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from difflib import unified_diff
from pathlib import Path
from typing import Any, Literal

import httpx
import structlog

from stampcard.app import open_sealer
from stampcard.cli.invocation import opened, reached
from stampcard.clock import SystemClock
from stampcard.domain.value import Value
from stampcard.errors import ConfigurationError, InvalidSettings, PluginError, ProgramError, StampcardError, Unavailable
from stampcard.host.connecting import (
    Connection,
    ConnectionSpec,
    Resources,
    connect_all,
    connect_one,
    disconnect_all,
)
from stampcard.host.dialling import guarded_dial
from stampcard.host.discovering import PluginTable
from stampcard.host.guarding import guarded_client
from stampcard.host.plugging import Forgetful, health_of, without_secrets_of
from stampcard.host.sections import HIDDEN, plugin_for, read_settings
from stampcard.plugin import PassSettings, PassSink
from stampcard.plugin.capabilities import Capabilities
from stampcard.plugin.connections import NoPasses, Store
from stampcard.program.model import Program
from stampcard.sealing import read_keys
from stampcard.settings import Settings
from stampcard.storage import migrating
from stampcard.storage.planning import standing_texts
from stampcard.storage.programming import read_file, stored_versions
from stampcard.storage.stating import SealedStore

Level = Literal["ok", "warning", "problem", "unreachable"]
#: Takes each answer of a vendor.
Heard = Callable[[httpx.Response], None]

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Finding(Value, frozen=True):
    """One thing that was looked at: `about` names it, `text` says how it is."""

    level: Level
    about: str
    text: str
    #: Whether what is looked at does what it is for.
    works: bool = True


class Shown(Value, frozen=True):
    """A setting as it may be shown, and where it was set."""

    setting: str
    value: Any
    origin: str


def shown_settings(settings: Settings, origin: Callable[[str], str], table: PluginTable) -> Iterator[Shown]:
    """Every setting with its origin, secrets masked."""
    written = settings.model_dump(mode="json", exclude={"connections"})
    for name, value in written.items():
        inner = value.items() if isinstance(value, dict) else ()
        for key, part in inner:
            yield Shown(setting=f"{name}.{key}", value=part, origin=origin(f"{name}.{key}"))
        if not isinstance(value, dict):
            yield Shown(setting=name, value=value, origin=origin(name))
    for spec in settings.specs():
        above = f"connections.{spec.name}"
        ours = {key: settings.connections[spec.name].get(key) for key in ("plugin", "orders_of")}
        for key, value in {**ours, **_masked_section(spec, table)}.items():
            if value is not None:
                yield Shown(setting=f"{above}.{key}", value=value, origin=origin(f"{above}.{key}"))


def wrong_settings(error: ConfigurationError) -> list[Finding]:
    """What makes settings unusable, one finding for each."""
    return [_wrong(one) for one in (error.problems if isinstance(error, InvalidSettings) else (error,))]


def key_findings(settings: Settings) -> Iterator[Finding]:
    """Whether the keys are there, whole and private."""
    if settings.keys is not None:
        try:
            open_sealer(settings)
        except ConfigurationError as error:
            yield Finding(level="problem", about="keys", text=error.problem)
        else:
            yield Finding(level="ok", about="keys", text="given by the environment")
        return
    path = settings.key_file
    try:
        read_keys(path.read_text(encoding="utf-8"))
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text in UTF-8"
        text = f"{path} cannot be read ({reason}). Make one by: stampcard init"
        yield Finding(level="problem", about="key_file", text=text)
    except ConfigurationError as error:
        yield Finding(level="problem", about="key_file", text=f"{path}: {error.problem}")
    else:
        if mode & _OTHERS:
            text = f"{path} is open to other users (mode {stat.S_IMODE(mode):04o}). Run: chmod 600 {path}"
            yield Finding(level="warning", about="key_file", text=text)
        else:
            yield Finding(level="ok", about="key_file", text=str(path))


def program_findings(files: Sequence[Path], stored: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """Whether each program file is right, and whether it is what the database has.

    `stored`: program → the text that is valid, then those that are planned.
    """
    owners: dict[str, Path] = {}
    if not files and not stored:
        yield Finding(level="problem", about="programs", text="no file is there. Write one by: stampcard init")
    for path in files:
        try:
            program, text = read_file(path)
        except ProgramError as error:
            yield from (Finding(level="problem", about=str(path), text=str(problem)) for problem in error.problems)
        except ConfigurationError as error:
            # What the database has works without its draft.
            yield Finding(level="warning" if stored else "problem", about=error.setting, text=error.problem)
        else:
            yield from _clashes(program, path, owners)
            yield _compared(program.program, path, text, stored)


def section_findings(specs: Sequence[ConnectionSpec], table: PluginTable) -> Iterator[Finding]:
    """Everything that is wrong with the connections' sections."""
    for spec in specs:
        about = f"connections.{spec.name}"
        try:
            manifest = plugin_for(spec.name, spec.plugin, table).manifest
        except ConfigurationError as error:
            yield _wrong(error)
            continue
        _, problems = read_settings(spec.name, manifest, spec.settings)
        yield from map(_wrong, problems)
        if not problems:
            yield Finding(level="ok", about=about, text=f"plugin {spec.plugin}")


def stored_programs(settings: Settings) -> Mapping[str, Sequence[str]]:
    """What is valid of each program in the database, and what is planned; raises what reaching it raises."""
    with reached(settings) as database:
        if database.read_now(migrating.current) != migrating.head():
            return {}
        versions = database.read_now(lambda connection: stored_versions(connection, settings.merchant))
    return standing_texts(versions, SystemClock().now())


def database_findings(settings: Settings) -> Iterator[Finding]:
    """Whether the database can be reached and has the shape that this version needs."""
    try:
        with reached(settings, create=True) as database:
            if database.path is not None and not database.path.exists():
                yield Finding(level="ok", about="database", text=f"{database.path} will be made at the first start")
                return
            found, needed = database.read_now(migrating.current), migrating.head()
    except Unavailable as error:
        yield Finding(level="unreachable", about="database", text=str(error))
    except ConfigurationError as error:
        yield _wrong(error)
    else:
        yield _shape(found, needed, upgraded_at_start=database.is_sqlite)


async def connection_findings(
    settings: Settings,
    table: PluginTable,
    specs: Sequence[ConnectionSpec] | None = None,
    *,
    fresh: bool = False,
    heard: Heard = lambda _: None,
) -> list[Finding]:
    """Connect every connection whose section is right, or these, and ask each how it is; `fresh`: none was there before.

    `heard` takes each answer of a vendor.
    """
    sound = [
        spec
        for spec in (settings.specs() if specs is None else specs)
        if not any(f.level == "problem" for f in section_findings([spec], table))
    ]
    with trial_resources(settings, fresh=fresh, heard=heard) as resources:
        connections = await connect_all(sound, table, resources)
        try:
            found = [await _health(connection) for connection in connections.values()]
            if specs is None:
                found += channel_findings(settings.program_files(), connections.values())
                found += wallet_findings(settings.program_files(), connections.values())
            webhooks = [one for connection in connections.values() async for one in _webhooks(connection, settings)]
            return [*found, *webhooks]
        finally:
            await disconnect_all(connections)


def channel_findings(files: Sequence[Path], connections: Iterable[Connection]) -> Iterator[Finding]:
    """Messages of programs by channels that no connection has; nothing where a connection could not say what it has."""
    capable = [connection.capabilities for connection in connections]
    if None in capable:
        return
    known = {channel.name for has in capable if has is not None for channel in has.channels}
    for path in files:
        with suppress(ProgramError, ConfigurationError):
            program, _ = read_file(path)
            lacking: dict[str, list[str]] = {}
            for name, terms in program.messages.items():
                for channel in set(terms.channels) - known if terms.enabled else ():
                    lacking.setdefault(channel, []).append(name)
            for channel, names in sorted(lacking.items()):
                text = f"no connection sends by {channel!r}, as {', '.join(names)} would. Add one: stampcard connection add"
                yield Finding(level="warning", about=f"programs.{program.program}", text=text)


def wallet_findings(files: Sequence[Path], connections: Iterable[Connection]) -> Iterator[Finding]:
    """Phones' wallets whose program no file has, or whose cards lack what the vendor wants."""
    programs: dict[str, Program] = {}
    try:
        for path in files:
            program, _ = read_file(path)
            programs[program.program] = program
    except (ProgramError, ConfigurationError):  # which is told, and what it is of is not known
        return
    for connection in connections if programs else ():
        sink = next((sink for sink in connection.sinks if isinstance(sink, PassSink)), None)
        if sink is None or not isinstance(connection.settings, PassSettings):
            continue
        name = connection.settings.program
        if name and name not in programs:
            there = f"there is no file of a program {name!r}; there is: {', '.join(sorted(programs))}"
            yield Finding(level="warning", about=f"connections.{connection.name}.program", text=there)
        meant = programs.get(name) if name or len(programs) > 1 else next(iter(programs.values()))
        if meant is not None and sink.needs_logo and not (meant.card.logo or meant.sending.logo):
            text = f"{sink.title} takes no card without a logo. Give the program one: card, logo"
            yield Finding(level="warning", about=f"programs.{meant.program}", text=text)


@asynccontextmanager
async def connected(settings: Settings, table: PluginTable, spec: ConnectionSpec) -> AsyncIterator[Capabilities]:
    """What one connection can do, to ask it something; raises PluginError where it cannot be connected."""
    with trial_resources(settings) as resources:
        connection = await connect_one(spec, table, resources)
        try:
            if connection.capabilities is None:
                raise PluginError(spec.plugin, connection.problem)
            yield connection.capabilities
        finally:
            await disconnect_all({spec.name: connection})


@contextmanager
def trial_resources(settings: Settings, *, fresh: bool = False, heard: Heard = lambda _: None) -> Iterator[Resources]:
    """What connections get for a look at how they are: their own stores, as far as those can be reached.

    `fresh`: they are not connected yet, and leave nothing behind. `heard` takes each answer of a vendor.
    """

    async def note(answer: httpx.Response) -> None:
        heard(answer)

    def client(hosts: Sequence[str]) -> httpx.AsyncClient:
        calling = guarded_client(settings.security.outbound_allow, hosts)
        calling.event_hooks = {"response": [note]}
        return calling

    with ExitStack() as stack:
        open_store: Callable[[str], Store] = lambda _: Forgetful()  # noqa: E731 - the other one needs what was opened
        if not fresh:
            with suppress(ConfigurationError, Unavailable):
                sealer, database = open_sealer(settings), stack.enter_context(opened(settings))
                open_store = lambda name: SealedStore(database, settings.merchant, name, sealer)  # noqa: E731
        yield Resources(
            clock=SystemClock(),
            log=structlog.wrap_logger(structlog.PrintLogger(sys.stderr)),
            public_url=settings.http.base_url,
            open_store=open_store,
            open_http=client,
            open_passes=lambda _: NoPasses(),
            open_dial=lambda hosts: guarded_dial(settings.security.outbound_allow, hosts),
        )


def _shape(found: str, needed: str, *, upgraded_at_start: bool) -> Finding:
    if found == needed:
        return Finding(level="ok", about="database", text=f"shape {found}")
    text = f"has shape {found or 'none'}, this version needs {needed}. Run: stampcard db upgrade"
    return Finding(level="warning" if upgraded_at_start else "problem", about="database", text=text)


async def _webhooks(connection: Connection, settings: Settings) -> AsyncIterator[Finding]:
    """What the vendor does not send here, as far as it can be asked."""
    from stampcard.cli.subscribing import topics_heard, webhook_address

    subscriptions = connection.capabilities.subscriptions if connection.capabilities is not None else None
    if subscriptions is None:
        return
    about = f"connections.{connection.name}"
    try:
        audit = await subscriptions.look(webhook_address(settings, connection.name))
    except ConfigurationError as error:
        text = f"{error.setting} {error.problem}, so no webhook comes. {error.remedy}"
        yield Finding(level="warning", about=about, text=text)
        return
    except PluginError:
        return  # that the vendor does not answer was told
    heard = topics_heard(settings, connection.name)
    missing = [topic for topic in audit.missing if topic not in heard]
    if missing or audit.wrong:
        wrong = [f"{one.topic} {one.problem}" for one in audit.wrong]
        text = "; ".join([*([f"webhooks are missing: {', '.join(missing)}"] if missing else []), *wrong])
        text = f"{text}. Set it right: stampcard connection webhooks {connection.name} --fix"
        yield Finding(level="warning", about=about, text=text)


async def _health(connection: Connection) -> Finding:
    about = f"connections.{connection.name}"
    health = await health_of(connection)
    if health is None:
        return Finding(level="ok", about=about, text="connected; its plugin has no check of its own")
    if health.ok:
        return Finding(level="warning" if health.problem else "ok", about=about, text=health.problem or "connected")
    opens = f". Open {health.open}" if health.open and health.open not in health.problem else ""
    level: Level = "warning" if health.open else "unreachable"
    return Finding(level=level, about=about, text=f"{health.problem}{opens}", works=False)


def _wrong(error: ConfigurationError) -> Finding:
    text = f"{error.problem}. {error.remedy}" if error.remedy else error.problem
    return Finding(level="problem", about=error.setting, text=text)


def _clashes(program: Program, path: Path, owners: dict[str, Path]) -> Iterator[Finding]:
    for what in (f"program {program.program!r}", *(f"wallet {name!r}" for name in program.wallets)):
        if what in owners:
            yield Finding(level="problem", about=str(path), text=f"{what} is in {owners[what]} already")
        owners[what] = path


def _compared(program: str, path: Path, text: str, stored: Mapping[str, Sequence[str]]) -> Finding:
    about = str(path)
    if program not in stored:
        waits = f"is not in the database yet. Run: stampcard program apply {path}" if stored else "is right"
        return Finding(level="warning" if stored else "ok", about=about, text=f"program {program!r} {waits}")
    valid, *planned = stored[program]
    if text in stored[program]:
        is_ = "planned" if text in planned and text != valid else "valid"
        return Finding(level="ok", about=about, text=f"program {program!r} is {is_} as it stands here")
    lines = sum(line[:1] in "+-" for line in list(unified_diff(valid.split("\n"), text.split("\n"), n=0))[2:])
    differs = f"program {program!r} differs from what is valid in {lines} line{'s' * (lines != 1)}. See: stampcard program diff {path}"
    return Finding(level="warning", about=about, text=differs)


def _masked_section(spec: ConnectionSpec, table: PluginTable) -> dict[str, Any]:
    try:
        manifest = plugin_for(spec.name, spec.plugin, table).manifest
        settings, _ = read_settings(spec.name, manifest, spec.settings)
    except StampcardError:
        settings = None
    if settings is None:
        # Without its plugin nobody knows which of them are secret.
        return dict.fromkeys(spec.settings, HIDDEN)
    return without_secrets_of(settings)

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from stampcard.cli.invocation import FAILED, opened, settings_with_origins
from stampcard.cli.printing import say, show, show_json
from stampcard.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stampcard.cli.findings import Finding
    from stampcard.cli.timekeeping import Told
    from stampcard.settings import Settings


def doctor(
    context: typer.Context,
    offline: Annotated[bool, typer.Option("--offline", help="Ask nobody over the network.")] = False,
    json: Annotated[bool, typer.Option("--json", help="For other programs.")] = False,
) -> None:
    """Look at everything, and say of each thing that is not right what to do; ends with 1 when there is any."""
    from stampcard.cli.findings import wrong_settings

    try:
        settings, _ = settings_with_origins(context)
    except ConfigurationError as error:
        found = wrong_settings(error)
    else:
        found = _findings(settings, offline=offline)
    wrong = [finding for finding in found if finding.level != "ok"]
    if json:
        findings = [{"level": one.level, "about": one.about, "text": one.text} for one in found]
        show_json({"ok": not wrong, "findings": findings})
    else:
        for finding in found:
            (say if finding in wrong else show)(f"{finding.level}: {finding.about}: {finding.text}")
        show("all is well" if not wrong else f"{len(wrong)} thing{'s' * (len(wrong) != 1)} to look at")
    if wrong:
        raise typer.Exit(FAILED)


def _findings(settings: Settings, *, offline: bool) -> list[Finding]:
    from stampcard.cli.check import findings_of
    from stampcard.cli.logging import quiet
    from stampcard.cli.safekeeping import copy_finding
    from stampcard.cli.timekeeping import Listener
    from stampcard.clock import SystemClock
    from stampcard.host.discovering import discover

    quiet()
    listener = Listener(SystemClock())
    found = findings_of(settings, discover(), connect=True, vendors=not offline, heard=listener.note)
    found += [*_diagnosed(settings), copy_finding(settings), _served(settings)]
    return [*found, *([] if offline else _reached(settings, listener.heard))]


def _reached(settings: Settings, heard: Sequence[Told]) -> list[Finding]:
    """Whether the outside leads here, and what others say the time is."""
    from stampcard.cli.plugging import with_plugged
    from stampcard.cli.reaching import look, sealer_of
    from stampcard.cli.timekeeping import clock_finding
    from stampcard.clock import SystemClock

    sealer = sealer_of(settings)
    found, told = look(with_plugged(settings), sealer, SystemClock()) if sealer is not None else ([], None)
    return [*found, clock_finding(heard, told)]


def _diagnosed(settings: Settings) -> list[Finding]:
    """What the database tells; nothing where there is none, which was told already."""
    from stampcard.cli.diagnosing import diagnose, silent_findings
    from stampcard.cli.plugging import with_plugged
    from stampcard.cli.safekeeping import backup_finding, disk_findings
    from stampcard.clock import SystemClock

    merchant, now = settings.merchant, SystemClock().now()
    names, most = list(with_plugged(settings).connections), timedelta(hours=settings.http.silent_hours)
    try:
        with opened(settings) as database:
            is_file = database.is_sqlite
            return [
                *database.read_now(lambda connection: diagnose(connection, merchant, now)),
                *database.read_now(lambda connection: list(silent_findings(connection, merchant, names, now, most))),
                database.read_now(lambda connection: backup_finding(connection, merchant, now, is_file=is_file)),
                *disk_findings(database.path),
            ]
    except (ConfigurationError, Unavailable):
        return []


def _served(settings: Settings) -> Finding:
    """Whether a server answers where the settings say, and is ready."""
    import httpx

    from stampcard.cli.findings import Finding
    from stampcard.cli.serving import address_of

    try:
        address = address_of(settings.http)
        answer = httpx.get(f"{address}/readyz", timeout=5.0, trust_env=False)
    except ConfigurationError as error:
        return Finding(level="ok", about="server", text=f"not looked at: {error.setting} {error.problem}")
    except httpx.HTTPError as error:
        text = f"nothing answers at {address} ({type(error).__name__}). Start it: stampcard serve"
        return Finding(level="warning", about="server", text=text)
    if answer.is_success:
        return Finding(level="ok", about="server", text=f"ready at {address}")
    text = f"not ready at {address} ({answer.status_code}). See its log"
    return Finding(level="warning", about="server", text=text)

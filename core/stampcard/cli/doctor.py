from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stampcard.cli.invocation import FAILED, opened, settings_with_origins
from stampcard.cli.printing import say, show, show_json
from stampcard.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from stampcard.cli.findings import Finding
    from stampcard.settings import Settings


def doctor(
    context: typer.Context,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no vendor how it is.")] = False,
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
    from stampcard.host.discovering import discover

    quiet()
    found = findings_of(settings, discover(), connect=True, vendors=not offline)
    return [*found, *_diagnosed(settings), _served(settings)]


def _diagnosed(settings: Settings) -> list[Finding]:
    """What the database tells; nothing where there is none, which was told already."""
    from stampcard.cli.diagnosing import diagnose
    from stampcard.clock import SystemClock

    try:
        with opened(settings) as database:
            now = SystemClock().now()
            return database.read_now(lambda connection: diagnose(connection, settings.merchant, now))
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

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from stampcard.cli.invocation import INVALID, UNREACHABLE, settings_with_origins
from stampcard.cli.printing import say, show, show_json, show_table
from stampcard.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import httpx

    from stampcard.cli.findings import Finding, Shown
    from stampcard.host.discovering import PluginTable
    from stampcard.settings import Settings


def check(
    context: typer.Context,
    connect: Annotated[bool, typer.Option("--connect", help="Also try the database and each connection.")] = False,
    json: Annotated[bool, typer.Option("--json", help="For other programs.")] = False,
) -> None:
    """Say whether settings, key, programs and connections are right, and where each setting comes from."""
    from stampcard.cli.findings import shown_settings, wrong_settings
    from stampcard.host.discovering import discover

    try:
        settings, origin = settings_with_origins(context)
    except ConfigurationError as error:
        if not json:
            raise
        _tell_programs((), wrong_settings(error), ok=False)
        raise typer.Exit(INVALID) from None
    table = discover()
    shown = list(shown_settings(settings, origin, table))
    findings = findings_of(settings, table, connect=connect)
    levels = {finding.level for finding in findings}
    code = INVALID if "problem" in levels else UNREACHABLE if "unreachable" in levels else 0
    if json:
        _tell_programs(shown, findings, ok=code == 0)
    else:
        _tell_people(shown, findings)
    raise typer.Exit(code)


def findings_of(
    settings: Settings,
    table: PluginTable,
    *,
    connect: bool,
    vendors: bool = True,
    heard: Callable[[httpx.Response], None] = lambda _: None,
) -> list[Finding]:
    """What there is to say of an installation; `connect` reaches for the database and, with `vendors`, for those.

    `heard` takes each answer of a vendor.
    """
    from stampcard.cli import findings
    from stampcard.cli.plugging import with_plugged

    stored: Mapping[str, Sequence[str]] = {}
    # Without --connect nothing is called over a network, but a file can be read.
    if connect or settings.database.startswith("sqlite:"):
        with suppress(ConfigurationError, Unavailable):
            stored = findings.stored_programs(settings)
        settings = with_plugged(settings)
    found = [
        *findings.key_findings(settings),
        *findings.program_findings(settings.program_files(), stored),
        *findings.section_findings(settings.specs(), table),
    ]
    if connect:
        found += findings.database_findings(settings)
    if connect and vendors:
        found += asyncio.run(findings.connection_findings(settings, table, heard=heard))
    return found


def _tell_people(shown: Sequence[Shown], findings: Sequence[Finding]) -> None:
    show_table([("SETTING", "VALUE", "FROM"), *((one.setting, _text(one.value), one.origin) for one in shown)])
    show("")
    for finding in findings:
        tell = show if finding.level == "ok" else say
        tell(f"{finding.level}: {finding.about}: {finding.text}")


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "(none)"
    return "(none)" if value is None else str(value)


def _tell_programs(shown: Sequence[Shown], findings: Sequence[Finding], *, ok: bool) -> None:
    show_json(
        {
            "ok": ok,
            "settings": [{"setting": one.setting, "value": one.value, "origin": one.origin} for one in shown],
            "findings": [{"level": one.level, "about": one.about, "text": one.text} for one in findings],
        }
    )

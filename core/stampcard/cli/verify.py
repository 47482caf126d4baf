from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stampcard.cli.invocation import FAILED, opened, settings_of
from stampcard.cli.printing import say, show, show_json

if TYPE_CHECKING:
    from stampcard.engine.verifying import Finding

#: So many findings are told to a person; --json tells all.
MOST = 20


def verify(
    context: typer.Context, json: Annotated[bool, typer.Option("--json", help="For other programs.")] = False
) -> None:
    """Rebuild every balance, lot and award from the ledger's entries; ends with 1 when anything differs."""
    import msgspec

    from stampcard.cli.progressing import progress
    from stampcard.storage import listing, verifying

    merchant = settings_of(context).merchant
    with opened(settings_of(context)) as database:
        total = database.read_now(lambda connection: listing.count_members(connection, merchant))
        with progress("verifying members", total) as told:
            found = database.read_now(lambda connection: verifying.verify(connection, merchant, told))
    if json:
        findings = [msgspec.structs.asdict(finding) for finding in found.findings]
        ok = not findings and not found.total
        show_json(
            {"ok": ok, "members": found.members, "entries": found.entries, "total": found.total, "findings": findings}
        )
    else:
        for finding in found.findings[:MOST]:
            say(_line(finding))
        if len(found.findings) > MOST:
            say(f"… and {len(found.findings) - MOST} more: --json tells all")
        show(
            f"{found.members} members, {found.entries} entries that sum to {found.total}, {_count(len(found.findings))}"
        )
    if found.findings or found.total:
        raise typer.Exit(FAILED)


def _line(finding: Finding) -> str:
    where = f"member {finding.member}, wallet {finding.wallet!r}"
    return f"differs: {where}, {finding.what}: the entries say {finding.rebuilt}, stored is {finding.stored}"


def _count(findings: int) -> str:
    return f"{findings} differences" if findings != 1 else "1 difference"

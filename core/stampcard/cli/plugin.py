from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stampcard.cli.printing import show_json, show_table

if TYPE_CHECKING:
    from stampcard.host.discovering import PluginTable

app = typer.Typer(no_args_is_help=True, help="The plugins that are installed.")


@app.callback()
def plugin() -> None:
    """Keep `list` a command of its own."""


@app.command("list")
def list_plugins(json: Annotated[bool, typer.Option("--json", help="For other programs.")] = False) -> None:
    """Show every installed plugin, and why one cannot be used."""
    from stampcard.host.discovering import discover

    rows = _rows(discover())
    if json:
        show_json(rows)
        return
    shown = [(row["name"], row["state"], row["version"], row["distribution"], _last(row)) for row in rows]
    show_table([("NAME", "STATE", "VERSION", "DISTRIBUTION", "HOOKS"), *shown])


def _rows(table: PluginTable) -> list[dict[str, Any]]:
    ready = [
        {
            "name": name,
            "state": "ready",
            "version": loaded.version,
            "distribution": loaded.distribution,
            "summary": loaded.manifest.summary,
            "hooks": sorted(loaded.hooks),
            "reason": "",
        }
        for name, loaded in table.ready.items()
    ]
    failed = [
        {
            "name": failure.name,
            "state": "failed",
            "version": "",
            "distribution": failure.distribution,
            "summary": "",
            "hooks": [],
            "reason": failure.reason,
        }
        for failure in table.failed
    ]
    return sorted(ready + failed, key=lambda row: (row["name"], row["state"]))


def _last(row: dict[str, Any]) -> str:
    return row["reason"] or ", ".join(row["hooks"])

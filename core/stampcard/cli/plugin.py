from __future__ import annotations

import keyword
import re
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stampcard.cli import installing, switching
from stampcard.cli.invocation import FAILED, opened, settings_of
from stampcard.cli.printing import say, show, show_json, show_table
from stampcard.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stampcard.host.discovering import PluginTable

app = typer.Typer(no_args_is_help=True, help="The plugins: installed, switched off and on, and one to begin with.")
Name = Annotated[str, typer.Argument(metavar="PLUGIN", help="As `plugin list` calls it.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="For other programs.")]
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
#: Where a file of a new plugin goes, and what it is made of.
_FILES = (
    ("pyproject.toml", "pyproject.toml"),
    ("stampcard_sample.py", "stampcard_sample.py"),
    ("test_sample.py", "test_sample.py"),
    ("fixtures/sale__paid.json", "sale__paid.json"),
)


app.command("install")(installing.install)


@app.command("list")
def list_plugins(context: typer.Context, json: Json = False) -> None:
    """Show every installed plugin, whether it works, and why one does not."""
    from stampcard.host.discovering import discover

    rows = _rows(discover(), _disabled(context))
    if json:
        show_json(rows)
        return
    shown = [(row["name"], row["state"], row["version"], row["distribution"], _last(row)) for row in rows]
    show_table([("NAME", "STATE", "VERSION", "DISTRIBUTION", "HOOKS"), *shown])


@app.command("disable")
def disable(
    context: typer.Context,
    name: Name,
    note: Annotated[str, typer.Option(help="Why, for those who wonder later.", show_default=False)],
    author: Annotated[str, typer.Option(help="Who; by default the user of this machine.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Stop a plugin on every running process within a second: the same as `stop plugin`."""
    switching.stop(context, "plugin", name, note, author, json)


@app.command("enable")
def enable(context: typer.Context, name: Name, json: Json = False) -> None:
    """Start a plugin again that was disabled or stopped: the same as `start plugin`."""
    switching.start(context, "plugin", name, json)


def _disabled(context: typer.Context) -> dict[str, str]:
    """The plugins that are stopped, each with why; none where no database can be asked."""
    from stampcard.storage.switching import list_switches

    try:
        settings = settings_of(context)
        with opened(settings) as database:
            found = database.read_now(lambda connection: list_switches(connection, settings.merchant))
    except (ConfigurationError, Unavailable):
        return {}
    return {one.name: one.note for one in found if one.kind == "plugin"}


def _rows(table: PluginTable, disabled: Mapping[str, str]) -> list[dict[str, Any]]:
    ready = [
        {
            "name": name,
            "state": "disabled" if name in disabled else "ready",
            "version": loaded.version,
            "distribution": loaded.distribution,
            "summary": loaded.manifest.summary,
            "hooks": sorted(loaded.hooks),
            "reason": disabled.get(name, ""),
        }
        for name, loaded in table.ready.items()
    ]
    failed = [
        {
            "name": failure.name,
            "state": "failed",
            "version": failure.version,
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


@app.command("new")
def new_plugin(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help='What connections will call it: plugin = "NAME".', show_default=False)
    ],
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="<path>", help="Where; else ./stampcard-NAME.", show_default=False)
    ] = None,
) -> None:
    """Write a plugin that works and keeps the contract, to be made into your own."""
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise typer.BadParameter(
            "a name has lower-case letters, digits and _, and begins with a letter", param_hint="NAME"
        )
    where = folder or Path(f"stampcard-{_dashed(name)}")
    if where.exists() and any(where.iterdir()):
        raise typer.BadParameter(f"{where} is there already and not empty", param_hint="--dir")
    try:
        for path, text in project(name).items():
            file = where / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            show(str(file))
    except OSError as error:
        say(f"error: {error.filename}: cannot be written ({error.strerror})")
        raise typer.Exit(FAILED) from None
    say(f"Try it: cd {where} && pip install -e '.[test]' && pytest")
    say(f"Then connect something to it: stampcard connection add {name}")


def project(name: str) -> dict[str, str]:
    """The files of a new plugin, by path: the sample of the guide under this name."""
    texts = {path: files("stampcard.cli").joinpath("templates", "plugin", f"{source}.txt") for path, source in _FILES}
    return {
        path.replace("sample", name): _renamed(text.read_text(encoding="utf-8"), name) for path, text in texts.items()
    }


def _renamed(text: str, name: str) -> str:
    camel = "".join(part.capitalize() for part in name.split("_"))
    for old, new in (
        ("stampcard-sample", f"stampcard-{_dashed(name)}"),
        ("stampcard_sample", f"stampcard_{name}"),
        ("TestSample", f"Test{camel}"),
        ('name="sample"', f'name="{name}"'),
        ("\nsample = ", f"\n{name} = "),
    ):
        text = text.replace(old, new)
    return text


def _dashed(name: str) -> str:
    return name.replace("_", "-")

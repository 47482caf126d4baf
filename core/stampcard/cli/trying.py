from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stampcard.cli.invocation import USAGE, settings_of
from stampcard.cli.printing import say, show, show_json
from stampcard.errors import ConfigurationError

if TYPE_CHECKING:
    from stampcard.app import Application
    from stampcard.settings import Settings
    from stampcard_webhooks.supposing import DryRun
    from stampcard_webhooks.trying import DryRunView


def dry_run(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A JSON file that tells of an order or event.", show_default=False)
    ],
    program: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Ask this program file instead of the valid one.", show_default=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="For other programs.")] = False,
) -> None:
    """Say what an order or an event would earn, and why; nothing is written. The file is the body of POST /api/v1/dry-run."""
    asked = _asked(file, program)
    view = _answered(settings_of(context), asked)
    if json:
        show_json(view.model_dump(mode="json"))
        return
    for line in view.words:
        show(line)


def _asked(file: Path, program: Path | None) -> DryRun:
    from pydantic import ValidationError

    from stampcard.storage.programming import read_file
    from stampcard_webhooks.asking import errors_of
    from stampcard_webhooks.supposing import DryRun

    try:
        asked = DryRun.model_validate_json(file.read_bytes())
    except OSError as error:
        raise ConfigurationError(str(file), f"cannot be read ({error.strerror})") from None
    except ValidationError as error:
        for one in errors_of(error):
            say(f"error: {file}: {one['path']}: {one['message']}")
        raise typer.Exit(USAGE) from None
    return asked if program is None else asked.model_copy(update={"program": read_file(program)[1]})


def _answered(settings: Settings, asked: DryRun) -> DryRunView:
    from stampcard.cli.acting import acting
    from stampcard_webhooks.supposing import question_of
    from stampcard_webhooks.trying import dry_run as answer

    async def use(application: Application) -> DryRunView:
        name = asked.subject.connection
        source, now = application.sources.get(name, name), application.clock.now()
        question = question_of(asked, source, application.setting, now)
        # A command has no way to any vendor, so no plugin can be asked.
        return await answer(application, application.setting, question, ask=False)

    return acting(settings, use)

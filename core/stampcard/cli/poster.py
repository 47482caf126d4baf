from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from stampcard.cli.invocation import opened, settings_of
from stampcard.cli.printing import say, show, show_json

if TYPE_CHECKING:
    from stampcard.cli.drawing import Sign
    from stampcard.engine.versions import LiveProgram

#: Letters of a branch in the name of a file.
_IN_NAME = 60


def poster(
    context: typer.Context,
    program: Annotated[
        str, typer.Option(help="Whose card it is; by default the only program.", show_default=False)
    ] = "",
    branch: Annotated[
        str, typer.Option(help="Where it will hang: kept with everybody who joins by it.", show_default=False)
    ] = "",
    language: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODE", help="A sign in this language; repeatable; by default the program's.", show_default=False
        ),
    ] = None,
    output: Annotated[Path, typer.Option(help="The folder to write to.")] = Path(),
    format_: Annotated[
        Literal["svg", "html"], typer.Option("--format", help="A picture, or a page that prints on one sheet.")
    ] = "svg",
    force: Annotated[
        bool, typer.Option("--force", help="Also where the address that it leads to is not https.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="For other programs.")] = False,
) -> None:
    """Draw a sign to print on A4, with a code that leads to the page on which people get their card."""
    from stampcard.applying.admitting import closed_for
    from stampcard.clock import SystemClock
    from stampcard.storage.programming import load_programs

    settings, now = settings_of(context), SystemClock().now()
    _check_branch(branch)
    base = settings.http.base_url
    _check_address(base, force=force)
    with opened(settings) as database:
        programs = database.read_now(lambda connection: load_programs(connection, settings.merchant))
    live = _named(list(programs.current(now)), program)
    _warn(closed_for(programs, live, now), live.name)
    signs = [_sign(live, base, one, branch) for one in _languages(language, live)]
    written = [_write(output, sign, format_) for sign in signs]
    if json:
        show_json(
            [
                {"file": str(file), "language": one.language, "url": one.url}
                for file, one in zip(written, signs, strict=True)
            ]
        )
        return
    for file in written:
        show(str(file))
    say("Print it on A4, and try its code with a phone before it hangs.")


def _check_branch(branch: str) -> None:
    from stampcard_webhooks.joining import MOST_OF_BRANCH

    if len(branch) > MOST_OF_BRANCH or not branch.isprintable():
        message = f"{branch!r} is no name of a branch: write up to {MOST_OF_BRANCH} letters on one line"
        raise typer.BadParameter(message, param_hint="--branch")


def _check_address(base: str, *, force: bool) -> None:
    """Raise ConfigurationError for an address to which people should give nothing."""
    from stampcard.errors import ConfigurationError

    if base.startswith("https://"):
        return
    problem = f"{base} is not https, and people would type their address there"
    if not force:
        remedy = "Write https://HOST, as the outside reaches this installation; --force draws the sign all the same"
        raise ConfigurationError("http.public_url", problem, remedy)
    say(f"warning: http.public_url: {problem}")


def _named(current: list[LiveProgram], name: str) -> LiveProgram:
    """The program that is meant; raises NotFound, or Conflict where there are several."""
    from stampcard.errors import Conflict, NotFound, RequestRefused

    names = [live.name for live in current]
    found = [live for live in current if name in {"", live.name}]
    if not found and name:
        raise NotFound("program", name, "".join(get_close_matches(name, names, n=1)))
    if not found:
        raise RequestRefused("no_program", "no program is valid now: stampcard program apply FILE makes one")
    if len(found) > 1:
        raise Conflict("several_programs", f"there are several programs; say which by --program: {', '.join(names)}")
    return found[0]


def _warn(closed: str, name: str) -> None:
    if closed == "ended":
        say(f"warning: {name} has ended: whoever follows the sign is told that nobody can join")
    elif closed:
        say(f"warning: {name} is stopped, or takes only whom it names: whoever follows the sign is told so")


def _languages(wanted: list[str] | None, live: LiveProgram) -> list[str]:
    from stampcard.program.templates import LANGUAGES

    for one in wanted or ():
        if one not in LANGUAGES:
            message = f"there are no words in {one!r}; there are in {', '.join(LANGUAGES)}"
            raise typer.BadParameter(message, param_hint="--language")
    own = live.program.sending.language.partition("-")[0].lower()
    return list(dict.fromkeys(wanted or [own if own in LANGUAGES else "en"]))


def _sign(live: LiveProgram, base: str, language: str, branch: str) -> Sign:
    from urllib.parse import quote, urlencode

    from stampcard.cli.drawing import Sign
    from stampcard.engine.cards import design_of, title_of
    from stampcard.program.templates import ready

    words, place = ready(language)["pages"], f"{base}/join/{quote(live.name)}"
    query = {"language": language, **({"branch": branch} if branch else {})}
    return Sign(
        language=language,
        title=title_of(live, language),
        sentence=words["join_poster"],
        before=words["join_poster_or"],
        url=f"{place}?{urlencode(query, quote_via=quote)}",
        address=place.partition("://")[2],
        colour=design_of(live).colour,
        branch=branch,
    )


def _write(folder: Path, sign: Sign, kind: str) -> Path:
    """Write one file; raises ConfigurationError where that cannot be."""
    from stampcard.cli.drawing import html_of, svg_of
    from stampcard.errors import ConfigurationError

    where = re.sub(r"[\W_]+", "-", sign.branch).strip("-").lower()[:_IN_NAME]
    file = folder / f"poster-{sign.language}{f'-{where}' if where else ''}.{kind}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(html_of(sign) if kind == "html" else svg_of(sign), encoding="utf-8")
    except OSError as error:
        remedy = "Say another folder by --output"
        raise ConfigurationError(str(file), f"cannot be written ({error.strerror})", remedy) from None
    return file

"""Texts of messages: Liquid with few filters and tight limits, in which links are written as [label](address).

One text makes two templates: a plain one, and one in HTML in which only what the merchant wrote can be markup; what a member
is called, or a shop says, never is.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from datetime import date, datetime
from decimal import Decimal
from functools import cache, wraps
from html import escape
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal

from stampcard.program.wording import Flaw, close_to

if TYPE_CHECKING:
    from liquid import BoundTemplate, Environment, RenderContext

#: Characters of a text, bytes of what may come of it, turns of its loops, bytes of what it may remember.
LONGEST, OUTPUT, LOOPS, MEMORY = 20_000, 200_000, 2_000, 200_000
#: Seconds that a text may take.
PATIENCE = 1.0
_DEADLINE: ContextVar[float] = ContextVar("deadline", default=math.inf)
#: Isolates a value from the direction of what stands around it (UAX 9).
_ISOLATE, _END = "\u2068", "\u2069"
_TOKEN = re.compile(
    r"(?P<liquid>\{\{.*?\}\}|\{%.*?%\})|\[(?P<label>(?:\{\{.*?\}\}|[^\[\]\n])++)\]\((?P<url>(?:\{\{.*?\}\}|[^\s()])++)\)",
    re.DOTALL,
)
_LIQUID = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
#: A loop over a range is counted as it turns; anywhere else, or turned round, all of the range would be made at once.
_COUNTED = re.compile(r"\{%-?\s*for\s+\w+\s+in\s+\([^()]*\)(?:(?!reversed|\.\.).)*%\}", re.DOTALL)
_PLACE = re.compile(r"line (\d+)")
#: What stands for an address: marks around it would become a part of it.
_ADDRESS = re.compile(r"_url\b|\bprogram\.page\b")
_FILTERS = frozenset(
    {
        "abs", "append", "at_least", "at_most", "capitalize", "ceil", "default", "divided_by", "downcase", "first", "floor",
        "join", "last", "minus", "modulo", "plus", "prepend", "replace", "replace_first", "round", "size", "slice", "split",
        "strip", "times", "truncate", "truncatewords", "upcase", "url_encode", "where", "map", "sum", "sort", "reverse",
    }
)  # fmt: skip
_TAGS = frozenset(
    {
        "assign",
        "break",
        "capture",
        "case",
        "comment",
        "continue",
        "for",
        "if",
        "unless",
        "output",
        "content",
        "#",
        "illegal",
    }
)
_FORMS = ("zero", "one", "two", "few", "many", "other")
#: What a text may name, by name; None is a value, a mapping has names of its own, and one with "*" any.
Shape = Mapping[str, Any]


class Template(NamedTuple):
    """A text that is ready to be written out: plainly, and as HTML."""

    plain: BoundTemplate
    marked: BoundTemplate


def direction_of(language: str) -> Literal["ltr", "rtl"]:
    """In which direction a language is written."""
    locale = locale_of(language)
    return "rtl" if locale is not None and locale.text_direction == "rtl" else "ltr"


@cache
def locale_of(language: str) -> Locale | None:
    """What is known of a language such as "nl" or "ar-EG"; None for one that nobody knows."""
    for code in (language, language.partition("-")[0]):
        try:
            return Locale.parse(code.replace("_", "-"), sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return None


def template_of(text: str, language: str) -> Template:
    """The text as templates; raises what Liquid raises for one that has flaws."""
    isolated = direction_of(language) == "rtl"
    return Template(
        plain=_environment(markup=False).from_string("".join(_plain(text, isolated=isolated))),
        marked=_environment(markup=True).from_string("".join(_marked(text))),
    )


def page_of(html: str) -> BoundTemplate:
    """A layout, or the HTML of one message, as a template; MJML is made HTML first. Raises ValueError for MJML that has flaws."""
    if html.lstrip().startswith("<mjml"):
        from mjml import mjml2html

        html = mjml2html(html)
    return _environment(markup=True).from_string(html)


def flaws_of_text(text: str, shape: Shape) -> list[Flaw]:
    """Everything that is wrong with a text: its Liquid, its filters, and names that nothing stands for."""
    if len(text) > LONGEST:
        return [Flaw(1, 1, f"a text has at most {LONGEST} characters, this has {len(text)}")]
    from liquid.exceptions import LiquidError

    try:
        template = _environment(markup=False).from_string(text)
        found = template.analyze()
    except LiquidError as error:
        return [_flaw_of(error, text)]
    flaws = [
        Flaw(*_place(text, spans[0].index), f"unknown filter {name!r}{close_to(name, _known_filters())}")
        for name, spans in found.filters.items()
        if name not in _known_filters()
    ]
    for uses in found.globals.values():
        for use in uses:
            segments = [part for part in use.segments if isinstance(part, str)]
            message = _unknown(segments, shape)
            if message:
                flaws.append(Flaw(*_place(text, use.span.index), message))
    for piece in _LIQUID.finditer(text):
        bare = _QUOTED.sub("''", piece[0])
        if ".." in bare and not _COUNTED.fullmatch(bare):
            message = "a range such as (1..5) is for a loop alone: {% for number in (1..5) %}, and not reversed"
            flaws.append(Flaw(*_place(text, piece.start()), message))
    return sorted(set(flaws))


def flaws_of_page(html: str, shape: Shape) -> list[Flaw]:
    """What is wrong with a layout or the HTML of a message, MJML included."""
    if html.lstrip().startswith("<mjml"):
        from mjml import mjml2html

        try:
            made = mjml2html(html)
        except ValueError as error:
            return [Flaw(1, 1, f"not readable as MJML: {error}")]
        # Tags that nobody knows pass silently, and show nothing in mail programs.
        strange = re.search(r"<(mj-[a-z-]+)", made)
        if strange is not None:
            place = html.find(f"<{strange[1]}")
            return [Flaw(*_place(html, max(place, 0)), f"MJML has no {strange[1]!r}")]
    return flaws_of_text(html, shape)


def paragraphs(marked: str) -> str:
    """What an HTML template wrote, its blank lines made paragraphs and its line breaks kept."""
    found = (part.strip() for part in re.split(r"\n[ \t]*\n", marked.strip()))
    return "".join(f"<p>{part.replace(chr(10), '<br>')}</p>" for part in found if part)


def tidied(plain: str) -> str:
    """What a plain template wrote, without the gaps that its conditions left."""
    lines = "\n".join(line.rstrip() for line in plain.strip().split("\n"))
    return re.sub(r"\n{3,}", "\n\n", lines)


def _plain(text: str, *, isolated: bool) -> Iterator[str]:
    """The pieces of the plain template: a link is its label with the address behind it."""
    for kind, piece, url in _pieces(text):
        match kind:
            case "liquid" if isolated and piece.startswith("{{") and not _ADDRESS.search(piece):
                yield f"{_ISOLATE}{piece}{_END}"
            case "link":
                yield url if piece == url else f"{piece}: {url}"
            case _:
                yield piece


def _marked(text: str) -> Iterator[str]:
    """The pieces of the HTML template: only the merchant's links are markup, and values keep to themselves."""
    for kind, piece, url in _pieces(text):
        match kind:
            case "liquid":
                yield f"<bdi>{piece}</bdi>" if piece.startswith("{{") else piece
            case "link":
                yield f'<a href="{_escaped(url)}">{_escaped(piece)}</a>'
            case _:
                yield escape(piece, quote=False)


def _pieces(text: str) -> Iterator[tuple[str, str, str]]:
    done = 0
    for found in _TOKEN.finditer(text):
        yield "text", text[done : found.start()], ""
        if found["liquid"] is not None:
            yield "liquid", found["liquid"], ""
        else:
            yield "link", found["label"], found["url"]
        done = found.end()
    yield "text", text[done:], ""


def _escaped(text: str) -> str:
    """A text around its Liquid escaped."""
    done, out = 0, []
    for found in _LIQUID.finditer(text):
        out += [escape(text[done : found.start()]), found[0]]
        done = found.end()
    return "".join([*out, escape(text[done:])])


def _unknown(segments: list[str], shape: Shape) -> str:
    """What is wrong with a name such as member.frist_name."""
    known: Any = shape
    for depth, name in enumerate(segments):
        if known is None or "*" in known or (depth and name in {"size", "first", "last"}):
            return ""
        if name not in known:
            full = ".".join(segments[: depth + 1])
            return f"nothing here is called {full!r}{close_to(name, known)}"
        known = known[name]
    return ""


def _flaw_of(error: Any, text: str) -> Flaw:
    index = getattr(error.token, "start_index", None) if getattr(error, "token", None) is not None else None
    if index == -1:  # the end
        index = len(text.rstrip())
    line, column = _place(text, index) if isinstance(index, int) else (1, 1)
    message = str(error.args[0] if error.args else error)
    return Flaw(line, column, f"not understood as Liquid: {message}")


def _place(text: str, index: int) -> tuple[int, int]:
    before = text[:index]
    return before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1


def _known_filters() -> frozenset[str]:
    return _FILTERS | {"number", "date", "money", "plural"}


@cache
def _environment(*, markup: bool) -> Environment:
    """What texts are written in; `markup` escapes what values say."""
    from liquid import Environment, StrictUndefined

    class Narrow(Environment):
        output_stream_limit = OUTPUT
        loop_iteration_limit = LOOPS
        local_namespace_limit = MEMORY
        context_depth_limit = 10
        block_nesting_limit = 10

    narrow = Narrow(autoescape=markup, undefined=StrictUndefined, strict_filters=False)
    narrow.tags = {name: tag for name, tag in narrow.tags.items() if name in _TAGS}
    narrow.filters = {name: run for name, run in narrow.filters.items() if name in _FILTERS}
    narrow.filters |= {"replace": _replace, "join": _join}
    for name, run in {"number": _number, "date": _date, "money": _money, "plural": _plural}.items():
        run.with_context = True  # type: ignore[attr-defined]
        narrow.add_filter(name, run)
    narrow.filters = {name: _timed(run) for name, run in narrow.filters.items()}
    return narrow


def filled(template: BoundTemplate, values: Mapping[str, Any]) -> str:
    """What a template says of these values; raises LiquidError, also for one that takes too long."""
    token = _DEADLINE.set(time.monotonic() + PATIENCE)
    try:
        return template.render(**values)
    finally:
        _DEADLINE.reset(token)


def _timed(run: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that fails once the time of its text is over: loops are counted, what filters do in them is not."""
    from liquid.exceptions import FilterArgumentError

    @wraps(run)
    def timed(*values: Any, **named: Any) -> Any:
        if time.monotonic() > _DEADLINE.get():
            raise FilterArgumentError(f"takes longer than {PATIENCE:g} s", token=None)
        return run(*values, **named)

    return timed


def _language(context: RenderContext) -> Locale:
    return locale_of(str(context.resolve("language"))) or Locale("en")


def _figure(value: object) -> Decimal:
    return Decimal(str(value + 0)) if isinstance(value, int | float | Decimal) else Decimal(0)  # + 0: True is 1


def _number(value: object, *, context: RenderContext) -> str:
    """A number as the language writes it."""
    return str(format_decimal(_figure(value), locale=_language(context)))


def _money(value: object, currency: str = "", *, context: RenderContext) -> str:
    """An amount of money as the language writes it."""
    return str(format_currency(_figure(value), currency or str(context.resolve("currency")), locale=_language(context)))


def _date(value: object, form: str = "long", *, context: RenderContext) -> str:
    """A day as the language writes it: long, or short, medium, full."""
    if not isinstance(value, date | datetime):
        return "" if value is None else str(value)
    known = form if form in {"short", "medium", "long", "full"} else "long"
    return str(format_date(value, known, locale=_language(context)))


def _replace(value: object, seq: object = "", sub: object = "") -> str:
    """The text with one part of it replaced by another, as long as a whole message may be; raises LiquidError."""
    from liquid.exceptions import FilterArgumentError

    text, old, new = ("" if part is None else str(part) for part in (value, seq, sub))
    if len(text) + text.count(old) * len(new) > OUTPUT:
        raise FilterArgumentError(f"replace: more than {OUTPUT} characters would come of it", token=None)
    return text.replace(old, new)


def _join(value: object, separator: object = " ") -> str:
    """The items of a list with something between them, as long as a whole message may be; raises LiquidError."""
    from liquid.exceptions import FilterArgumentError

    items = [str(item) for item in value] if isinstance(value, list | tuple) else ["" if value is None else str(value)]
    between = str(separator)
    if sum(map(len, items)) + len(items) * len(between) > OUTPUT:
        raise FilterArgumentError(f"join: more than {OUTPUT} characters would come of it", token=None)
    return between.join(items)


def _plural(value: object, *, context: RenderContext, **forms: object) -> str:
    """Of several forms that which the language has for this number, each # of it the number."""
    locale, figure = _language(context), _figure(value)
    asked = "zero" if not figure and "zero" in forms else locale.plural_form(figure.normalize())
    form = str(forms.get(asked, forms.get("other", "#")))
    return form.replace("#", str(format_decimal(figure, locale=locale)))

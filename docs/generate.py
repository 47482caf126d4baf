# ruff: noqa: INP001, T201 - a script that people run
"""Writes the generated parts of the documentation anew; with --check only says what is out of date.

A part stands between ``<!-- generated: NAME -->`` and ``<!-- end -->`` in a Markdown file. The words around it are
written by hand.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import Any

from prometheus_client import Counter
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from stampcard import errors
from stampcard.domain.members import BUILT_IN_ATTRIBUTES
from stampcard.domain.scopes import SCOPES
from stampcard.engine.columns import Column, Identity, Report
from stampcard.engine.describing import order_variables
from stampcard.engine.reports import REPORTS
from stampcard.observing import Metrics
from stampcard.program.environment import variables
from stampcard.program.events import PURCHASE, REPORTED, SIGN_UP
from stampcard.program.history import MEASURES, WINDOWS
from stampcard.program.reading import read_program
from stampcard.program.schema import program_schema
from stampcard.settings import Settings
from stampcard.testing.building import order
from stampcard_google_wallet.settings import GoogleWalletSettings
from stampcard_hubspot.settings import HubSpotSettings
from stampcard_inbox.plugin import InboxSettings
from stampcard_shopify.plugin import ShopifySettings
from stampcard_smtp.settings import SmtpSettings
from stampcard_standard_webhooks.converting import (
    AnyReading,
    CountReading,
    FlagReading,
    MomentReading,
    MoneyReading,
    Reading,
    TextReading,
    TextsReading,
)
from stampcard_standard_webhooks.mapping import Mapped, Topic
from stampcard_standard_webhooks.messages import TYPES
from stampcard_standard_webhooks.schema import message_schema
from stampcard_standard_webhooks.settings import StandardWebhooksSettings
from stampcard_twilio.settings import TwilioSettings
from stampcard_woocommerce.plugin import WooCommerceSettings

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = ROOT / "config" / "programs" / "points-simple.yaml"
SECTIONS = (
    "Program", "Ending", "Enrolment", "WalletTerms", "RefundTerms", "Rule", "Value", "Base", "Filter", "During", "Who", "Group",
    "Campaign", "PayTerms", "Reward", "PriceOption", "GiftOption", "Stacking", "Tiers", "Level", "Segment", "ProofTerms", "Plan", "Perk",
    "MessageTerms", "MessageText", "Question", "Sending", "Card", "Shown", "CounterTerms",
)  # fmt: skip

#: What conditions may read, in the words of somebody who writes one.
VARIABLES = {
    "now": "when it happened, by the source's clock",
    "facts": "what plugins know, such as the weather; ask `has()` first",
    "member.joined_at": "when this installation first saw the member",
    "member.days": "for how many days the member has been one",
    "member.tier": "the member's tier; empty without one",
    "member.plan": "the plan that the member has, the first of several; empty without one",
    "member.verified": "what the member is verified as",
    "member.segments": "the names of the segments that the member is in",
    "member.perks": "the names of the perks that the member has",
    "member.consents": "what the member agrees to, such as `email.marketing`",
    "member.attributes": "what is known of the member; ask `has()` first",
    "order.total": "what the customer owes for the order",
    "order.subtotal": "the lines after their discounts",
    "order.discount": "the discounts on the lines",
    "order.tax": "the tax on lines and shipping",
    "order.shipping": "what shipping costs",
    "order.currency": "the currency of the amounts: always the program's",
    "order.channel": "where it was bought, in the source's words: `web`, `pos` …",
    "order.number": "the number that people see: `#1001`",
    "order.items": "how many items were bought",
    "order.tags": "the order's tags",
    "order.lines": "the lines, each with the fields below",
    "order.by_sku": "how much money was spent on each SKU: ask `'A1' in order.by_sku` first",
    "order.by_product": "how much on each product",
    "order.by_vendor": "how much on each vendor's goods",
    "order.by_collection": "how much on each collection, where the shop tells them",
    "order.by_tag": "how much on products of each tag, where the shop tells them",
    "event.data": "the fields of the event, as the program declares them; ask `has()` first",
}
LINES = {
    "product": "the source's id of the product",
    "sku": "the SKU",
    "vendor": "the vendor",
    "quantity": "how many: a whole number",
    "gross": "the whole line before its discount",
    "discount": "the discount on the whole line",
    "tax": "the tax on the whole line",
    "gift_card": "whether a gift card is bought: `true` or `false`",
    "collections": "the product's collections, where the shop tells them",
    "tags": "the product's tags, where the shop tells them",
}
#: What a condition asks → the event and the condition.
EXAMPLES = {
    "orders of 20 or more": (PURCHASE, "order.total >= 20"),
    "bought in the shop, not on the web": (PURCHASE, "order.channel == 'pos'"),
    "a line of one vendor": (PURCHASE, "order.lines.exists(line, line.vendor == 'Hill Roasters')"),
    "three or more of one SKU": (PURCHASE, "order.lines.exists(line, line.sku == 'BEANS-1KG' && line.quantity >= 3)"),
    "customers in Germany": (PURCHASE, "has(member.attributes.country) && member.attributes.country == 'DE'"),
    "Mondays": (PURCHASE, "now.getDayOfWeek('Europe/Berlin') == 1"),
    "from eight to eleven": (PURCHASE, "now.getHours('Europe/Berlin') >= 8 && now.getHours('Europe/Berlin') < 11"),
    "members of more than a year": (PURCHASE, "member.days > 365"),
    "who spent 1000 or more last calendar year": (PURCHASE, "history.spend.last_year >= 1000"),
    "a member's first order": (PURCHASE, "history.orders.ever == 0"),
    "50 or more spent on one vendor's goods": (
        PURCHASE,
        "'Hill Roasters' in order.by_vendor && order.by_vendor['Hill Roasters'] >= 50",
    ),
    "reviews of four stars or more": ("review", "has(event.data.stars) && event.data.stars >= 4"),
}

_PART = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_WORDS = {
    "boolean": "`true` or `false`",
    "string": "text",
    "integer": "a whole number",
    "array": "a list",
    "number": "a number",
    "object": "a section",
}
_NAMES = {"^[a-z][a-z0-9_-]": "a name: a–z, 0–9, _ and -", "^[a-z][a-z0-9_]": "a name: a–z, 0–9 and _"}
_KINDS = {"DOUBLE": "number", "INT": "whole number", "STRING": "text", "TIMESTAMP": "moment"}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (head, ["---"] * len(head), *rows)
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(value: object) -> str:
    return f"`{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)}`"


def settings() -> str:
    return table(("Setting", "Variable", "Default", "Meaning"), _settings(Settings, "STAMPCARD_"))


def plugin_settings(model: type[BaseModel], name: str = "shop") -> str:
    rows = _settings(model, f"STAMPCARD_CONNECTIONS__{name.upper()}__")
    return table(("Setting", f"Variable, for a connection called `{name}`", "Default", "Meaning"), rows)


def hubspot_fields() -> str:
    """The map of fields that a connection to HubSpot has by default."""
    given = {"portal_id": 1, "access_token": "made-up", "webhook_secrets": ["made-up"]}
    settings = HubSpotSettings.model_validate(given)
    rows = []
    for pair in settings.pairs(settings.defaults):
        means = pair.label if pair.is_figure else "the contrary of it" if pair.opposite else ""
        rows.append((code(pair.ours), code(pair.theirs), code(pair.owner), pair.kind, means))
    return table(("Our name", "HubSpot's property", "Owner", "Kind", "Meaning"), rows)


def standard_webhooks_messages() -> str:
    """Each kind of message with its fields, then the things that stand in them."""
    parts = message_schema()["$defs"]
    messages = {f"### {name}": parts[shape.__name__] for name, shape in TYPES.items()}
    inside = {
        f"### {_PLURALS[name]}": part for name, part in parts.items() if name in _PLURALS and "properties" in part
    }
    return "\n\n".join(f"{head}\n\n{of['description']}\n\n{_fields(of)}" for head, of in {**messages, **inside}.items())


def _fields(of: Mapping[str, Any]) -> str:
    rows = []
    for name, field in of["properties"].items():
        default = field.get("default")
        shown = "(required)" if name in of["required"] else "(none)" if default in ("", None, [], {}) else code(default)
        rows.append((code(name), _told(field), shown, field.get("description", "").strip()))
    return table(("Field", "Value", "Default", "Meaning"), rows)


def _told(field: Mapping[str, Any]) -> str:
    """What stands in a field of a message."""
    if "anyOf" in field:
        return " or ".join(_told(one) for one in field["anyOf"])
    if "$ref" in field:
        return _PLURALS[field["$ref"].rpartition("/")[2]]
    kind = field.get("type")
    if "enum" in field:
        return ", ".join(map(code, field["enum"]))
    if kind == "array":
        return f"list of {_told(field['items'])}"
    if field.get("format") == "date-time":
        return "time"
    words = {
        "string": "text",
        "integer": "whole number",
        "boolean": "true or false",
        "object": "fields",
        "null": "null",
        "['string', 'number']": "money",
    }
    return words[str(kind)]


#: What the things in a message are called on its page.
_PLURALS = {"Line": "lines", "Return": "refunds", "ReturnedLine": "refunded lines", "Person": "customer"}


def mapping_settings() -> str:
    rows = [*_mapped("mapping.", Mapped), *_mapped("mapping.topics.NAME.", Topic)]
    return table(("Setting", "Default", "Meaning"), rows)


def _mapped(above: str, model: type[BaseModel]) -> Iterator[Sequence[str]]:
    for name, field in model.model_fields.items():
        text = field.description or f"the fields of {code(name)}, each with where it stands"
        yield code(f"{above}{name}"), _default(field), text


def mapping_readings() -> str:
    kinds: Mapping[str, type[Reading]] = {
        "text": TextReading,
        "list of text": TextsReading,
        "whole number": CountReading,
        "money": MoneyReading,
        "true or false": FlagReading,
        "time": MomentReading,
        "fields": AnyReading,
    }
    everywhere = Reading.model_fields
    rows = [("every field", code(name), of.description or "") for name, of in everywhere.items()]
    for kind, model in kinds.items():
        own = ((name, of) for name, of in model.model_fields.items() if name not in everywhere)
        rows += [(kind, code(of.alias or name), of.description or "") for name, of in own]
    return table(("Where", "Option", "Meaning"), rows)


def _settings(model: type[BaseModel], variable: str, above: str = "") -> Iterator[Sequence[str]]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _settings(inner, f"{variable}{name.upper()}__", f"{above}{name}.")
            continue
        assert field.description, f"{above}{name} has no description"
        yield code(f"{above}{name}"), code(f"{variable}{name.upper()}"), _default(field), field.description


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "(required)"
    if field.default is PydanticUndefined:
        return "(made of others)"
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    return (
        code(str(default) if isinstance(default, Path) else default) if default not in (None, "", [], {}) else "(none)"
    )


def section(name: str) -> str:
    """One section of the program file; the whole file is called Program."""
    schema = program_schema()
    part = schema["$defs"].get(name, schema)
    rows = []
    for key, of in part["properties"].items():
        assert of.get("description"), f"{name}.{key} has no description"
        default = of.get("default") if not isinstance(of.get("default"), Mapping) else None
        default = ", ".join(default) if isinstance(default, list) else default
        shown = "(required)" if key in part.get("required", ()) else code(default) if default is not None else "(none)"
        rows.append((code(key), _value(of), shown if default != "" else "(none)", of["description"]))
    return table(("Setting", "Value", "Default", "Meaning"), rows)


def _value(of: Mapping[str, Any]) -> str:
    if "enum" in of:
        return ", ".join(map(code, of["enum"]))
    if "$ref" in of or of.get("type") == "object" or any("$ref" in one for one in of.get("anyOf", ())):
        return "a section"
    if of.get("type") == "integer":
        return f"{of['minimum']} to {of['maximum']}" if "maximum" in of else f"{of['minimum']} or more"
    for pattern, name in _NAMES.items():
        if of.get("pattern", "").startswith(pattern):
            return name
    kinds = [one.get("type", "string") for one in of.get("anyOf", [of]) if one.get("type") != "null"]
    return " or ".join(dict.fromkeys(_WORDS[kind] for kind in kinds))


def condition_variables() -> str:
    program = read_program(PROGRAM.read_text(encoding="utf-8"), str(PROGRAM))
    everywhere, purchase, own = (_own(variables(program, on)) for on in (SIGN_UP, PURCHASE, "review"))
    assert VARIABLES.keys() == {*everywhere, *purchase, *own}, "VARIABLES is not what conditions know"

    def where(name: str) -> str:
        return (
            "every event" if name in everywhere else "a purchase or refund" if name in purchase else "a reported event"
        )

    kinds = {**everywhere, **purchase, **own}
    rows = ((code(name), _kind(str(kinds[name])), where(name), text) for name, text in VARIABLES.items())
    return table(("Name", "Kind", "On", "What it is"), rows)


def _own(known: Mapping[str, Any]) -> dict[str, Any]:
    return {name: kind for name, kind in known.items() if not name.startswith("history.")}


def history() -> str:
    measures = {
        "orders": "how many",
        "spend": "the program's money",
        "points": "earned, in whole points",
        "redemptions": "rewards taken or given, how many",
        "redeemed": "spent on rewards, in whole points",
    }
    rows = [(code(f"history.{of}.…"), measures[of], ", ".join(map(code, WINDOWS))) for of in MEASURES]
    return table(("Name", "In", "Windows"), rows)


def reported_events() -> str:
    rows = (
        (code(name), ", ".join(f"{code(f)}: {kind}" for f, kind in of.items()) or "(none)")
        for name, of in REPORTED.items()
    )
    return table(("Event", "Fields"), rows)


def _kind(name: str) -> str:
    return _KINDS.get(name) or ("list" if name.startswith("LIST") else "map")


def condition_lines() -> str:
    (line,) = order_variables(order(20), frozenset({"order.lines"}))["order.lines"]
    assert line.keys() == LINES.keys(), "LINES is not what conditions see of a line"
    return table(("Field", "What it is"), ((code(name), LINES[name]) for name in line))


def condition_examples() -> str:
    return table(("What is asked", "Condition"), ((asked, code(when)) for asked, (_, when) in EXAMPLES.items()))


def attributes() -> str:
    return ", ".join(map(code, BUILT_IN_ATTRIBUTES))


def program_file() -> str:
    return f"```yaml\n{PROGRAM.read_text(encoding='utf-8')}```"


def metrics() -> str:
    # Where a metric has labels, only the metric itself can tell their names.
    found = dict.fromkeys(Metrics().registry._names_to_collectors.values())  # noqa: SLF001 - no public way
    rows = []
    for metric in found:
        (family,) = metric.describe()  # type: ignore[attr-defined]
        name = family.name + "_total" * isinstance(metric, Counter)
        labels = ", ".join(map(code, metric._labelnames)) or "(none)"  # type: ignore[attr-defined]  # noqa: SLF001
        rows.append((code(name), family.type, labels, family.documentation))
    return table(("Name", "Type", "Labels", "What it counts"), sorted(rows))


def error_tree() -> str:
    return "```text\n" + (errors.__doc__ or "").partition("\n\n")[2].strip() + "\n```"


def scopes() -> str:
    return table(("Scope", "What a key with it may do"), ((code(name), text) for name, text in SCOPES.items()))


def reports() -> str:
    return "\n\n".join(map(_report, REPORTS.values()))


def _report(report: Report) -> str:
    options = ["--from", "--to", "--program", *["--by"] * report.splits, *["--wallet"] * report.by_wallet]
    lines = [
        f"## {report.name}",
        report.about,
        f"`stampcard report {report.name}` with {', '.join(map(code, options))}; `GET /api/v1/reports/{report.name}`.",
        table(("Column", "In", "What it is"), ((code(one.name), one.kind, _meaning(one)) for one in report.columns)),
        "\n".join(
            fill(f"* {note}", 120, subsequent_indent="  ") for note in (*report.notes, *map(_always, report.identities))
        ),
    ]
    return "\n\n".join(lines)


def _always(identity: Identity) -> str:
    return f"Always: {code(identity.of)} = {_formula(str(identity.formula))}."


def _meaning(column: Column) -> str:
    return f"{column.means}: {_formula(str(column.formula))}" if column.formula is not None else column.means


def _formula(text: str) -> str:
    return re.sub(r"\w+", lambda name: code(name[0]), text)


PARTS: Mapping[str, Callable[[], str]] = {
    "settings": settings,
    "shopify-settings": partial(plugin_settings, ShopifySettings),
    "woocommerce-settings": partial(plugin_settings, WooCommerceSettings),
    "google-wallet-settings": partial(plugin_settings, GoogleWalletSettings, "google"),
    "hubspot-settings": partial(plugin_settings, HubSpotSettings, "crm"),
    "hubspot-fields": hubspot_fields,
    "smtp-settings": partial(plugin_settings, SmtpSettings, "mail"),
    "twilio-settings": partial(plugin_settings, TwilioSettings, "text"),
    "inbox-settings": partial(plugin_settings, InboxSettings, "app"),
    "standard-webhooks-settings": partial(plugin_settings, StandardWebhooksSettings, "till"),
    "standard-webhooks-messages": standard_webhooks_messages,
    "mapping-settings": mapping_settings,
    "mapping-readings": mapping_readings,
    **{f"program-{name.lower()}": partial(section, name) for name in SECTIONS},
    "program-file": program_file,
    "condition-variables": condition_variables,
    "condition-lines": condition_lines,
    "condition-examples": condition_examples,
    "attributes": attributes,
    "history": history,
    "reported-events": reported_events,
    "metrics": metrics,
    "error-tree": error_tree,
    "scopes": scopes,
    "reports": reports,
}


def renewed(text: str) -> str:
    """A page with its generated parts made anew."""
    return _PART.sub(lambda found: f"{found[1]}{PARTS[found[2]]()}\n{found[3]}", text)


def pages() -> list[Path]:
    """Every page with a generated part."""
    found = sorted((ROOT / "docs").rglob("*.md"))
    return [page for page in found if _PART.search(page.read_text(encoding="utf-8"))]


def main(arguments: Sequence[str]) -> int:
    """0 when every page was right already or was written anew."""
    stale = [page for page in pages() if renewed(page.read_text(encoding="utf-8")) != page.read_text(encoding="utf-8")]
    for page in stale:
        print(page.relative_to(ROOT))
        if "--check" not in arguments:
            page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")
    return int("--check" in arguments and bool(stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

# ruff: noqa: INP001, T201 - a script that people run
"""Writes docs/reference/plugin-api.md anew from the docstrings of `stampcard.plugin`; with --check only says if it must."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import Any, get_args

from stampcard import plugin

PAGE = Path(__file__).resolve().parent / "reference" / "plugin-api.md"
HEAD = """# Plugin API

Everything that a plugin may import, and nothing else: `from stampcard import plugin`, or the names one by one from
`stampcard.plugin`. The hooks are in [hooks](hooks.md), the way to a first plugin in
[write a plugin](../how-to/write-a-plugin.md). Values are frozen, built by keyword and changed with
`msgspec.structs.replace`.

This page is written by `python docs/plugin_api.py`.
"""
GROUPS = {
    "Who a plugin is": ("plugin.manifest", "plugin.hookspecs"),
    "What a connection gets and gives": (
        "plugin.connections",
        "plugin.capabilities",
        "plugin.rates",
        "plugin.visits",
        "clock",
    ),
    "Webhooks": ("plugin.requests", "plugin.signatures", "plugin.subscriptions"),
    "Deliveries and events": ("domain.deliveries", "domain.events", "domain.orders", "plugin.orders"),
    "What leaves, and what became of it": ("domain.commands", "plugin.outcomes"),
    "Messages": ("domain.messages", "domain.texting", "plugin.channels"),
    "Contacts of a CRM": ("domain.contacts", "plugin.contacts"),
    "Audiences": ("domain.audiences", "plugin.audiences"),
    "Cards in phones": ("domain.passes", "plugin.passes"),
    "Members, points and awards": (
        "domain.members",
        "domain.wallets",
        "domain.awards",
        "domain.decisions",
        "domain.rewards",
        "domain.perks",
        "domain.proofs",
    ),
    "Errors": ("errors",),
}
#: What can carry no docstring of its own: the module that it belongs to, and its sentence.
BARE = {
    "API_VERSION": ("plugin.manifest", f"Major and minor version of the plugin API: `{plugin.API_VERSION}`."),
    "Because": ("domain.messages", "What a failure says of whom a message was sent to: `address`, `opted_out`, or nothing."),
    "Dial": ("plugin.connections", "An async function that opens a connected socket to a host and port, its address checked."),
    "Form": ("domain.messages", "What kind of text a channel takes: `mail`, `text` or `note`."),
    "Need": ("domain.messages", "What a member needs to be reached by a channel: `email`, `phone`, `reference` or `nothing`."),
    "Reported": ("domain.messages", "How far a message came, as a channel reports it: `queued`, `sent`, `delivered`, `bounced` and so on."),
    "Choice": ("plugin.contacts", "What stands for one of our names in a map of fields: their field, a `FieldChoice`, or `False` for none."),
    "FIGURES": ("domain.contacts", "What can be shown of a member that is known here alone: our name to a kind of field and a label."),
    "HashKind": ("domain.audiences", "What is hashed of a person: `email`, `email_undotted`, `phone` or `phone_digits`."),
    "hookimpl": ("plugin.hookspecs", "The decorator that marks a function as the implementation of the hook it is named after."),
    "Event": ("domain.events", ""),
    "Feature": ("plugin.capabilities", "The name of something that a fulfilment may be able to enforce of a voucher, or to do with it later."),
    "Fetch": ("plugin.capabilities", "An async function that reads the records of several `Refetch` and gives each as a `Delivery`."),
    "Lookup": ("plugin.outcomes", ""),
    "Outcome": ("plugin.outcomes", ""),
    "RewardKind": ("domain.rewards", "The name of a kind of reward, such as `amount_off` or `gift_card`."),
    "StackGroup": ("domain.rewards", "How a code goes with others: `always`, `common` or `never`."),
}  # fmt: skip


def page() -> str:
    """The whole page; fails for a name that has no sentence or no place on it."""
    placed = {module: heading for heading, modules in GROUPS.items() for module in modules}
    rows: dict[str, list[str]] = {heading: [] for heading in GROUPS}
    for name in sorted(plugin.__all__, key=str.lower):
        module, sentence = _described(name, getattr(plugin, name))
        rows[placed[module]].append(f"| `{name}` | {sentence.replace('|', chr(92) + '|')} |")
    parts = [f"## {heading}\n\n| Name | What it is |\n| --- | --- |\n" + "\n".join(of) for heading, of in rows.items()]
    return HEAD + "\n" + "\n\n".join(parts) + "\n"


def _described(name: str, thing: Any) -> tuple[str, str]:
    """The module that a name of the façade belongs to, below `stampcard`, and what it is."""
    if isinstance(thing, UnionType):
        return BARE[name][0], "One of " + ", ".join(f"`{part.__name__}`" for part in get_args(thing)) + "."
    if name in BARE:
        return BARE[name]
    paragraph = (inspect.getdoc(thing) or "").partition("\n\n")[0]
    if not paragraph:
        raise SystemExit(f"{name} has no docstring")
    return thing.__module__.removeprefix("stampcard."), " ".join(paragraph.replace("``", "`").split())


def main(arguments: Sequence[str]) -> int:
    """0 when the page was right already or was written anew."""
    stale = not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page()
    if stale:
        print(PAGE.name)
    if stale and "--check" not in arguments:
        PAGE.write_text(page(), encoding="utf-8")
    return int(stale and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

# ruff: noqa: INP001, T201 - a script that people run
"""Writes docs/reference/fulfilment.md anew: who makes which reward real, and what each of them can enforce.

A vendor's columns are what its plugin says of itself; the others are the ways that need no vendor.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, get_args

from stampcard.domain.rewards import RewardKind
from stampcard.plugin import Feature, Support
from stampcard.program.rewards import BY_US
from stampcard_shopify import offering as shopify
from stampcard_woocommerce import offering as woocommerce

PAGE = Path(__file__).resolve().parent / "reference" / "fulfilment.md"
HEAD = """# Who makes a reward real, and what they enforce

`by` of a reward names who makes it real. A code carries everything that its maker can enforce; this page says what that is.
**yes**: it does. **no**: it does not. A number leads to what to expect instead, below the tables.

This page is written by `make docs`, from what each plugin says of itself.
"""
WORDS: Mapping[Feature, str] = {
    "member_only": "it works for its member alone",
    "minimum": "an order must reach a minimum",
    "products": "only some products count",
    "collections": "only some collections count",
    "at_most": "a percentage takes off at most so much",
    "dates": "it begins and ends with its dates",
    "uses": "it can be used so many times",
    "combining": "it goes with other codes by `stack`",
    "withdraw": "it is switched off when it is taken back",
    "restore": "what was switched off is switched on again",
    "seen_when_used": "its redemption is marked used by the order",
    "bulk": "many are made at once, ahead",
}
YES, NO = Support(level="yes"), Support(level="no")


class Maker(NamedTuple):
    """A column: what is left out is a no."""

    name: str
    kinds: Mapping[RewardKind, Support]
    features: Mapping[Feature, Support]


def _caveat(note: str) -> Support:
    return Support(level="caveat", note=note)


_ASK = _caveat("the till asks: carts are evaluated with it, a code that is only looked up is not judged")
_LOOK = _caveat("the till asks: a code that is over is told as over, and takes no second place")
_TILL: Mapping[Feature, Support] = {
    "member_only": _caveat("looking a code up tells whose it is; whoever looks must compare"),
    "minimum": _ASK,
    "products": _ASK,
    "collections": _ASK,
    "at_most": _ASK,
    "dates": _LOOK,
    "uses": _LOOK,
    "combining": _ASK,
    "withdraw": YES,
    "restore": YES,
    "seen_when_used": _caveat("where the order brings the code, or the till says so"),
}
_PRINTED = _caveat("only what was agreed with whoever made the codes; we tell the till what we know of it")
_CODES = {kind: YES for kind in get_args(RewardKind) if kind not in BY_US}
MAKERS = (
    Maker("Shopify", shopify.KINDS, shopify.FEATURES),
    Maker("WooCommerce", woocommerce.KINDS, woocommerce.FEATURES),
    Maker("`own` codes", _CODES, _TILL),
    Maker("`pool` codes", _CODES, {**dict.fromkeys(_TILL, _PRINTED), "bulk": _caveat("by upload, or at a shop")}),
    Maker(
        "`manual`: people",
        _CODES,
        {
            **dict.fromkeys(_TILL, _caveat("whoever hands it out sees to it")),
            "withdraw": _caveat("until it is handed out"),
            "restore": NO,
        },
    ),
)


def page() -> str:
    notes: dict[str, int] = {}
    kinds = [(f"`{kind}`", [maker.kinds.get(kind, NO) for maker in MAKERS]) for kind in _CODES]
    features = [
        (WORDS[feature], [maker.features.get(feature, NO) for maker in MAKERS]) for feature in get_args(Feature)
    ]
    tables = [_table("Kind", kinds, notes), _table("What is enforced", features, notes)]
    ours = " and ".join(f"`{kind}`" for kind in sorted(BY_US))
    listed = [f"{number}. {note[0].upper()}{note[1:]}." for note, number in notes.items()]
    return "\n".join([
        HEAD,
        f"## Kinds\n\nRewards of the kinds {ours} are made real here, at once, and are nobody's business.\n",
        tables[0],
        "## Terms\n",
        tables[1],
        "## Notes\n",
        *listed,
        "",
    ])  # fmt: skip


def _table(what: str, rows: list[tuple[str, list[Support]]], notes: dict[str, int]) -> str:
    names = [what, *(maker.name for maker in MAKERS)]
    lines = [names, ["---"] * len(names), *([name, *(_cell(one, notes) for one in cells)] for name, cells in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(support: Support, notes: dict[str, int]) -> str:
    word = {"yes": "yes", "no": "no", "caveat": "yes, but"}[support.level]
    return f"{word} ({notes.setdefault(support.note, len(notes) + 1)})" if support.note else word


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)

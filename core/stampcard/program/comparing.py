"""What changed between two versions of a program, in words: "rule purchase: award 1 per 1 EUR → 2 per 1 EUR"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from stampcard.program.model import Program
from stampcard.program.rules import Rule

_NOTHING, _AS_WALLET, _AS_REWARD = "(none)", "(as its wallet)", "(as its reward)"
#: What a rule may say for itself, "none" too.
_LIFETIMES = frozenset({"expire", "pending"})
#: Parts by name; what else a program says is told as its own settings.
_SECTIONS = {
    "wallets": "wallet",
    "groups": "group",
    "campaigns": "campaign",
    "proofs": "proof",
    "plans": "plan",
    "perks": "perk",
    "messages": "message",
}


def changes(before: Program | None, after: Program) -> list[str]:
    """Each part that is new, gone or different, in the order of the file."""
    if before is None:
        return [f"program {after.program} is new"]
    old, new = _parts(before), _parts(after)
    said = [line for name in new for line in _part(name, old.get(name), new[name])]
    said += [f"{name} is gone" for name in old if name not in new]
    return [*said, *_order(before, after)]


def _parts(program: Program) -> dict[str, BaseModel]:
    """Every part by its name; the program itself without them."""
    rest: dict[str, Any] = {name: () if name == "rules" else {} for name in (*_SECTIONS, "rules")}
    parts: dict[str, BaseModel] = {"program": program.model_copy(update=rest)}
    for section, what in _SECTIONS.items():
        parts |= {f"{what} {name}": part for name, part in getattr(program, section).items()}
    return parts | {f"rule {rule.id}": rule for rule in program.rules}


def _part(name: str, old: BaseModel | None, new: BaseModel) -> Iterator[str]:
    if old is None:
        yield f"{name} is new" + (f": {new.award} on {new.on}" if isinstance(new, Rule) else "")
        return
    if old == new and _settings(old) == _settings(new):
        return
    before, after = _settings(old), _settings(new)
    said, lifetimes = _said(old) | _said(new), _lifetimes(new)
    for setting in dict.fromkeys([*before, *after]):
        was, now = before.get(setting), after.get(setting)
        # A section that came or went brings its defaults along, which nobody said.
        if was != now and (None not in {was, now} or setting in said):
            around = _AS_WALLET if isinstance(new, Rule) else _AS_REWARD
            nothing = around if setting in lifetimes else _NOTHING
            yield f"{name}: {setting} {was or nothing} → {now or nothing}"


def _settings(part: BaseModel) -> dict[str, str]:
    """What it says and what follows by default; lifetimes of its own only where it says them."""
    lifetimes = _lifetimes(part)
    return {key: text for key, text in _flat(part.model_dump(mode="json")) if lifetimes.get(key, True)}


def _said(part: BaseModel) -> set[str]:
    own = {setting for setting, is_said in _lifetimes(part).items() if is_said}
    return {setting for setting, _ in _flat(part.model_dump(mode="json", exclude_defaults=True))} | own


def _lifetimes(part: BaseModel) -> dict[str, bool]:
    """Settings that are another's where they are left out, and whether they are said; "none" is saying something."""
    if isinstance(part, Rule):
        return {name: name in part.overrides for name in _LIFETIMES}
    return {
        f"rewards.{name}.values.{number}.valid": value.says_valid
        for name, reward in (part.rewards.items() if isinstance(part, Program) else ())
        for number, value in enumerate(reward.values, start=1)
    }


def _flat(data: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every setting that has a value, with the path to it."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from _flat(value, f"{place}.{key}" if place else str(key))
    elif isinstance(data, list) and any(isinstance(one, Mapping) for one in data):
        for number, one in enumerate(data, start=1):
            yield from _flat(one, f"{place}.{number}")
    elif isinstance(data, list):
        if data:
            yield place, ", ".join(map(str, data))
    elif isinstance(data, bool):
        yield place, str(data).lower()
    elif data not in (None, ""):
        yield place, str(data)


def _order(before: Program, after: Program) -> Iterator[str]:
    """Rules are looked at in the file's order, so that it may matter."""
    old, new = [rule.id for rule in before.rules], [rule.id for rule in after.rules]
    if [id_ for id_ in old if id_ in new] != [id_ for id_ in new if id_ in old]:
        yield f"rules: their order is now {', '.join(new)}"
    for name, campaign in after.campaigns.items():
        was = before.campaigns.get(name)
        if was is not None and was == campaign and list(was.variants) != list(campaign.variants):
            yield f"campaign {name}: its variants are drawn in another order"

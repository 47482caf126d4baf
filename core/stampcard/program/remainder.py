"""What is left of a program file once the parts that were refused are taken out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from pydantic_core import ErrorDetails

# Other settings are checked against these, so that nothing can be said without them.
_LEANED_ON = frozenset({"scale"})
# Settings of a rule that the rest can be judged without.
_LEFT_OUT = frozenset(
    {
        "enabled", "during", "who", "values", "expire", "pending", "cooldown", "limits", "groups", "campaign",
        "variant", "stack", "priority",
    }
)  # fmt: skip
# What goes with them, because it would be refused without.
_WITH = {"campaign": ("variant",)}


class Remainder:
    """Plain data to be validated; `rules` are the positions in the file of the rules that are left."""

    def __init__(self, data: dict[str, Any], rules: tuple[int, ...]) -> None:
        self.data = data
        self.rules = rules

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        """The whole file."""
        rules = data.get("rules")
        return cls(data, tuple(range(len(rules))) if isinstance(rules, list) else ())

    def placed(self, path: tuple[str | int, ...]) -> tuple[str | int, ...]:
        """The same path, its rule counted as in the file."""
        match path:
            case ("rules", int(index), *rest):
                return ("rules", self.rules[index], *rest)
        return path

    def located(self, details: ErrorDetails) -> ErrorDetails:
        """The same error, its rule counted as in the file."""
        details["loc"] = self.placed(details["loc"])
        return details

    def without(self, wrong: Iterable[ErrorDetails]) -> Self | None:
        """What remains, or None if too little does; the errors' rules are counted as in the file."""
        data = self.data
        rules = dict(zip(self.rules, data["rules"], strict=True)) if self.rules else {}
        for details in wrong:
            is_unknown = details["type"] == "extra_forbidden"
            match details["loc"]:
                case ("rules", int(index), *path):
                    rules[index] = _mended(rules[index], path, index, data, is_unknown=is_unknown)
                case ("rewards", str(name), "gives" | "wallet" as setting, *_) if name in (data.get("rewards") or {}):
                    stand_in = "experience" if setting == "gives" else next(iter(data["wallets"]))
                    data = _removed(data, ("rewards", name, setting))
                    there = data["rewards"]
                    data = {**data, "rewards": {**there, name: {**there[name], setting: stand_in}}}
                case path if is_unknown or _is_optional(_cut(path)):
                    data = _removed(data, path if is_unknown else _cut(path))
                case _:
                    return None
        left = {index: rule for index, rule in rules.items() if rule is not None}
        return type(self)(data | {"rules": list(left.values())}, tuple(left))


def _mended(rule: Any, path: list[str | int], index: int, data: dict[str, Any], *, is_unknown: bool) -> Any:
    """The rule with something harmless in the place of what was refused; None if its condition hangs on that."""
    if rule is None or is_unknown:
        return rule and _removed(rule, tuple(path))
    if path and path[0] in _LEFT_OUT and path[0] in rule:
        gone = {path[0], *_WITH.get(str(path[0]), ())}
        return {key: value for key, value in rule.items() if key not in gone}
    stand_ins: dict[str | int, dict[str, Any]] = {
        "id": {"id": f"the-rule-at-{index}"},
        "award": {"award": 1},
        "wallet": {"wallet": next(iter(data["wallets"])), "award": 1, "values": []},
        "base": {"base": {}},
    }
    mended = rule | stand_ins[path[0]] if path and path[0] in stand_ins else None
    return None if mended == rule else mended


def _is_optional(path: tuple[str | int, ...]) -> bool:
    match path:
        case ("wallets", str(), str(setting), *_):
            return setting not in _LEANED_ON and setting != "[key]"
        case ("name" | "accept_late" | "state" | "audience" | "ending",):
            return True
        case ("rates", str()) | ("groups" | "campaigns" | "rewards" | "perks" | "plans" | "proofs", str(), str(), *_):
            return path[-1] != "[key]"
    return False


def _cut(path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """What is taken out as a whole where something in it was refused."""
    match path:
        case (
            "groups" | "campaigns" | "rewards" | "perks" | "plans" | "proofs" as section,
            str(name),
            str(setting),
            *_,
        ):
            return section, name, setting
        case ("audience" | "ending" | "state" as section, *_):
            return (section,)
        case ("wallets", str(name), "refunds", str(setting), *_):
            return "wallets", name, "refunds", setting
        case ("wallets", str(name), str(setting), *_):
            return "wallets", name, setting
    return path


def _removed(data: Any, path: tuple[str | int, ...]) -> Any:
    first, *rest = path
    if isinstance(data, list) and isinstance(first, int):
        inside = [_removed(data[first], tuple(rest))] if rest else []
        return [*data[:first], *inside, *data[first + 1 :]]
    if not isinstance(data, dict) or first not in data:
        return data
    if not rest:
        return {key: value for key, value in data.items() if key != first}
    return data | {str(first): _removed(data[str(first)], tuple(rest))}

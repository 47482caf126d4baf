"""What is left of a program file once the parts that were refused are taken out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from pydantic_core import ErrorDetails

# Other settings are checked against these, so that nothing can be said without them.
_LEANED_ON = frozenset({"scale"})


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

    def located(self, details: ErrorDetails) -> ErrorDetails:
        """The same error, its rule counted as in the file."""
        match details["loc"]:
            case ("rules", int(index), *rest):
                details["loc"] = ("rules", self.rules[index], *rest)
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
                case path if is_unknown or _is_optional(path):
                    data = _removed(data, path)
                case _:
                    return None
        left = {index: rule for index, rule in rules.items() if rule is not None}
        return type(self)(data | {"rules": list(left.values())}, tuple(left))


def _mended(rule: Any, path: list[str | int], index: int, data: dict[str, Any], *, is_unknown: bool) -> Any:
    """The rule with something harmless in the place of what was refused; None if its condition hangs on that."""
    if rule is None or is_unknown:
        return rule and _removed(rule, tuple(path))
    stand_ins: dict[str | int, dict[str, Any]] = {
        "id": {"id": f"the-rule-at-{index}"},
        "award": {"award": 1},
        "wallet": {"wallet": next(iter(data["wallets"])), "award": 1},
        "base": {"base": {}},
    }
    mended = rule | stand_ins[path[0]] if path and path[0] in stand_ins else None
    return None if mended == rule else mended


def _is_optional(path: tuple[str | int, ...]) -> bool:
    match path:
        case ("wallets", str(), str(setting), *_):
            return setting not in _LEANED_ON and setting != "[key]"
        case ("name" | "accept_late",):
            return True
    return False


def _removed(data: dict[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    first, *rest = path
    if not rest:
        return {key: value for key, value in data.items() if key != first}
    return data | {str(first): _removed(data[str(first)], tuple(rest))}

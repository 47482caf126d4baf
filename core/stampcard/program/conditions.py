"""The conditions of rules: checked when the program is read, decided together for each event.

CEL through cel_expr_python, behind these few names. A condition sees flat typed names (`order.total`) and open maps
(`member.attributes`); reading an absent key of a map is an error, so has(member.attributes.country) is asked first.
Maps cannot hold moments: a date in one is read as timestamp(member.attributes.birthday).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from cel_expr_python.cel import Activation, Env, Expression, Type

from stampcard.domain.value import Value
from stampcard.program.environment import environment, fields_of, variables
from stampcard.program.events import PERK, REWARD, SEGMENT
from stampcard.program.model import Program
from stampcard.program.rewards import Reward
from stampcard.program.rules import Rule
from stampcard.program.wording import Flaw, failure, flaws

LONGEST_CONDITION = 2_000

_TEXT = re.compile(r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_OPEN_FIELD = re.compile(r"\b(member\.attributes|event\.data)\.([A-Za-z_][A-Za-z0-9_]*+)(?!\s*\()")


_READY = frozenset({bool, int, float, datetime})
#: Parts a rule's id from the number of one of its values.
VALUE = "#"
_NONE: Mapping[str, Any] = {}
_BOOL = {bool}


def value_key(rule: str, index: int) -> str:
    """What the condition of a rule's value is called."""
    return f"{rule}{VALUE}{index}"


class ConditionError(Value, frozen=True):
    """A condition that could not be decided for this event: its rule stays undecided, the others go on."""

    rule: str
    message: str


Verdict = bool | ConditionError
Path = tuple[str | int, ...]


class Asked(Value, frozen=True):
    """Something with conditions: its own, and those of its options, each with the tier that it is for."""

    id: str
    when: str | None
    options: tuple[tuple[str | None, str | None], ...] = ()
    also: frozenset[str] = frozenset()


def _asked_of_rule(program: Program, rule: Rule) -> Asked:
    options = tuple((value.tier, value.when) for value in rule.values)
    return Asked(id=rule.id, when=rule.when, options=options, also=_of_members(program, rule))


def _asked_of_reward(program: Program, name: str, reward: Reward) -> Asked:
    options = tuple((option.tier, option.when) for option in (*reward.prices, *reward.values))
    return Asked(id=name, when=reward.when, options=options, also=_of_members(program, reward))


def _of_members(program: Program, of: Rule | Reward) -> frozenset[str]:
    """What decides, beside a condition, for whom something is."""
    campaign = program.campaigns.get(of.campaign)
    whom = [who for who in (of.who, campaign.who if campaign is not None else None) if who is not None]
    tiers = {"member.tier" for who in whom if who.tiers}
    return frozenset(tiers | {"member.segments" for who in whom if who.segments})


class ConditionSet:
    """The conditions of all rules on one event type, or of all rewards, decided together.

    `ids`: those rules, by priority, then in file order. `reads`: at least every variable that their conditions use;
    `evaluate` needs no others.
    """

    def __init__(self, program: Program, on: str, of: Sequence[Asked]) -> None:
        self.ids = tuple(one.id for one in of)
        conditions = {one.id: one.when for one in of if one.when is not None}
        conditions |= {
            value_key(one.id, index): when
            for one in of
            for index, (_, when) in enumerate(one.options)
            if when is not None
        }
        known = variables(program, on)
        self.reads = frozenset(name for name in known if _mentions(conditions.values(), name))
        self._dates = {f"member.attributes.{name}" for name, kind in program.attribute_types.items() if kind == "date"}
        fields = fields_of(program, on) or {}
        self._dates |= {f"event.data.{name}" for name, kind in fields.items() if kind == "date"}
        self._environment = environment(program, on) if conditions else None
        self._single = (
            {rule: self._environment.compile(text) for rule, text in conditions.items()} if self._environment else {}
        )
        self._joined = self._join(conditions.values())
        positions = {key: place for place, key in enumerate(conditions)}
        self._places = tuple(positions.get(id_) for id_ in self.ids)
        self._values = {key: place for key, place in positions.items() if VALUE in key}
        if any(tier is not None for one in of for tier, _ in one.options):
            self.reads |= {"member.tier"}
        self.reads |= frozenset[str]().union(*(one.also for one in of))

    def evaluate(self, variables: Mapping[str, object]) -> tuple[list[Verdict], Mapping[str, Verdict]]:
        """A verdict for each of `ids` (a rule without a condition is True), and for each value's condition.

        `variables` maps the names in `reads` to plain values, Decimals, dates, aware datetimes, and lists and mappings
        of these.
        """
        data = {name: self._handed(name, variables[name]) for name in self.reads if name in variables}
        verdicts = self._together(data) or self._singly(data)
        rules = [True if place is None else verdicts[place] for place in self._places]
        return rules, {key: verdicts[place] for key, place in self._values.items()} if self._values else _NONE

    def _together(self, data: Mapping[str, Any]) -> list[Verdict]:
        """The verdicts of all conditions, or nothing if any of them fails."""
        if self._joined is None:
            return []
        try:
            verdicts = self._joined.eval(data=data).plain_value()
        except RuntimeError:
            return []
        # What is read from an open map may be anything.
        return verdicts if isinstance(verdicts, list) and set(map(type, verdicts)) == _BOOL else []

    def _singly(self, data: Mapping[str, Any]) -> list[Verdict]:
        if self._environment is None:
            return []
        activation = self._environment.Activation(data)
        return [_verdict(rule, condition, activation) for rule, condition in self._single.items()]

    def _join(self, conditions: Iterable[str]) -> Expression | None:
        """All conditions as one list; the line break ends a comment. None where the list exceeds a limit of CEL."""
        if self._environment is None:
            return None
        try:
            return self._environment.compile("[" + ", ".join(f"({text}\n)" for text in conditions) + "]")
        except RuntimeError:
            return None

    def _handed(self, name: str, value: object) -> Any:
        # Most of what is handed in needs no conversion; asking for that first is worth 10 µs an order.
        if type(value) in _READY or (type(value) is str and name not in self._dates):
            return value
        return self._plain(name, value)

    def _plain(self, path: str, value: object) -> Any:
        match value:
            case Decimal():
                return float(value)
            case Mapping():
                return {key: self._plain(f"{path}.{key}", inner) for key, inner in value.items()}
            case list() | tuple() | frozenset():
                return [self._plain(path, inner) for inner in value]
            case datetime():
                return value.isoformat()
            case date() | str() if isinstance(value, date) or (path in self._dates and _DATE.fullmatch(value)):
                return f"{value}T00:00:00Z"
        return value


def compile_conditions(program: Program) -> Mapping[str, ConditionSet]:
    """The conditions of each event type that the program has rules on; the program must have passed `flaws_of`."""
    by_priority = sorted(program.rules, key=lambda rule: rule.priority)
    return {
        on: ConditionSet(program, on, [_asked_of_rule(program, rule) for rule in by_priority if rule.on == on])
        for on in dict.fromkeys(rule.on for rule in program.rules)
    }


def compile_reward_conditions(program: Program) -> ConditionSet:
    """The conditions of all rewards; a reward's options are its prices, then its values."""
    return ConditionSet(program, REWARD, [_asked_of_reward(program, *named) for named in program.rewards.items()])


def compile_segment_conditions(program: Program) -> ConditionSet:
    """The conditions of all segments that have one."""
    asked = [Asked(id=name, when=of.when) for name, of in program.segments.items() if of.when is not None]
    return ConditionSet(program, SEGMENT, asked)


def compile_perk_conditions(program: Program) -> ConditionSet:
    """The conditions of all perks that have one."""
    return ConditionSet(program, PERK, [Asked(id=name, when=of.when) for name, of in program.perks.items() if of.when])


def compile_message_conditions(program: Program) -> Mapping[str, ConditionSet]:
    """The conditions of messages, by the event that they are on."""
    found: dict[str, list[Asked]] = {}
    for name, of in program.messages.items():
        also = frozenset({"member.tier"} if of.who and of.who.tiers else ()) | frozenset(
            {"member.segments"} if of.who and of.who.segments else ()
        )
        found.setdefault(of.on.asked_as, []).append(Asked(id=name, when=of.when, also=also))
    return {on: ConditionSet(program, on, asked) for on, asked in found.items()}


def flaws_of(program: Program) -> list[tuple[Path, Flaw]]:
    """Everything that is wrong with the program's conditions, with the path of each."""
    conditions = [
        (rule.on, ("rules", position, *path), text)
        for position, rule in enumerate(program.rules)
        for path, text in _conditions(rule)
    ]
    conditions += [
        (REWARD, ("rewards", name, *path), text)
        for name, reward in program.rewards.items()
        for path, text in _conditions(reward)
    ]
    conditions += [
        (SEGMENT, ("segments", name, "when"), of.when) for name, of in program.segments.items() if of.when is not None
    ]
    conditions += [
        (PERK, ("perks", name, "when"), of.when) for name, of in program.perks.items() if of.when is not None
    ]
    conditions += [
        (of.on.asked_as, ("messages", name, "when"), of.when)
        for name, of in program.messages.items()
        if of.when is not None
    ]
    environments = {on: environment(program, on) for on in {on for on, _, _ in conditions}}
    return [(path, flaw) for on, path, text in conditions for flaw in _flaws(program, on, text, environments)]


def _conditions(of: Rule | Reward) -> Iterable[tuple[Path, str]]:
    if of.when is not None:
        yield ("when",), of.when
    lists: list[tuple[str, Sequence[Any]]] = [("values", of.values)]
    lists += [("prices", of.prices)] if isinstance(of, Reward) else []
    for section, options in lists:
        for index, option in enumerate(options):
            if option.when is not None:
                yield (section, index, "when"), option.when


def _flaws(program: Program, on: str, text: str, environments: Mapping[str, Env]) -> list[Flaw]:
    if len(text) > LONGEST_CONDITION:
        return [Flaw(1, 1, f"a condition has at most {LONGEST_CONDITION} characters, this has {len(text)}")]
    try:
        kind = environments[on].compile(text).return_type()
    except RuntimeError as error:
        return flaws(str(error), _names(program, on))
    if kind not in (Type.BOOL, Type.DYN):
        return [Flaw(1, 1, "a condition is true or false: compare with something, such as '== true'")]
    return _unknown_fields(program, on, text)


def _names(program: Program, on: str) -> list[str]:
    attributes = (f"member.attributes.{name}" for name in program.attribute_types)
    fields = (f"event.data.{name}" for name in fields_of(program, on) or ())
    return [*variables(program, on), *attributes, *fields]


def _unknown_fields(program: Program, on: str, text: str) -> list[Flaw]:
    """Keys of the open maps that the program never declared: the compiler cannot know them."""
    known = {"member.attributes": list(program.attribute_types), "event.data": list(fields_of(program, on) or ())}
    found = []
    blanked = _TEXT.sub(lambda quoted: " " * len(quoted[0]), text)
    for use in _OPEN_FIELD.finditer(blanked):
        if use[2] not in known[use[1]]:
            before = blanked[: use.start(2)]
            line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
            section = "attributes" if use[1] == "member.attributes" else f"events.{on}"
            found.append(Flaw(line, column, f"{use[2]!r} is not declared under {section}"))
    return found


def _mentions(conditions: Iterable[str], name: str) -> bool:
    """Whether any condition may use the name; its last word suffices, as blanks may surround a dot."""
    word = re.compile(rf"\b{re.escape(name.rpartition('.')[2])}\b")
    return any(word.search(text) for text in conditions)


def _verdict(rule: str, condition: Expression, activation: Activation) -> Verdict:
    try:
        value = condition.eval(activation)
    except RuntimeError as error:
        return ConditionError(rule=rule, message=failure(str(error)))
    if value.type() == Type.BOOL:
        return bool(value.plain_value())
    if value.type() == Type.ERROR:
        return ConditionError(rule=rule, message=failure(str(value.value())))
    return ConditionError(rule=rule, message="it is neither true nor false here: compare with something")

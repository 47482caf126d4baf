"""What conditions may see and call: the narrowed CEL environment of one event type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING

from cel_expr_python.cel import Env, EnvConfig, NewEnv, NewEnvConfigFromYaml, Type

from stampcard.program.events import OF_ORDERS, PERK, REWARD, SEGMENT, FieldType
from stampcard.program.history import HISTORY
from stampcard.program.occasions import AHEAD, BEHIND, HAPPENINGS

if TYPE_CHECKING:
    from stampcard.program.model import Program

_COMPARISONS = {"_<_": "less", "_<=_": "less_equals", "_>_": "greater", "_>=_": "greater_equals"}
_NUMBERS = {"int": "int64", "uint": "uint64", "double": "double"}
_ORDERED = ("bool", "string", "bytes", "timestamp", "duration")

# Without map and without joining text, no short expression can double its way through the memory.
_NARROWED = """
name: stampcard
stdlib:
  exclude_macros: [map]
  exclude_functions:
    - {name: _+_, overloads: [{id: add_string}, {id: add_bytes}]}
"""

_UNSEEN = {SEGMENT: ("member.segments", "member.perks", "facts"), PERK: ("member.perks", "facts")}
#: How much was bought of what: order.by_sku['A1'] is money.
BY = ("sku", "product", "vendor", "collection", "tag")


def environment(program: Program, on: str) -> Env:
    """The environment in which conditions of rules on that event are compiled."""
    return NewEnv(config=_library(), variables=variables(program, on))


def variables(program: Program, on: str) -> Mapping[str, Type]:
    """The names that conditions of that event may use, with their types."""
    fields, amounts = Type.Map(Type.STRING, Type.DYN), Type.Map(Type.STRING, Type.DOUBLE)
    seen = {
        "now": Type.TIMESTAMP,
        "facts": fields,
        "member.joined_at": Type.TIMESTAMP,
        "member.days": Type.INT,
        "member.tier": Type.STRING,
        "member.plan": Type.STRING,
        "member.consents": Type.List(Type.STRING),
        "member.verified": Type.List(Type.STRING),
        "member.segments": Type.List(Type.STRING),
        "member.perks": Type.List(Type.STRING),
        "member.attributes": fields,
    }
    seen |= {name: Type.DOUBLE if of.is_amount else Type.INT for name, of in HISTORY.items()}
    if on in OF_ORDERS or on == REWARD:
        seen |= {f"order.{name}": Type.DOUBLE for name in ("total", "subtotal", "discount", "tax", "shipping")}
        seen |= {f"order.{name}": Type.STRING for name in ("currency", "channel", "number")}
        seen |= {"order.items": Type.INT, "order.tags": Type.List(Type.STRING), "order.lines": Type.List(fields)}
        seen |= {f"order.by_{what}": amounts for what in BY}
    elif fields_of(program, on) is not None:
        seen["event.data"] = fields
    # What somebody is cannot hang on itself, on what follows from it, nor on what plugins know of one event.
    for name in _UNSEEN.get(on, ()):
        del seen[name]
    return seen


def fields_of(program: Program, on: str) -> Mapping[str, FieldType] | None:
    """What conditions may ask of an event, also of one that only messages are on; None where it tells nothing."""
    return program.event_fields(on) or {**AHEAD, **BEHIND, **HAPPENINGS}.get(on) or program.event_fields(on)


@cache
def _library() -> EnvConfig:
    return NewEnvConfigFromYaml(_configuration())


def _configuration() -> str:
    """The narrowed standard library, in which also numbers of different kinds compare: order.total >= 20."""
    excluded = "".join(f"    - {{name: {name}}}\n" for name in _COMPARISONS)
    declared = "".join(
        f"  - name: {name}\n    overloads:\n" + "".join(_overloads(stem)) for name, stem in _COMPARISONS.items()
    )
    return f"{_NARROWED}{excluded}functions:\n{declared}"


def _overloads(stem: str) -> Iterator[str]:
    pairs = [(left, right) for left in _NUMBERS for right in _NUMBERS] + [(same, same) for same in _ORDERED]
    for left, right in pairs:
        ending = _NUMBERS.get(left, left) + ("" if left == right else f"_{_NUMBERS[right]}")
        arguments = f"[{{type_name: {left}}}, {{type_name: {right}}}]"
        yield f"      - {{id: {stem}_{ending}, args: {arguments}, return: {{type_name: bool}}}}\n"

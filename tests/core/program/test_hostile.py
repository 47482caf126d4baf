"""Programs that nobody writes on purpose: whatever the text, it is a program or a list of problems, and soon."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from stampcard.domain.events import CustomEvent, OrderSeen
from stampcard.domain.orders import OrderLine
from stampcard.engine.deciding import decide_custom, decide_order
from stampcard.errors import EventRefused, Problem, ProgramError
from stampcard.program.reading import read_program
from stampcard.testing.building import order
from stampcard.testing.scenes import HEAD, Scene

PROGRAMS = sorted((Path(__file__).parents[3] / "config" / "programs").rglob("*.yaml"))

_leaves = (
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["1 per 1 EUR", "x2", "none", "12 months", "5 points ever", "08:00-11:00", "2026-12-24", "30 %",
                       "order.total >= 20", "order.total", "member.attributes.nothing", "gold", "points", "purchase",
                       "until fulfilled, at most 5 days", "99999 years", "12-31..01-02", "1 EUR per 1", "\x00", "[[["])
)  # fmt: skip
_anything = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in plain data."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in inside for place in places(part, (*path, key)))]


@cache
def plain() -> list[Any]:
    """The shipped programs."""
    return [YAML(typ="safe", pure=True).load(path.read_text()) for path in PROGRAMS]


@st.composite
def mutilated(draw: st.DrawFn) -> str:
    """A shipped program with a few values replaced, added or taken out; as JSON, which is YAML too."""
    data = copy.deepcopy(draw(st.sampled_from(plain())))
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from([place for place in places(data) if place]))
        *above, last = path
        part = data
        for key in above:
            part = part[key]
        what = draw(st.sampled_from(["replace", "remove", "add", "swap"]))
        if what == "remove":
            del part[last]
        elif what == "replace":
            part[last] = draw(_anything)
        elif what == "swap":
            part[last] = copy.deepcopy(
                draw(st.sampled_from([place_value(data, place) for place in places(data) if place]))
            )
        elif isinstance(part, dict):
            part[draw(st.sampled_from([*part, "when", "limits", "values", "during", "who", "award", "x"]))] = draw(
                _anything
            )
        else:
            part.append(draw(_anything))
    return json.dumps(data, default=str)


def place_value(data: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        data = data[key]
    return data


def problems_of(text: str) -> Sequence[Problem]:
    """What is wrong with a program; only ever told by ProgramError, which always has problems."""
    try:
        read_program(text, "mutilated")
    except ProgramError as error:
        return error.problems or (Problem(""),)
    return ()


def refusal_of(decide: Callable[[], object]) -> str:
    """The code with which an event is refused, or nothing."""
    try:
        decide()
    except EventRefused as error:
        return error.code
    return ""


@settings(max_examples=250)
@given(mutilated())
def test_a_mutilated_program_is_a_program_or_a_list_of_problems(text: str) -> None:
    assert all(problem.message for problem in problems_of(text))


@settings(max_examples=100)
@given(st.text(max_size=300))
def test_any_text_is_a_program_or_a_list_of_problems(text: str) -> None:
    with pytest.raises(ProgramError):
        read_program(text, "any text")


@pytest.mark.parametrize(
    "text",
    [
        "a: " * 50_000,
        "[" * 5_000,
        "{a: " * 5_000,
        HEAD + "wallets: {points: {}}\nrules:\n" + "  - {id: r, on: visit, award: 1}\n" * 1_500,
        HEAD + "wallets: {points: {}}\nrules: [{id: r, on: visit, award: " + "9" * 4_000 + "}]\n",
        HEAD + "wallets: {points: {expire: 999999 years}}\n",
        HEAD + "wallets: {points: {scale: 99}}\n",
        HEAD + "wallets: {points: {}}\nrules: [{id: r, on: visit, award: 1, when: '" + "(" * 1_900 + "'}]\n",
        HEAD + "wallets: {points: {}}\nrules: [{id: r, on: visit, award: 1, when: '" + "1+" * 900 + "1 > 0'}]\n",
    ],
    ids=["long", "deep", "deep maps", "many alike", "huge number", "for ever", "fine", "parentheses", "sum"],
)
def test_what_is_too_deep_or_too_large_is_refused_in_words(text: str) -> None:
    with pytest.raises(ProgramError) as raised:
        read_program(text, "hostile")
    assert len(raised.value.problems) >= 1


LOOPS = (
    "order.lines.all(a, order.lines.all(b, order.lines.all(c, order.lines.all(d, a.gross + b.gross > 0.0))))",
    "order.tags.exists(a, order.tags.exists(b, order.tags.exists(c, a == b && b == c && a == 'x')))",
)


@pytest.mark.parametrize("when", LOOPS)
def test_a_condition_that_loops_over_a_huge_order_is_stopped_and_the_others_pay(when: str) -> None:
    scene = Scene(
        "wallets: {points: {}}\nrules:\n"
        f'  - {{id: loop, on: purchase, award: 5, when: "{when}"}}\n'
        "  - {id: base, on: purchase, award: 10}\n"
    )
    many = tuple(OrderLine(reference=f"L{number}", quantity=1, gross=order(1).lines[0].gross) for number in range(400))
    scene.buys(lines=many, tags=tuple(f"t{number}" for number in range(400)))
    assert (scene.codes["loop"], scene.points) == ("condition_failed", {"base": 10})


_moments = st.datetimes(datetime(1971, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - made aware
_data = st.dictionaries(st.sampled_from(["amount", "stars", "order", "product", "x"]), _leaves, max_size=4)


@settings(max_examples=150)
@given(st.sampled_from(["reload", "review", "visit", "unheard_of"]), _moments, _data)
def test_an_event_with_whatever_data_pays_or_says_why_not(name: str, at: datetime, data: dict[str, Any]) -> None:
    scene = Scene(
        "wallets: {points: {expire: 12 months after last visit}}\nrules:\n"
        "  - {id: a, on: reload, award: 1 per 1 EUR, limits: 100 EUR per day}\n"
        "  - {id: b, on: review, award: 5, when: event.data.stars > 3}\n"
        "  - {id: c, on: visit, award: 5, cooldown: 1 hour}\n"
    )
    event = CustomEvent(name=name, customer="ann", key="k", occurred_at=at, data=data)
    member = scene.world.members["ann"]
    assert refusal_of(lambda: decide_custom(scene.world, event, member, "shop")) in {"", "from_the_future"}


@settings(max_examples=100)
@given(_moments, st.lists(st.decimals("0", "1e11", places=3), max_size=3), st.integers(-1000, 1000))
def test_an_order_of_whatever_day_and_size_is_decided_or_refused(at: datetime, amounts: list[Any], offset: int) -> None:
    scene = Scene(
        "wallets: {points: {scale: 6, pending: until 02-29, expire: '1 year, end of february'}}\n"
        "rules: [{id: a, on: purchase, award: 1000 per 0.01 EUR, during: {zone: shop, hours: 08:00-20:00}}]\n"
    )
    event = OrderSeen(reference="A", snapshot=order(*amounts, at=at, utc_offset=offset))
    assert refusal_of(lambda: decide_order(scene.world, event, "shop", "ann", at)) in {"", "from_the_future"}

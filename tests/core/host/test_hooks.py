import asyncio
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest

from stampcard.errors import PluginError, PluginSuspended
from stampcard.host import hooks as hooks_module
from stampcard.host.discovering import discover
from stampcard.host.hooks import MOST_ANSWERS, PATIENCE, Hooks
from stampcard.plugin import (
    Adjustment,
    Award,
    Change,
    Command,
    CustomEvent,
    Identity,
    Member,
    PluginManifest,
    PluginSettings,
    hookimpl,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MEMBER = Member(id="m1", joined_at=NOW)
EVENT = CustomEvent(name="visit", customer="c1", key="k1", occurred_at=NOW)
AWARD = Award(subject="event:k1", member="m1", program="club", rule="visit", wallet="points")
CHANGE = Change(member="m1", version=1, occurred_at=NOW, kinds=("earned",))


def hooks_of(**plugins: dict[str, Callable[..., Any]]) -> Hooks:
    modules: dict[str, ModuleType] = {}
    for name, functions in plugins.items():
        module = ModuleType(name)

        def plugin_manifest(name: str = name) -> PluginManifest:
            return PluginManifest(name=name, summary="a sample", settings=PluginSettings)

        for hook, function in {"plugin_manifest": plugin_manifest, **functions}.items():
            setattr(module, hook, hookimpl(function))
        modules[name] = module
    table = discover(modules, entries=())
    assert not table.failed
    return Hooks(table)


def adjusting(points: str) -> dict[str, Callable[..., Any]]:
    def award_adjustments(award: Award) -> Iterator[Adjustment]:
        yield Adjustment(points=Decimal(points), reason=award.rule)

    return {"award_adjustments": award_adjustments}


def failing(hook: str) -> dict[str, Callable[..., Any]]:
    def fail() -> Any:
        message = "anna@example.com"
        raise ValueError(message)

    return {hook: fail}


def command(key: str) -> Command:
    return Command(kind="message", key=key, member="m1", reference="r1")


def adjust(hooks: Hooks) -> tuple[Adjustment, ...]:
    return hooks.award_adjustments(EVENT, MEMBER, AWARD, {})


def test_adjustments_of_all_plugins_come_in_the_order_of_their_names() -> None:
    hooks = hooks_of(pear=adjusting("2"), apple=adjusting("1"))
    assert [adjustment.points for adjustment in adjust(hooks)] == [Decimal(1), Decimal(2)]


def test_where_no_plugin_implements_a_hook_nothing_is_asked() -> None:
    hooks = hooks_of(apple={})
    assert not hooks.implements("award_adjustments")
    assert adjust(hooks) == ()
    assert not hooks.outbound_commands(CHANGE, MEMBER, {})


def test_a_failing_adjustment_names_its_plugin_and_quotes_no_personal_data() -> None:
    hooks = hooks_of(apple=adjusting("1"), pear=failing("award_adjustments"))
    with pytest.raises(PluginError, match="plugin 'pear': award_adjustments failed: ValueError") as caught:
        adjust(hooks)
    assert "anna" not in str(caught.value)
    assert hooks.stats["pear", "award_adjustments"].failures == 1
    assert hooks.stats["apple", "award_adjustments"].failures == 0


@pytest.mark.parametrize(
    "answer",
    [
        None,
        ["five"],
        [Adjustment(points=5, reason="an int")],  # type: ignore[arg-type]
        [Adjustment(points=Decimal("NaN"), reason="no number")],
        [Adjustment(points=Decimal(1), reason="too many")] * (MOST_ANSWERS + 1),
    ],
)
def test_an_answer_that_is_no_sound_adjustment_is_a_failure(answer: Any) -> None:
    hooks = hooks_of(apple={"award_adjustments": lambda: answer})
    with pytest.raises(PluginError, match="'apple'"):
        adjust(hooks)


def test_commands_come_with_the_connection_they_are_for() -> None:
    def outbound_commands(connection: str, identity: Identity | None) -> Iterable[Command]:
        return [command(identity.reference)] if identity else []

    hooks = hooks_of(apple={"outbound_commands": outbound_commands})
    connections = {"apple": [("east", Identity(connection="east", reference="77")), ("west", None)]}
    assert hooks.outbound_commands(CHANGE, MEMBER, connections) == [("east", command("77"))]


def test_a_plugin_whose_commands_fail_is_skipped_and_counted() -> None:
    hooks = hooks_of(apple=failing("outbound_commands"), pear={"outbound_commands": lambda: [command("k")]})
    connections = {"apple": [("east", None)], "pear": [("west", None)]}
    assert hooks.outbound_commands(CHANGE, MEMBER, connections) == [("west", command("k"))]
    assert hooks.stats["apple", "outbound_commands"].failures == 1


async def test_an_observer_that_fails_does_not_keep_the_others_from_hearing() -> None:
    heard: list[Change] = []

    async def broken(change: Change) -> None:
        raise LookupError

    async def listening(change: Change) -> None:
        heard.append(change)

    hooks = hooks_of(apple={"event_committed": broken}, pear={"event_committed": listening})
    await hooks.event_committed(CHANGE)
    assert heard == [CHANGE]
    assert hooks.stats["apple", "event_committed"].failures == 1


async def test_an_observer_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hanging() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(hooks_module, "OBSERVING", 0.01)
    hooks = hooks_of(apple={"event_committed": hanging})
    await hooks.event_committed(CHANGE)
    assert hooks.stats["apple", "event_committed"].failures == 1


def test_a_slow_hook_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter((0.0, 0.06, 1.0, 1.01))
    monkeypatch.setattr("stampcard.host.hooks.time.perf_counter", lambda: next(ticks))
    hooks = hooks_of(apple=adjusting("1"))
    adjust(hooks)
    adjust(hooks)
    stats = hooks.stats["apple", "award_adjustments"]
    assert (stats.calls, stats.slow) == (2, 1)


def test_a_plugin_that_fails_too_often_in_a_row_is_suspended_until_it_is_resumed() -> None:
    broken = True

    def award_adjustments() -> Iterable[Adjustment]:
        if broken:
            raise LookupError
        return [Adjustment(points=Decimal(1), reason="works again")]

    hooks = hooks_of(apple={"award_adjustments": award_adjustments, "outbound_commands": lambda: [command("k")]})
    for _ in range(PATIENCE):
        with pytest.raises(PluginError) as caught:
            adjust(hooks)
        assert not isinstance(caught.value, PluginSuspended)
    with pytest.raises(PluginSuspended, match="suspended"):
        adjust(hooks)
    assert hooks.suspended == {"apple"}
    assert hooks.outbound_commands(CHANGE, MEMBER, {"apple": [("east", None)]}) == []
    assert hooks.stats["apple", "outbound_commands"].skipped == 1

    broken = False
    hooks.resume("apple")
    assert len(adjust(hooks)) == 1
    assert not hooks.suspended


def test_a_success_in_between_keeps_a_plugin_from_being_suspended() -> None:
    count = 0

    def award_adjustments() -> Iterable[Adjustment]:
        nonlocal count
        count += 1
        if count % PATIENCE:
            raise LookupError
        return ()

    hooks = hooks_of(apple={"award_adjustments": award_adjustments})
    for _ in range(PATIENCE * 2):
        try:
            adjust(hooks)
        except PluginError:
            continue
    assert not hooks.suspended


def test_a_stopped_plugin_is_not_asked_and_what_needs_its_word_waits() -> None:
    hooks = hooks_of(
        apple={
            **adjusting("1"),
            "award_formula": lambda: Decimal(1),
            "outbound_commands": lambda: [command("k")],
        }
    )
    hooks.stop(frozenset({"apple"}))
    with pytest.raises(PluginSuspended, match="plugin 'apple': is stopped"):
        adjust(hooks)
    with pytest.raises(PluginSuspended, match="plugin 'apple': is stopped"):
        hooks.award_formula("f", EVENT, MEMBER, Decimal(1), {})
    assert hooks.outbound_commands(CHANGE, MEMBER, {"apple": [("east", None)]}) == []
    assert [stats.skipped for stats in hooks.stats.values() if stats.skipped] == [1, 1, 1]
    assert {stats.calls for stats in hooks.stats.values()} == {0}
    hooks.stop(frozenset())
    assert len(adjust(hooks)) == 1


async def test_a_stopped_observer_hears_nothing_until_it_is_started() -> None:
    heard: list[Change] = []

    async def listening(change: Change) -> None:
        heard.append(change)

    hooks = hooks_of(apple={"event_committed": listening})
    hooks.stop(frozenset({"apple"}))
    await hooks.event_committed(CHANGE)
    assert heard == []
    hooks.stop(frozenset())
    await hooks.event_committed(CHANGE)
    assert heard == [CHANGE]

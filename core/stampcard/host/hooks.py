"""Calls the hooks of all plugins one by one, in the order of their names, and answers for their failures."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any, TypeVar

import structlog

from stampcard.domain.awards import Adjustment, Award
from stampcard.domain.commands import Command
from stampcard.domain.decisions import Change
from stampcard.domain.events import Event
from stampcard.domain.members import Identity, Member
from stampcard.domain.proofs import Eligibility
from stampcard.domain.rewards import Veto
from stampcard.errors import PluginError, PluginSuspended, RequestRefused, place_of
from stampcard.host.discovering import HookFunction, PluginTable

#: A sync hook that takes longer (seconds) holds up the unit of work and is counted.
SLOW = 0.05
#: How long an observer may take, in seconds.
OBSERVING = 5.0
#: So many failures in a row suspend a plugin.
PATIENCE = 20
#: The most that one hook may give back in one call.
MOST_ANSWERS = 1000

T = TypeVar("T")


@dataclass(slots=True)
class HookStats:
    """What one plugin's implementation of one hook has done so far; only ever rises, but for the last."""

    calls: int = 0
    failures: int = 0
    slow: int = 0
    skipped: int = 0
    consecutive_failures: int = 0


class Hooks:
    """The hooks of all ready plugins; safe to call from several threads."""

    def __init__(self, table: PluginTable, log: Any = None) -> None:
        self._log = structlog.get_logger() if log is None else log
        self._hooks: dict[str, tuple[tuple[str, HookFunction], ...]] = {}
        self.stats: dict[tuple[str, str], HookStats] = {}
        for name, plugin in sorted(table.ready.items()):
            for hook, function in plugin.hooks.items():
                self._hooks[hook] = (*self._hooks.get(hook, ()), (name, function))
                self.stats[name, hook] = HookStats()
        self._suspended: frozenset[str] = frozenset()
        self._stopped: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    @property
    def suspended(self) -> frozenset[str]:
        """The plugins that failed too often in a row."""
        return self._suspended

    def stop(self, plugins: frozenset[str]) -> None:
        """Ask these plugins nothing, and all others again, until it is called again: what is switched off now."""
        self._stopped = plugins

    def implements(self, hook: str) -> bool:
        """Whether any plugin implements a hook; where none does, nothing needs to be gathered for it."""
        return hook in self._hooks

    def resume(self, plugin: str) -> None:
        """Ask a suspended plugin again."""
        with self._lock:
            self._suspended -= {plugin}
            for (name, _), stats in self.stats.items():
                if name == plugin:
                    stats.consecutive_failures = 0

    def award_adjustments(
        self, event: Event, member: Member, award: Award, facts: Mapping[str, Any]
    ) -> tuple[Adjustment, ...]:
        """What all plugins add to or take off an award.

        Raises PluginSuspended if one that must be asked is suspended or stopped, PluginError if one fails: the points
        would be wrong without it.
        """
        adjustments: list[Adjustment] = []
        for plugin, function in self._hooks.get("award_adjustments", ()):
            self._check_asked(plugin, "award_adjustments")
            try:
                with self._watched(plugin, "award_adjustments"):
                    answer = function(event=event, member=member, award=award, facts=facts)
                    adjustments += _checked(answer, Adjustment, _sound_adjustment)
            except Exception as error:
                raise PluginError(plugin, f"award_adjustments failed: {place_of(error)}") from error
        return tuple(adjustments)

    def award_formula(
        self, formula: str, event: Event, member: Member, base: Decimal, facts: Mapping[str, Any]
    ) -> Decimal:
        """What the first plugin that knows the formula works out.

        Raises PluginSuspended if one that must be asked is suspended or stopped, PluginError if one fails or none
        knows it.
        """
        for plugin, function in self._hooks.get("award_formula", ()):
            self._check_asked(plugin, "award_formula")
            try:
                with self._watched(plugin, "award_formula"):
                    points = function(formula=formula, event=event, member=member, base=base, facts=facts)
                    _check_points(points)
            except Exception as error:
                raise PluginError(plugin, f"award_formula failed: {place_of(error)}") from error
            if points is not None:
                return points  # type: ignore[no-any-return]
        raise PluginError("(any)", f"no plugin knows the formula {formula!r}")

    def reward_price(self, formula: str, reward: str, member: Member, facts: Mapping[str, Any]) -> Decimal:
        """What the first plugin that knows the formula works out, in whole points.

        Raises RequestRefused if one that must be asked is suspended or stopped, fails, or none knows it.
        """
        for plugin, function in self._hooks.get("reward_price", ()):
            points = self._asked(
                plugin, "reward_price", function, formula=formula, reward=reward, member=member, facts=facts
            )
            if points is not None:
                return points  # type: ignore[no-any-return]
        raise RequestRefused("no_price", f"no plugin knows the price formula {formula!r}")

    def redemption_veto(self, reward: str, program: str, member: Member, facts: Mapping[str, Any]) -> str:
        """Why the first plugin that minds does not let the member have a reward; nothing if none does.

        Raises RequestRefused if one that must be asked is suspended or stopped, or fails.
        """
        for plugin, function in self._hooks.get("redemption_veto", ()):
            veto = self._asked(
                plugin, "redemption_veto", function, reward=reward, program=program, member=member, facts=facts
            )
            if veto is not None:
                return f"{plugin}: {veto.reason}"
        return ""

    def verify_eligibility(
        self, proof: str, program: str, evidence: Mapping[str, str], member: Member
    ) -> tuple[Eligibility | None, str, str]:
        """What the first plugin that knows says to a request, and its name; else why somebody could not be asked."""
        note = ""
        for plugin, function in self._hooks.get("verify_eligibility", ()):
            if self._is_silent(plugin):
                self._skip(plugin, "verify_eligibility")
                note = f"the plugin {plugin} is suspended or stopped"
                continue
            try:
                with self._watched(plugin, "verify_eligibility"):
                    said = function(proof=proof, program=program, evidence=dict(evidence), member=member)
                    _check_eligibility(said)
            except Exception:  # noqa: BLE001 - counted and logged by _watched
                note = f"the plugin {plugin} failed"
                continue
            if said is not None:
                return said, plugin, ""
        return None, "", note

    def reward_kind(self, name: str) -> str | None:
        """What the first plugin that knows a custom kind of reward says of it."""
        for plugin, function in self._hooks.get("reward_kind", ()):
            if self._is_silent(plugin):
                self._skip(plugin, "reward_kind")
                continue
            try:
                with self._watched(plugin, "reward_kind"):
                    said = function(name=name)
            except Exception:  # noqa: BLE001, S112 - counted and logged by _watched
                continue
            if isinstance(said, str) and said:
                return said
        return None

    def _asked(self, plugin: str, hook: str, function: HookFunction, **asked: Any) -> Any:
        """The answer of a hook that a redemption cannot go on without; raises RequestRefused without one."""
        try:
            self._check_asked(plugin, hook)
            with self._watched(plugin, hook):
                answer = function(**asked)
                _SOUND[hook](answer)
        except Exception as error:
            why = str(error) if isinstance(error, PluginSuspended) else f"{hook} of plugin {plugin!r} failed"
            raise RequestRefused("plugin_failed", f"{why}: a redemption needs its word") from error
        return answer

    def outbound_commands(
        self, change: Change, member: Member, connections: Mapping[str, Sequence[tuple[str, Identity | None]]]
    ) -> list[tuple[str, Command]]:
        """Commands of all plugins, each with its connection; what fails is left out and counted.

        `connections`: by plugin, each connection's name and the identity that the member has there.
        """
        commands: list[tuple[str, Command]] = []
        for plugin, function in self._hooks.get("outbound_commands", ()):
            for connection, identity in connections.get(plugin, ()):
                if self._is_silent(plugin):
                    self._skip(plugin, "outbound_commands")
                    continue
                try:
                    with self._watched(plugin, "outbound_commands"):
                        answer = function(change=change, member=member, connection=connection, identity=identity)
                        commands += [(connection, command) for command in _checked(answer, Command, _sound_command)]
                except Exception:  # noqa: BLE001, S112 - counted and logged by _watched
                    continue
        return commands

    async def event_committed(self, change: Change) -> None:
        """Tell all observers about a change; a failure is logged."""
        for plugin, function in self._hooks.get("event_committed", ()):
            if self._is_silent(plugin):
                self._skip(plugin, "event_committed")
                continue
            try:
                with self._watched(plugin, "event_committed", slow=OBSERVING):
                    async with asyncio.timeout(OBSERVING):
                        await function(change=change)
            except Exception:  # noqa: BLE001, S112 - counted and logged by _watched
                continue

    def _is_silent(self, plugin: str) -> bool:
        return plugin in self._stopped or plugin in self._suspended

    def _check_asked(self, plugin: str, hook: str) -> None:
        if not self._is_silent(plugin):
            return
        self._skip(plugin, hook)
        if plugin in self._stopped:
            raise PluginSuspended(plugin, "is stopped: what needs it waits for a start")
        raise PluginSuspended(plugin, f"is suspended after {PATIENCE} failures in a row")

    @contextmanager
    def _watched(self, plugin: str, hook: str, slow: float = SLOW) -> Iterator[None]:
        started = time.perf_counter()
        failure: Exception | None = None
        try:
            yield
        except Exception as error:
            failure = error
            raise
        finally:
            self._count(plugin, hook, failure, slow=time.perf_counter() - started > slow)

    def _count(self, plugin: str, hook: str, failure: Exception | None, *, slow: bool) -> None:
        with self._lock:
            stats = self.stats[plugin, hook]
            stats.calls += 1
            stats.slow += slow
            if failure is None:
                stats.consecutive_failures = 0
                return
            stats.failures += 1
            stats.consecutive_failures += 1
            suspend = stats.consecutive_failures >= PATIENCE and plugin not in self._suspended
            if suspend:
                self._suspended |= {plugin}
        # Its text may quote a person's data, so only its kind and place are told.
        self._log.warning("hook_failed", plugin=plugin, hook=hook, error=place_of(failure))
        if suspend:
            self._log.error("plugin_suspended", plugin=plugin, hook=hook, failures=PATIENCE)

    def _skip(self, plugin: str, hook: str) -> None:
        with self._lock:
            self.stats[plugin, hook].skipped += 1


def _checked(answer: Iterable[T], kind: type[T], sound: Any) -> list[T]:
    found = list(islice(answer, MOST_ANSWERS + 1))
    if len(found) > MOST_ANSWERS:
        raise ValueError(f"more than {MOST_ANSWERS} answers")
    for item in found:
        if not isinstance(item, kind) or not sound(item):
            raise TypeError(f"not a sound {kind.__name__}")
    return found


def _check_points(points: object) -> None:
    if points is not None and not (isinstance(points, Decimal) and points.is_finite() and points >= 0):
        raise TypeError("not a Decimal of 0 or more")


def _check_veto(veto: object) -> None:
    if veto is not None and not (isinstance(veto, Veto) and isinstance(veto.reason, str) and veto.reason):
        raise TypeError("not a Veto with a reason")


_SOUND: Mapping[str, Callable[[object], None]] = {"reward_price": _check_points, "redemption_veto": _check_veto}


def _check_eligibility(said: object) -> None:
    sound = said is None or (
        isinstance(said, Eligibility)
        and isinstance(said.approved, bool)
        and isinstance(said.reason, str)
        and bool(said.approved or said.reason.strip())
        and (said.until is None or said.until.tzinfo is not None)
    )
    if not sound:
        raise TypeError(type(said).__name__)


def _sound_adjustment(adjustment: Adjustment) -> bool:
    return isinstance(adjustment.points, Decimal) and adjustment.points.is_finite()


def _sound_command(command: Command) -> bool:
    return bool(command.kind and command.key)

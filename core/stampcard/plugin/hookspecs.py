"""Every hook of the plugin API, on one page.

pluggy finds and lists the implementations; the host calls them one by one, in the order of the plugins' names, guarded,
and names the plugin that failed. Hooks return data and change no argument. Only `connect` and `event_committed` are
async; what touches the network lives in the objects that `connect` returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from decimal import Decimal

    from stampcard.domain.awards import Adjustment, Award
    from stampcard.domain.commands import Command
    from stampcard.domain.decisions import Change
    from stampcard.domain.events import Event
    from stampcard.domain.members import Identity, Member
    from stampcard.domain.proofs import Eligibility
    from stampcard.domain.rewards import Veto
    from stampcard.plugin.capabilities import Capabilities
    from stampcard.plugin.connections import ConnectionContext
    from stampcard.plugin.manifest import PluginManifest

PROJECT = "stampcard"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def plugin_manifest() -> PluginManifest:  # type: ignore[empty-body]
    """Say who you are; asked once, when the plugin is loaded. A failure fails the plugin, the host goes on."""


@hookspec
async def connect(context: ConnectionContext[Any]) -> Capabilities:  # type: ignore[empty-body]
    """Turn one configured connection into what it can do; asked once per connection, within ten seconds.

    A failure leaves that connection answering 503 with the reason shown; the others work.
    """


@hookspec
def award_adjustments(  # type: ignore[empty-body]
    event: Event, member: Member, award: Award, facts: Mapping[str, Any]
) -> Iterable[Adjustment]:
    """Add points to an award, or take some off; pure, inside the unit of work.

    Asked when an order is first awarded and again after an edit, never for refunds or replays: the answer is kept on
    the award. A failure quarantines the delivery, because its points would be wrong.
    """


@hookspec
def award_formula(
    formula: str, event: Event, member: Member, base: Decimal, facts: Mapping[str, Any]
) -> Decimal | None:
    """Work out the whole points that ``award: formula NAME`` pays for an order of that base, before refunds; pure.

    None for a name that is not yours. Asked again for an edit, and for each refund, so the same must be answered for
    the same. A failure quarantines the delivery, because its points would be wrong.
    """


@hookspec
def reward_price(formula: str, reward: str, member: Member, facts: Mapping[str, Any]) -> Decimal | None:
    """Work out the whole points that a reward with ``price: formula NAME`` costs the member now; pure.

    None for a name that is not yours. A failure refuses the redemption, because its price would be wrong.
    """


@hookspec
def redemption_veto(reward: str, program: str, member: Member, facts: Mapping[str, Any]) -> Veto | None:
    """Say why a member shall not have a reward, or None; pure, inside the unit of work, the last word of all.

    Asked on every way to a reward: when somebody asks for it or picks it from a choice, when a rule gives it, and when it
    would be taken by itself. A failure is a veto that names the plugin.
    """


@hookspec
def reward_kind(name: str) -> str | None:
    """Say in a sentence what a reward with ``gives: custom NAME`` is, or None for a name that is not yours; pure.

    Making it real is the fulfilment's work, whose `kinds` name ``custom``.
    """


@hookspec
def verify_eligibility(proof: str, program: str, evidence: Mapping[str, str], member: Member) -> Eligibility | None:
    """Say whether a member is what a request with this evidence says, or None to leave it to others; pure.

    A failure leaves the request to people, with a note.
    """


@hookspec
def outbound_commands(change: Change, member: Member, connection: str, identity: Identity | None) -> Iterable[Command]:  # type: ignore[empty-body]
    """Ask for things to be done once at a connection of yours because a member changed; pure, inside the unit of work.

    A failure is skipped and counted; a later resync repairs what is state.
    """


@hookspec
async def event_committed(change: Change) -> None:
    """Observe a change after it was committed; never a vendor call. A failure is logged."""

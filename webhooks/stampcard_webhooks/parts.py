"""Rules, rewards and campaigns of a program, one by one, as JSON of what its file says; every other line of it stays."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from stampcard.applying.requests import Answer
from stampcard.program.editing import Section, part_of, with_part, without_part
from stampcard_webhooks.asking import Nothing, Query, Words
from stampcard_webhooks.programs import (
    FROM,
    Base,
    Beginning,
    Change,
    ChangeView,
    VersionQuery,
    change_text,
    refreshed,
    shown_version,
)
from stampcard_webhooks.routing import Call, Route

AS_WRITTEN = "As one writes it in the program file."


class RuleView(BaseModel):
    """A rule as it stands in a version; give that back as `base_version` with a change."""

    version: int
    valid_from: datetime
    rule: dict[str, Any] = Field(description=AS_WRITTEN)


class CampaignView(BaseModel):
    """A campaign as it stands in a version; give that back as `base_version` with a change."""

    version: int
    valid_from: datetime
    campaign: dict[str, Any] = Field(description=AS_WRITTEN)


class RewardView(BaseModel):
    """A reward as it stands in a version; give that back as `base_version` with a change."""

    version: int
    valid_from: datetime
    reward: dict[str, Any] = Field(description=AS_WRITTEN)


class RewardChange(Change):
    """All that the reward says from then on."""

    reward: dict[str, Any] = Field(description=AS_WRITTEN)


class RuleChange(Change):
    """All that the rule says from then on."""

    rule: dict[str, Any] = Field(description=AS_WRITTEN)


class CampaignChange(Change):
    """All that the campaign says from then on."""

    campaign: dict[str, Any] = Field(description=AS_WRITTEN)


class Removal(Query):
    """What a removal says: from which version, from when on, and why."""

    base_version: Base
    from_: Beginning | None = Field(default=None, alias="from", description=FROM)
    note: Words = ""


async def show_rule(call: Call[VersionQuery, Nothing]) -> RuleView:
    """One, as it is valid now or as a version has it."""
    version, _ = await shown_version(call)
    part = part_of(version.source, "rules", call.path["rule"])
    return RuleView(version=version.number, valid_from=version.valid_from, rule=part)


async def show_campaign(call: Call[VersionQuery, Nothing]) -> CampaignView:
    """One, as it is valid now or as a version has it."""
    version, _ = await shown_version(call)
    part = part_of(version.source, "campaigns", call.path["campaign"])
    return CampaignView(version=version.number, valid_from=version.valid_from, campaign=part)


async def show_reward(call: Call[VersionQuery, Nothing]) -> RewardView:
    """One, as it is valid now or as a version has it."""
    version, _ = await shown_version(call)
    part = part_of(version.source, "rewards", call.path["reward"])
    return RewardView(version=version.number, valid_from=version.valid_from, reward=part)


async def put_rule(call: Call[Query, RuleChange]) -> Answer:
    """Another rule of this id, or one more."""
    return await _put(call, call.body, "rules", call.path["rule"], call.body.rule)


async def put_campaign(call: Call[Query, CampaignChange]) -> Answer:
    """Another campaign of this name, or one more."""
    return await _put(call, call.body, "campaigns", call.path["campaign"], call.body.campaign)


async def put_reward(call: Call[Query, RewardChange]) -> Answer:
    """Another reward of this name, or one more."""
    return await _put(call, call.body, "rewards", call.path["reward"], call.body.reward)


async def remove_rule(call: Call[Removal, Nothing]) -> Answer:
    """The program without it; what it paid stays."""
    return await _remove(call, "rules", call.path["rule"])


async def remove_campaign(call: Call[Removal, Nothing]) -> Answer:
    """The program without it; no rule may belong to it any more."""
    return await _remove(call, "campaigns", call.path["campaign"])


async def remove_reward(call: Call[Removal, Nothing]) -> Answer:
    """The program without it; what was issued stays, no rule may give it any more."""
    return await _remove(call, "rewards", call.path["reward"])


async def _put(call: Call[Any, Any], change: Change, section: Section, name: str, part: dict[str, Any]) -> Answer:
    answer = await call.write(
        lambda unit: change_text(unit, call, change, lambda text: with_part(text, section, name, part))
    )
    return await refreshed(call, answer)


async def _remove(call: Call[Removal, Nothing], section: Section, name: str) -> Answer:
    asked = call.query
    change = Change.model_validate({"base_version": asked.base_version, "from": asked.from_, "note": asked.note})
    answer = await call.write(
        lambda unit: change_text(unit, call, change, lambda text: without_part(text, section, name))
    )
    return await refreshed(call, answer)


ROUTES = (
    Route(
        method="GET",
        path="/programs/{id}/rules/{rule}",
        scope="programs:read",
        summary="Show a rule",
        handler=show_rule,
        query=VersionQuery,
        gives=RuleView,
    ),
    Route(
        method="PUT",
        path="/programs/{id}/rules/{rule}",
        scope="programs:write",
        summary="Change or add a rule",
        handler=put_rule,
        takes=RuleChange,
        gives=ChangeView,
    ),
    Route(
        method="DELETE",
        path="/programs/{id}/rules/{rule}",
        scope="programs:write",
        summary="Remove a rule",
        handler=remove_rule,
        query=Removal,
        gives=ChangeView,
    ),
    Route(
        method="GET",
        path="/programs/{id}/campaigns/{campaign}",
        scope="programs:read",
        summary="Show a campaign",
        handler=show_campaign,
        query=VersionQuery,
        gives=CampaignView,
    ),
    Route(
        method="PUT",
        path="/programs/{id}/campaigns/{campaign}",
        scope="programs:write",
        summary="Change or add a campaign",
        handler=put_campaign,
        takes=CampaignChange,
        gives=ChangeView,
    ),
    Route(
        method="DELETE",
        path="/programs/{id}/campaigns/{campaign}",
        scope="programs:write",
        summary="Remove a campaign",
        handler=remove_campaign,
        query=Removal,
        gives=ChangeView,
    ),
    Route(
        method="GET",
        path="/programs/{id}/rewards/{reward}",
        scope="programs:read",
        summary="Show a reward",
        handler=show_reward,
        query=VersionQuery,
        gives=RewardView,
    ),
    Route(
        method="PUT",
        path="/programs/{id}/rewards/{reward}",
        scope="programs:write",
        summary="Change or add a reward",
        handler=put_reward,
        takes=RewardChange,
        gives=ChangeView,
    ),
    Route(
        method="DELETE",
        path="/programs/{id}/rewards/{reward}",
        scope="programs:write",
        summary="Remove a reward",
        handler=remove_reward,
        query=Removal,
        gives=ChangeView,
    ),
)

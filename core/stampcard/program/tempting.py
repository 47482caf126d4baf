"""Hints about rewards: one that nobody can get, is worth more than the points it costs, or may exceed its budget."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from stampcard.program.amounts import RewardAward
from stampcard.program.costing import awards_of
from stampcard.program.model import Program
from stampcard.program.remarks import Remark
from stampcard.program.rewards import FixedPrice, Reward

#: Times what its points are worth above which a reward is asked whether it means that.
MUCH_MORE = Decimal("1.5")


def remarks_on_rewards(program: Program) -> Iterator[Remark]:
    """Everything to think about."""
    given = {award.reward for rule in program.rules for award in awards_of(rule) if isinstance(award, RewardAward)}
    chosen = {name for reward in program.rewards.values() for gift in reward.gifts for name in gift.choices}
    for name, reward in program.rewards.items():
        if reward.price is None and name not in given | chosen:
            yield Remark("unused", ("rewards", name), "nobody can get it: it has no price, and no rule gives it")
        yield from _on_worth(program, name, reward)
        yield from _on_budget(program, name, reward)


def _on_worth(program: Program, name: str, reward: Reward) -> Iterator[Remark]:
    """A reward for which one gets much more than its points are said to be worth."""
    terms = program.wallets.get(reward.wallet)
    value = terms.value if terms is not None else None
    money = reward.gives.money if reward.gives.percent is None else None
    if value is None or money is None or not isinstance(reward.price, FixedPrice) or not reward.price.points:
        return
    worth = reward.price.points * value.money / value.points
    if money > worth * MUCH_MORE:
        text = f"gives {money:f} {value.currency} for points worth {worth:.2f}, as {value} is what points are worth"
        yield Remark("worth_more", ("rewards", name, "price"), text)


def _on_budget(program: Program, name: str, reward: Reward) -> Iterator[Remark]:
    """A percentage of which nothing can be set aside in its budget."""
    campaign = program.campaigns.get(reward.campaign)
    budgets = [
        limit
        for limit in (*reward.limits, *(campaign.limits if campaign is not None else ()))
        if limit.measure == "money" and limit.in_all
    ]
    if budgets and any(gift.percent is not None and gift.money is None for gift in reward.gifts):
        text = f"what is out when {budgets[0]} is used up exceeds it: write `% off, at most … {program.currency}`"
        yield Remark("open_end", ("rewards", name, "gives"), text)

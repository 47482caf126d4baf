"""What the rewards of a program say against the rest of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from stampcard.program.faults import Fault, fault_of_name, faults_of_limits_list
from stampcard.program.lifetimes import Sliding
from stampcard.program.rewards import BY_US, OWN, POOL, FixedPrice

if TYPE_CHECKING:
    from stampcard.program.gifts import Gift
    from stampcard.program.model import Program
    from stampcard.program.rewards import ForSome, Price, Reward


def faults_of_rewards(program: Program) -> Iterable[Fault]:
    """Everything, with its place."""
    return (fault for name in program.rewards for fault in _faults_of_reward(program, name))


def _faults_of_reward(program: Program, name: str) -> Iterable[Fault]:
    """What a reward says against the rest of the program."""
    reward, place = program.rewards[name], ("rewards", name)
    found = {
        "wallet": _fault_of_paying(program, reward),
        "gives": _fault_of_gift(program, name, reward.gives),
        "price": _fault_of_price(program, reward, reward.price),
        "minimum": _fault_of_currency(program, reward.minimum.currency if reward.minimum else ""),
        "campaign": fault_of_name("campaign", reward.campaign, ("", *program.campaigns)),
        "valid": _fault_of_validity(reward.valid),
        "by": _fault_of_source(reward),
        "base_cap": _fault_of_cap(program, reward),
        "automatic": _fault_of_automatic(reward),
        "uses": "only a code can be used several times" if reward.uses > 1 and reward.source == "" else "",
    }
    yield from (((*place, key), message) for key, message in found.items() if message)
    if reward.only is not None and (reward.only.vendor or reward.only.sku or reward.only.tag):
        yield (*place, "only"), "a shop's code knows products and collections alone: name these"
    for index, option in enumerate(reward.prices):
        message = _fault_of_option(option) or _fault_of_price(program, reward, option.price)
        if not message and reward.price is None:
            message = "a reward with prices for some needs one for the others: write price"
        if message:
            yield (*place, "prices", index), message
    for index, value in enumerate(reward.values):
        gift = _fault_of_gift(program, name, value.gives) if value.gives else ""
        if value.gives and value.gives.kind != reward.gives.kind:
            gift = f"a value gives the same kind of thing as the reward: {reward.gives}"
        nothing = "say what is other: gives or valid" if value.gives is None and not value.says_valid else ""
        message = _fault_of_option(value) or gift or nothing or _fault_of_validity(value.valid)
        if message:
            yield (*place, "values", index), message
    yield from faults_of_limits_list(program, reward.limits, (*place, "limits"))


def _fault_of_option(option: ForSome) -> str:
    return "say for whom or when: tier, when or during" if option.is_for_all else ""


def _fault_of_paying(program: Program, reward: Reward) -> str:
    if not reward.wallet:
        return "" if reward.price is None else f"name one of the wallets: {', '.join(program.wallets)}"
    terms = program.wallets.get(reward.wallet)
    if terms is None:
        return fault_of_name("wallet", reward.wallet, tuple(program.wallets))
    return "" if terms.spendable or reward.price is None else f"points of {reward.wallet!r} cannot be spent"


def _fault_of_price(program: Program, reward: Reward, price: Price | None) -> str:
    terms = program.wallets.get(reward.wallet)
    if not isinstance(price, FixedPrice) or terms is None:
        return ""
    exact = price.points == round(price.points, terms.scale)
    return "" if exact else f"{price} is finer than wallet {reward.wallet!r}, which has scale {terms.scale}"


def _fault_of_gift(program: Program, name: str, gift: Gift) -> str:
    if gift.kind == "points":
        terms = program.wallets.get(gift.name)
        if terms is None:
            return fault_of_name("wallet", gift.name, tuple(program.wallets))
        exact = gift.points == round(gift.points or 0, terms.scale)
        return "" if exact else f"{gift.points} is finer than wallet {gift.name!r}, which has scale {terms.scale}"
    for choice in gift.choices:
        message = fault_of_name("reward", choice, tuple(program.rewards))
        if not message and (choice == name or program.rewards[choice].gives.kind == "choice"):
            message = f"{choice!r} is a choice itself: choose among what can be had"
        if message:
            return message
    return _fault_of_currency(program, gift.currency)


def _fault_of_currency(program: Program, currency: str) -> str:
    return "" if currency in {"", program.currency} else f"the program's currency is {program.currency}, not {currency}"


def _fault_of_cap(program: Program, reward: Reward) -> str:
    if reward.base_cap is None:
        return ""
    if any(gift.percent is None for gift in reward.gifts):
        return "a cap on what a discount counts for needs a percentage: gives 10 % off"
    return _fault_of_currency(program, reward.base_cap.currency)


def _fault_of_validity(valid: object) -> str:
    return "a code cannot slide: write '30 days' or 'on 12-31'" if isinstance(valid, Sliding) else ""


def _fault_of_automatic(reward: Reward) -> str:
    if reward.automatic is None:
        return ""
    if reward.price is None or (isinstance(reward.price, FixedPrice) and not reward.price.points):
        return "what is taken by itself needs a price above 0, for which it waits"
    return "nobody has a cart when it is taken by itself" if "order." in (reward.when or "") else ""


def _fault_of_source(reward: Reward) -> str:
    kind = reward.gives.kind
    if kind in BY_US and reward.by:
        return f"nobody else is needed for {reward.gives}: leave `by` out"
    if reward.by in {OWN, POOL} and kind in {"store_credit", "gift_card"}:
        return f"{reward.gives} is money at the shop: by shop, or manual"
    return ""

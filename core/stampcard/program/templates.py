"""Ready-made texts of messages, in every language that is shipped."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from ruamel.yaml import YAML

#: Every ready-made text, with what it is for.
READY: Mapping[str, str] = {
    "welcome": "somebody has become a member",
    "opt_in": "asks to confirm: an address, or taking part",
    "invitation": "invites a customer who takes no part yet",
    "points_earned": "points were earned",
    "points_expiring": "points expire soon",
    "reward_issued": "a reward is there",
    "reward_expiring": "a reward ends soon",
    "tier_up": "a higher tier was reached",
    "tier_ending": "a tier ends soon, and what keeps it",
    "birthday": "a birthday",
    "win_back": "nothing was bought for long",
    "feedback": "asks one question",
    "program_ending": "the program ends",
    "link": "the link to one's own points, for a quarter of an hour",
    "stopped": "the answer to STOP",
    "started": "the answer to START",
    "help": "the answer to HELP",
    "balance": "the answer to BALANCE",
    "rewards": "the answer to REWARDS",
}
LANGUAGES = ("ar", "en", "id", "it", "ms", "nl")
#: Beside the texts: a few words of mails, those of pages, what stands above the figures of a card, and the counter.
WORDS, PAGES, CARD, COUNTER = "words", "pages", "card", "counter"


@cache
def ready(language: str) -> Mapping[str, Mapping[str, str]]:
    """Name → subject, text and short of every ready-made text in a language that is shipped."""
    text = (files(__package__) / "ready" / f"{language}.yaml").read_text(encoding="utf-8")
    found: Mapping[str, Mapping[str, str]] = YAML(typ="safe", pure=True).load(text)
    return found

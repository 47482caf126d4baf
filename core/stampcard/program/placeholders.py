"""What the texts of messages may name: the member, the program, and what the message is about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from stampcard.domain.members import BUILT_IN_ATTRIBUTES
from stampcard.program.events import OF_PERKS, OF_PLANS, OF_PROOFS, OF_SEGMENTS, OF_TIERS
from stampcard.program.occasions import (
    CONSENT_ASKED,
    LINK_ASKED,
    MEMBERSHIP_ASKED,
    PERK_ENDS,
    PLAN_ENDS,
    POINTS_EXPIRE,
    PROGRAM_ENDS,
    REWARD_EXPIRED,
    REWARD_EXPIRES,
    REWARD_IN_REACH,
    REWARD_ISSUED,
    REWARD_USED,
    TIER_ENDS,
)
from stampcard.program.parsing import Path
from stampcard.program.templates import ready
from stampcard.program.texts import LONGEST, Shape, flaws_of_page, flaws_of_text
from stampcard.program.wording import Flaw

if TYPE_CHECKING:
    from stampcard.program.messages import MessageTerms
    from stampcard.program.model import Program

_REWARD: Shape = {"reward": {"name": None, "description": None, "code": None, "valid_until": None}}
_TIER: Shape = {
    "tier": {"name": None, "before": None, "until": None, "missing": None, "next": None, "next_missing": None}
}
_NAMED: Mapping[str, Shape] = {what: {what: {"name": None}} for what in ("segment", "perk", "plan", "proof")}
_POINTS: Shape = {"points": None, "wallet": None}
#: What a text may name besides, by what the message is on.
_OF_EVENTS: Mapping[str, Shape] = {
    POINTS_EXPIRE: {**_POINTS, "expires_on": None},
    REWARD_ISSUED: _REWARD,
    REWARD_USED: _REWARD,
    REWARD_EXPIRED: _REWARD,
    REWARD_EXPIRES: {**_REWARD, "expires_on": None},
    REWARD_IN_REACH: {**_REWARD, "points": None, "missing": None},
    TIER_ENDS: {**_TIER, "expires_on": None},
    PLAN_ENDS: {"plan": {"name": None}, "expires_on": None},
    PERK_ENDS: {"perk": {"name": None}, "expires_on": None},
    PROGRAM_ENDS: {"expires_on": None, "last_earn": None, "last_redeem": None},
    MEMBERSHIP_ASKED: {"confirm_url": None},
    CONSENT_ASKED: {"confirm_url": None, "channel": None, "purpose": None},
    LINK_ASKED: {"link_url": None, "minutes": None},
    **dict.fromkeys(OF_TIERS, _TIER),
    **dict.fromkeys(OF_SEGMENTS, _NAMED["segment"]),
    **dict.fromkeys(OF_PERKS, _NAMED["perk"]),
    **dict.fromkeys(OF_PLANS, _NAMED["plan"]),
    **dict.fromkeys(OF_PROOFS, _NAMED["proof"]),
}
#: What the frame around a mail may name besides.
_FRAME: Shape = {
    "content": None,
    "subject": None,
    "logo": None,
    "colour": None,
    "preview": None,
    "unsubscribe_words": None,
    "preferences_words": None,
}
#: The gathered changes of a digest.
_ITEMS: Shape = {"items": {"*": None}}


def shape_of(program: Program, terms: MessageTerms) -> Shape:
    """Everything that the texts of a message may name."""
    event = terms.on.event
    own: Shape = _OF_EVENTS.get(event, {})
    if event.startswith("points_") and not own:
        own = _POINTS
    fields = program.event_fields(event)
    if fields is not None and not own:
        own = {"event": dict.fromkeys(fields)}
    more: dict[str, Any] = {"days": None} if terms.on.days else {}
    more |= {"join_url": None} if terms.invites else {}
    more |= {"question_url": None, "question": None} if terms.question is not None else {}
    return {**common_of(program), **own, **_ITEMS, **more}


def common_of(program: Program) -> Shape:
    """What every text may name."""
    attributes = dict.fromkeys((*BUILT_IN_ATTRIBUTES, *program.attributes))
    return {
        "member": {
            "first_name": None,
            "last_name": None,
            "language": None,
            "country": None,
            "tier": None,
            "joined_on": None,
            "attributes": attributes,
        },
        "program": {"name": None, "address": None, "page": None},
        "balance": None,
        "balances": dict.fromkeys(program.wallets),
        "language": None,
        "direction": None,
        "currency": None,
        "today": None,
        "unsubscribe_url": None,
        "preferences_url": None,
        "card_url": None,
    }


def frame_of(program: Program) -> Shape:
    """What the layout around a mail may name."""
    return {**common_of(program), **_FRAME}


def flaws_of_messages(program: Program) -> list[tuple[Path, Flaw]]:
    """Everything that is wrong with the texts of messages and the layout, with the path of each."""
    found = [flaw for name, terms in program.messages.items() for flaw in _flaws_of_message(program, name, terms)]
    if program.sending.layout:
        place: Path = ("sending", "layout")
        found += [(place, flaw) for flaw in flaws_of_page(program.sending.layout, frame_of(program))]
        if "content" not in program.sending.layout:
            found.append((place, Flaw(1, 1, "shows no text: write {{ content }} where that belongs")))
    return found


def _flaws_of_message(program: Program, name: str, terms: MessageTerms) -> Iterator[tuple[Path, Flaw]]:
    shape = shape_of(program, terms)
    for language, text in terms.texts.items():
        place: Path = ("messages", name, "texts", language)
        for field in ("subject", "text", "short"):
            yield from (((*place, field), flaw) for flaw in flaws_of_text(getattr(text, field), shape))
        if text.html:
            yield from (((*place, "html"), flaw) for flaw in flaws_of_page(text.html, {**shape, **_FRAME}))
    yield from ((("messages", name, "use"), flaw) for flaw in _unfit(terms, shape))
    for language, asked in terms.question.texts.items() if terms.question is not None else ():
        place = ("messages", name, "question", "texts", language)
        yield from ((place, flaw) for flaw in _flaws_of_question(asked))


def _flaws_of_question(asked: str) -> Iterator[Flaw]:
    """A question is shown on a page as it is written."""
    found = re.search(r"\{\{|\{%", asked)
    if found is not None:
        before = asked[: found.start()]
        line, column = before.count("\n") + 1, found.start() - before.rfind("\n")
        yield Flaw(line, column, f"a question is asked as it is written: leave {found[0]} … out, it names nothing")
    if len(asked) > LONGEST:
        yield Flaw(1, 1, f"a text has at most {LONGEST} characters, this has {len(asked)}")


def _unfit(terms: MessageTerms, shape: Shape) -> Iterator[Flaw]:
    """What a ready-made text asks for that the message does not tell."""
    if terms.use is None:
        return
    of = ready("en")[terms.use]
    lacking = [flaw for text in (of["subject"], of["text"]) for flaw in flaws_of_text(text, shape)]
    if lacking:
        yield Flaw(1, 1, f"the ready-made text {terms.use!r} does not go with {str(terms.on)!r}: {lacking[0].message}")

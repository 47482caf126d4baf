"""What became of messages that were written down in the days, and what their questions were answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, and_, case, func, select

from stampcard.engine.reporting import Asked
from stampcard.storage.reports.people import money_of
from stampcard.storage.reports.periods import within
from stampcard.storage.tables import message, message_step, tier

_KEY = (message.c.name, message.c.channel, message.c.language)
#: Figure → the steps that count for it.
_STEPS: Mapping[str, tuple[str, ...]] = {
    "delivered": ("delivered",),
    "opened": ("opened",),
    "clicked": ("clicked",),
    "bounced": ("bounced",),
    "failed": ("failed", "rejected"),
    "unsubscribed": ("unsubscribed",),
    "complained": ("complained",),
}
_NOT_LEFT = ("waiting", "attempting", "dropped", "rejected", "unknown")


def read_messages(connection: Connection, asked: Asked) -> Iterator[dict[str, Any]]:
    """A row for each message, channel and language."""
    mine = (
        message.c.merchant == asked.merchant,
        message.c.program == asked.live.name,
        message.c.test == 0,
        *within(message.c.created_at, asked.span),
    )
    steps = {
        tuple(row[:3]): row
        for row in connection.execute(
            select(*_KEY, *(_reached(of).label(name) for name, of in _STEPS.items()))
            .join(
                message_step,
                and_(message_step.c.merchant == message.c.merchant, message_step.c.message == message.c.id),
            )
            .where(*mine)
            .group_by(*_KEY)
        )
    }
    totals = select(
        *_KEY,
        _counted(message.c.state.in_(("waiting", "attempting"))).label("waiting"),
        _counted(message.c.state == "dropped").label("dropped"),
        _counted(message.c.state == "unknown").label("unknown"),
        _counted(message.c.state.not_in(_NOT_LEFT)).label("left"),
        _counted(message.c.answered_at.is_not(None)).label("answered"),
        func.sum(message.c.parts).label("parts"),
        func.sum(message.c.cost).label("cost"),
    )
    for row in connection.execute(totals.where(*mine).group_by(*_KEY).order_by(*_KEY)):
        told = steps.get(tuple(row[:3]))
        yield {
            "message": row.name,
            "channel": row.channel,
            "language": row.language,
            **{
                name: int(getattr(row, name)) for name in ("waiting", "dropped", "left", "unknown", "answered", "parts")
            },
            **{name: int(getattr(told, name)) if told is not None else 0 for name in _STEPS},
            "cost": money_of(int(row.cost)),
            "currency": asked.live.program.currency,
        }


def read_answers(connection: Connection, asked: Asked) -> Iterator[dict[str, Any]]:
    """A row for each message, tier and choice."""
    named = func.coalesce(tier.c.name, "")
    key = (message.c.name, named, message.c.choice)
    statement = (
        select(
            *key,
            func.count().label("answers"),
            func.count(message.c.score).label("scored"),
            func.sum(func.coalesce(message.c.score, 0)).label("sum"),
            _counted(message.c.score >= 9).label("promoters"),  # noqa: PLR2004 - as the net promoter score has it
            _counted(message.c.score <= 6).label("detractors"),  # noqa: PLR2004
        )
        .outerjoin(
            tier,
            and_(
                tier.c.merchant == message.c.merchant,
                tier.c.member == message.c.member,
                tier.c.program == message.c.program,
            ),
        )
        .where(message.c.merchant == asked.merchant, message.c.program == asked.live.name)
        .where(message.c.answered_at.is_not(None), *within(message.c.answered_at, asked.span))
        .group_by(*key)
        .order_by(*key)
    )
    for row in connection.execute(statement):
        name, tier_, choice = row[:3]
        terms = asked.live.program.messages.get(name)
        yield {
            "message": name,
            "campaign": terms.campaign if terms is not None else "",
            "audience": ", ".join((*terms.who.tiers, *terms.who.segments)) if terms is not None and terms.who else "",
            "tier": tier_,
            "choice": choice,
            "answers": int(row.answers),
            "scored": int(row.scored),
            "score": (Decimal(int(row.sum)) / row.scored).quantize(Decimal("0.01")) if row.scored else None,
            "promoters": int(row.promoters),
            "detractors": int(row.detractors),
        }


def _reached(states: tuple[str, ...]) -> Any:
    """Messages of which any of these was told: one that was refused may be said to have failed, too."""
    return func.count(func.distinct(case((message_step.c.state.in_(states), message.c.id))))


def _counted(condition: Any) -> Any:
    return func.sum(case((condition, 1), else_=0))

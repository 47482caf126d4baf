"""A dry run: what an order or an event would earn, with every reason, and nothing is written."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from stampcard.app import Application
from stampcard.applying.setting import Setting
from stampcard.applying.trying import NEWCOMER, Question, Tried, try_out
from stampcard.applying.unit import Sourced
from stampcard.domain.value import replace
from stampcard.domain.wallets import balance_of
from stampcard.engine.wording import lot_words, points_words
from stampcard.storage.reading import scale_of
from stampcard_webhooks.asking import Query
from stampcard_webhooks.awards import AwardView, award_view
from stampcard_webhooks.members import lot_view
from stampcard_webhooks.portraying import LivingLotView
from stampcard_webhooks.reasons import ReasonView, reason_views
from stampcard_webhooks.routing import Call, Route
from stampcard_webhooks.showing import BalanceView, balance_view
from stampcard_webhooks.supposing import DryRun, question_of


class TriedWallet(BaseModel):
    """What the event would bring to one wallet, and the wallet after it."""

    points: int = Field(description="What the member's awards would change by, net of what a limit or refund takes.")
    balance: BalanceView


class TriedLotView(LivingLotView):
    """A lot that would open."""

    member: str


class DryRunView(BaseModel):
    """What would be decided. Nothing was written, sent or counted."""

    member: str | None
    is_new: bool = Field(
        description="Whether the customer is not known yet; shares and variants may come out otherwise then."
    )
    now: datetime
    wallets: dict[str, TriedWallet]
    reasons: list[ReasonView]
    undecided: list[str]
    awards: list[AwardView] = Field(description="With what limits left of them, and what they would use of each.")
    lots: list[TriedLotView]
    words: list[str]


async def answer_dry_run(call: Call[Query, DryRun]) -> DryRunView:
    """Decide and forget."""
    question = question_of(call.body, call.source(call.body.subject.connection), call.setting, call.now)
    return await dry_run(call.application, call.setting, question, ask=call.body.facts is None)


async def dry_run(application: Application, setting: Setting, question: Question, *, ask: bool) -> DryRunView:
    """The answer; with `ask` plugins say what they know. Raises what the event itself would raise."""
    if ask:
        source = question.source
        about = Sourced(event=question.event, connection=source, source=source, received_at=question.now)
        (facts,) = await application.gatherer.facts_of(setting, [about])
        question = replace(question, facts=facts)
    tried = await application.database.read(lambda connection: try_out(connection, setting, question))
    return view_of(tried, question.now)


def view_of(tried: Tried, now: datetime) -> DryRunView:
    """What would be decided, as shown."""
    decision, programs = tried.decision, tried.world.programs
    at = decision.order.state.snapshot.occurred_at if decision.order and decision.order.state.snapshot else now
    reasons = reason_views(decision.reasons, decision.order, programs, at)
    wallets = {
        wallet.name: TriedWallet(
            points=tried.points.get(wallet.name, 0),
            balance=balance_view(balance_of(wallet.sums, scale_of(programs, wallet.name))),
        )
        for wallet in sorted(decision.wallets, key=lambda wallet: wallet.name)
        if wallet.member == tried.member
    }
    lots = _lots(tried)
    words = [f"{points_words(one.points, one.balance.scale)} {name}." for name, one in wallets.items()]
    words += [reason.words for reason in reasons]
    words += [f"{lot.wallet!r}, by {lot.rule or 'hand'}: {lot.words}." for lot in lots]
    return DryRunView(
        member=tried.member,
        is_new=tried.member == NEWCOMER,
        now=now,
        wallets=wallets,
        reasons=reasons,
        undecided=list(decision.order.undecided) if decision.order else [],
        awards=[award_view(award, decision.order, programs) for award in decision.awards],
        lots=lots,
        words=words or ["Nothing would change."],
    )


def _lots(tried: Tried) -> list[TriedLotView]:
    views = []
    for wallet, lot in tried.opened:
        live = tried.world.programs.of_wallet(wallet.name)
        if live is not None:
            scale = scale_of(tried.world.programs, wallet.name)
            shown = lot_view(wallet.name, lot, scale).model_dump()
            words = lot_words(lot, scale, live.program.zone)
            views.append(TriedLotView(**shown, waits_for=lot.waits_for, words=words, member=wallet.member))
    return views


ROUTES = (
    Route(
        method="POST",
        path="/dry-run",
        scope="dry-run",
        summary="Ask what an order or an event would earn; nothing is written",
        handler=answer_dry_run,
        takes=DryRun,
        gives=DryRunView,
    ),
)

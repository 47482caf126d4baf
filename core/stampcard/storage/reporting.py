"""Reports: whoever asks says which, about which program and days; everything is read in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Connection

from stampcard.domain.value import Value
from stampcard.engine.reporting import Asked, Told, check, close_to, program_of
from stampcard.engine.reports import REPORTS
from stampcard.engine.spanning import By, span_of
from stampcard.engine.versions import Programs
from stampcard.errors import NotFound
from stampcard.storage.reports.breakage import read_breakage
from stampcard.storage.reports.earning import read_campaigns, read_rules
from stampcard.storage.reports.messages import read_answers, read_messages
from stampcard.storage.reports.owners import were_merged
from stampcard.storage.reports.people import read_cohorts, read_members, read_orders
from stampcard.storage.reports.points import read_liability, read_points
from stampcard.storage.reports.rewards import read_rewards
from stampcard.storage.reports.tiers import read_tiers

Reader: TypeAlias = Callable[[Connection, Asked], Iterable[dict[str, Any]]]

READERS: Mapping[str, Reader] = {
    "points": read_points,
    "liability": read_liability,
    "breakage": read_breakage,
    "rules": read_rules,
    "campaigns": read_campaigns,
    "rewards": read_rewards,
    "tiers": read_tiers,
    "members": read_members,
    "orders": read_orders,
    "cohorts": read_cohorts,
    "messages": read_messages,
    "answers": read_answers,
}


class Question(Value, frozen=True):
    """A report as somebody asks for it; what is empty has its default."""

    report: str
    program: str = ""
    first: str = ""
    last: str = ""
    by: By = ""
    wallet: str = ""


def tell(connection: Connection, merchant: str, programs: Programs, question: Question, now: datetime) -> Told:
    """The report; raises RequestRefused for what cannot be asked, NotFound for what there is not."""
    report = REPORTS.get(question.report)
    if report is None:
        raise NotFound("report", question.report, close_to(question.report, REPORTS))
    live = program_of(programs, question.program, now)
    check(report, programs, live, question.wallet, question.by)
    span = span_of(question.first, question.last, question.by, live.program.zone, now)
    asked = Asked(
        merchant=merchant, programs=programs, live=live, span=span, now=now, wallet=question.wallet,
        merged=were_merged(connection, merchant),
    )  # fmt: skip
    return Told(report=report, asked=asked, rows=report.completed(READERS[report.name](connection, asked)))

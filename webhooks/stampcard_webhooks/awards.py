"""Awards with what they use of limits, as several routes show them."""

from __future__ import annotations

from pydantic import BaseModel, Field

from stampcard.domain.awards import Award, Charge
from stampcard.engine.versions import LiveProgram, Programs
from stampcard.engine.wording import charge_words
from stampcard.engine.world import Order
from stampcard.storage.reading import scale_of


class ChargeView(BaseModel):
    """What an award uses of a limit."""

    scope: str
    period: str = Field(description="Empty for a limit that is never over.")
    member: str = Field(description="Empty where all members are counted together.")
    amount: int = Field(description="Points in the smallest unit, money in ten-thousandths, times and members by one.")
    reserved: int = Field(description="What it was allowed before refunds.")
    words: str


class AwardView(BaseModel):
    """What a rule owes for the order, and what was done about it: due = granted − taken − written_off."""

    member: str
    program: str
    rule: str
    wallet: str
    desired: int = Field(description="What it would be before limits and refunds; 0 where nothing limits it.")
    allowed: int | None = Field(description="What limits left of that; null where nothing limits it.")
    granted: int
    taken: int
    written_off: int
    due: int
    scale: int
    charges: list[ChargeView]


def award_view(award: Award, order: Order | None, programs: Programs) -> AwardView:
    """An award as shown; its limits are told by the version that its order is pinned to, else by the newest."""
    pin, versions = order.pins.get(award.program) if order else None, programs.versions.get(award.program)
    live = programs.numbered(award.program, pin.version) if pin else versions[-1] if versions else None
    return AwardView(
        member=award.member,
        program=award.program,
        rule=award.rule,
        wallet=award.wallet,
        desired=award.desired,
        allowed=award.allowed,
        granted=award.granted,
        taken=award.taken,
        written_off=award.written_off,
        due=award.due,
        scale=scale_of(programs, award.wallet),
        charges=[_charge(charge, live) for charge in award.charges],
    )


def _charge(charge: Charge, live: LiveProgram | None) -> ChargeView:
    return ChargeView(
        scope=charge.scope,
        period=charge.period,
        member=charge.member,
        amount=charge.amount,
        reserved=charge.reserved,
        words=charge_words(charge, live),
    )

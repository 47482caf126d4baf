"""Codes that a shop makes many at a time, for the pool of a reward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from stampcard.app import Application
from stampcard.cli.invocation import FAILED, PARTLY, UNREACHABLE
from stampcard.cli.progressing import progress
from stampcard.clock import Clock
from stampcard.domain.rewards import Minted, Voucher
from stampcard.engine.rewarding import Standing
from stampcard.engine.taking import voucher_of
from stampcard.engine.versions import Catalogued, LiveProgram
from stampcard.errors import Conflict, NotFound, RequestRefused, Unavailable, told
from stampcard.host import connecting
from stampcard.plugin.capabilities import Fulfilment
from stampcard.plugin.outcomes import Delivered, Outcome, Rejected, RetryLater, Unknown
from stampcard.program.rewards import POOL
from stampcard.storage.numbering import new_code
from stampcard.storage.pooling import add_codes, count_codes

#: Seconds before a batch that was not made is tried again, and the longest that a shop may ask for.
WAITS, LONGEST = (2.0, 10.0, 30.0), 120.0


@dataclass(slots=True)
class Filling:
    """How far it came: `made` of `count` codes are in the pool; `problem` says why no more, if it is not all.

    `free`: how many codes the pool can give out in the end, where that can be told.
    """

    count: int
    made: int = 0
    free: int | None = None
    connection: str = ""
    problem: str = ""
    refused: bool = False


def ending(filling: Filling) -> int:
    """The exit code."""
    if not filling.problem:
        return 0
    if filling.made:
        return PARTLY
    return FAILED if filling.refused else UNREACHABLE


async def fill_pool(
    application: Application, live: LiveProgram, of: Catalogued, filling: Filling, connection: str = ""
) -> None:
    """Make the codes batch by batch, first at the shop, then in the pool; `connection` names the shop.

    What is cut off between the two leaves codes at the shop that nobody knows and nobody can guess.
    """
    _check(of)
    shop, fulfil = _shop(application, of, connection)
    filling.connection = shop
    codes, size = [new_code(of.reward.prefix) for _ in range(filling.count)], max(1, fulfil.fill_size)
    voucher = _voucher(application.clock, live, of, codes[0])
    merchant, pool, database = application.setting.merchant, (live.name, of.name), application.database
    with progress("making codes", filling.count) as report:
        for start in range(0, filling.count, size):
            batch = codes[start : start + size]
            outcome = await _made(fulfil, voucher, batch, application.clock)
            if not isinstance(outcome, Delivered):
                _stop(filling, f"{shop}: {outcome.reason}")
                filling.refused = isinstance(outcome, Rejected)
                break
            try:
                made = str(outcome.result.get("id") or voucher.code)
                await database.write(partial(_add, application=application, pool=pool, codes=batch, by=shop, made=made))
            except Unavailable as error:
                _stop(filling, str(error))
                return
            filling.made += len(batch)
            report(filling.made)
    _, filling.free = await database.read(lambda c: count_codes(c, merchant, *pool))


def _stop(filling: Filling, why: str) -> None:
    filling.problem = f"{why}; {filling.made} of {filling.count} codes were made"


def _check(of: Catalogued) -> None:
    if of.reward.source != POOL:
        raise RequestRefused("no_pool", f"{of.name} gives out no codes of a pool: write `by: pool` in the program")
    if any(value.gives is not None for value in of.reward.values):
        raise RequestRefused("several_gifts", f"{of.name} gives members different things, and a pool's codes are alike")


def _shop(application: Application, of: Catalogued, wanted: str) -> tuple[str, Fulfilment]:
    """The connection that makes the codes; raises RequestRefused where it cannot, Unavailable where it does not stand."""
    name, connection = _connection(application, wanted)
    fulfil = connection.capabilities.fulfil if connection.capabilities is not None else None
    if connection.capabilities is None:
        raise Unavailable(f"the connection {name!r} ({connection.problem})")
    if name not in application.setting.active:
        raise Conflict("connection_stopped", f"{name} is paused or ended: stampcard connection resume {name}")
    if fulfil is None or of.reward.gives.kind not in fulfil.kinds:
        raise RequestRefused("shop_cannot", f"{name} cannot make {of.reward.gives} real")
    return name, fulfil


def _connection(application: Application, wanted: str) -> tuple[str, connecting.Connection]:
    connections = application.connections
    if wanted:
        if wanted not in connections:
            raise NotFound("connection", wanted)
        return wanted, connections[wanted]
    # One that does not stand may be the one that is meant.
    able = [
        name for name, one in connections.items() if one.capabilities is None or one.capabilities.fulfil is not None
    ]
    if not able:
        raise RequestRefused("no_shop", "no connection makes rewards real")
    if len(able) > 1:
        raise Conflict("several_connections", f"say which connection makes them: --connection {' or '.join(able)}")
    return able[0], connections[able[0]]


def _voucher(clock: Clock, live: LiveProgram, of: Catalogued, first: str) -> Voucher:
    """The terms of the reward for everybody.

    Without an end, whatever `valid` says: that is counted for each member from the redemption on, which the shop does not
    know, and a code that is given out next year must not have ended this year.
    """
    found = Standing(live=live, of=of, gift=of.reward.gives, valid=None, by=POOL)
    return voucher_of(found, Minted(id=f"fill:{first}", code=first), clock.now(), None)


async def _made(fulfil: Fulfilment, voucher: Voucher, codes: Sequence[str], clock: Clock) -> Outcome:
    """What becomes of a batch in the end; the same codes are asked for again, which makes none twice."""
    outcome: Outcome = Unknown(reason="nothing was tried")
    for wait in (0.0, *WAITS):
        after = outcome.after if isinstance(outcome, RetryLater) else None
        await clock.sleep(min(max(wait if after is None else after, fulfil.pace()), LONGEST))
        outcome = await _asked(fulfil, voucher, codes)
        if isinstance(outcome, Delivered | Rejected):
            break
    return outcome


async def _asked(fulfil: Fulfilment, voucher: Voucher, codes: Sequence[str]) -> Outcome:
    try:
        return await fulfil.fill(voucher, codes)
    except Exception as error:  # noqa: BLE001 - a plugin's own code
        return Unknown(reason=f"its plugin failed: {told(error)}")


def _add(
    connection: Connection,
    *,
    application: Application,
    pool: tuple[str, str],
    codes: Sequence[str],
    by: str,
    made: str,
) -> None:
    setting, now = application.setting, application.clock.now()
    add_codes(connection, setting.merchant, setting.sealer, *pool, codes, now, made_by=by, batch=made)

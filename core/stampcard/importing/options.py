"""How one file is read, kept with its import so that it can be read again in the same way."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from stampcard.applying.importing import live_of
from stampcard.applying.setting import Setting
from stampcard.clock import EPOCH
from stampcard.domain.imports import Holds, Intake
from stampcard.domain.value import Value, replace
from stampcard.errors import Conflict, RequestRefused, RowRefused
from stampcard.importing.columns import columns_of
from stampcard.importing.files import Sheet, look
from stampcard.importing.parsing import Decimals, word_of
from stampcard.importing.presets import OWN, PRESETS, DateOrder
from stampcard.importing.reading import Manner
from stampcard.program.faults import fault_of_name


class Options(Value, frozen=True):
    """How a file is read and what becomes of it, as it is kept to go on later.

    `said`: heading → field; `channel`: that of rows that name none; `quiet`: nobody hears of it; `errors`: where refused
    rows go.
    """

    holds: Holds = "members"
    preset: str = "stampcard"
    said: Mapping[str, str] = {}
    encoding: str = ""
    delimiter: str = ""
    wallet: str = ""
    channel: str = ""
    dates: DateOrder = ""
    decimals: Decimals = ""
    quiet: bool = False
    errors: str = ""


def supposed(file: Path, sheet: Sheet, program: str, source: str, options: Options) -> Intake:
    """An import that has not begun."""
    return Intake(
        id="",
        file=str(file.absolute()),
        fingerprint=sheet.fingerprint,
        program=program,
        connection=source,
        options=msgspec.to_builtins(options),
        state="reading",
        place="0",
        total=sheet.total,
        applied=0,
        known=0,
        refused=0,
        members=0,
        error_bytes=0,
        started_at=EPOCH,
    )


def options_of(intake: Intake) -> Options:
    """How its file is read."""
    return msgspec.convert(intake.options, Options)


def manners(options: Options) -> Options:
    """How a file is read, without where its errors go and who hears of it."""
    return replace(options, errors="", quiet=False)


async def looked_at(file: Path, options: Options) -> Sheet:
    """The file as a whole; see `look`."""
    return await asyncio.to_thread(look, file, options.encoding, options.delimiter)


async def same_file(intake: Intake) -> Sheet:
    """The file of an import that goes on; raises RequestRefused if it is another by now."""
    sheet = await looked_at(Path(intake.file), options_of(intake))
    if sheet.fingerprint != intake.fingerprint:
        raise Conflict("file_changed", f"{intake.file} is not as it was when the import {intake.id} began")
    return sheet


def manner_of(setting: Setting, program: str, sheet: Sheet, options: Options, now: datetime) -> Manner:
    """How the cells are understood, by the program as it is now."""
    live, preset = live_of(setting, program, now), OWN.get(options.holds) or PRESETS.get(options.preset)
    if preset is None:
        raise RequestRefused("unknown_preset", fault_of_name("preset", options.preset, PRESETS))
    wallets = tuple(live.program.wallets)
    fault = fault_of_name("wallet", options.wallet, wallets) if options.wallet else ""
    if fault:
        raise RequestRefused("unknown_wallet", fault)
    try:
        channel = word_of(options.channel) if options.channel else ""
    except RowRefused as error:
        raise RequestRefused("bad_channel", f"--channel: {error}") from None
    return Manner(
        live=live,
        columns=columns_of(sheet.header, preset, options.said, frozenset(live.program.attribute_types)),
        width=len(sheet.header),
        wallet=options.wallet or (wallets[0] if len(wallets) == 1 else ""),
        now=now,
        dates=options.dates or preset.dates,
        decimals=options.decimals,
        channel=channel,
    )

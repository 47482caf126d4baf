"""A till to practise at: made-up members, a PIN, and points that are nobody's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from stampcard.app import Application
from stampcard.applying.passes import PAGE, ensure_number
from stampcard.applying.requests import Answer, adjust, answer, create_member
from stampcard.applying.unit import Unit
from stampcard.clock import SystemClock
from stampcard.engine.codes import spaced
from stampcard.engine.tokens import card_token, new_pairing
from stampcard.sealing import new_key_text
from stampcard.settings import HttpSettings, Settings
from stampcard.storage import staffing
from stampcard.testing.demonstration import prepare_database
from stampcard_webhooks.server import serving

TILL, WORKER = "practice-till", "Robin"
#: First names of nobody, and the points that each begins with beside the welcome.
CUSTOMERS = (("Ada", 0), ("Bo", 40), ("Cy", 150))


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """Somebody made up: their card's number, and its page."""

    name: str
    number: str
    page: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Practice:
    """A till that is served, and what is needed to work at it."""

    address: str
    pairing: str
    pin: str
    customers: tuple[Customer, ...]


@asynccontextmanager
async def practising(folder: Path, program: str, port: int) -> AsyncIterator[Practice]:
    """Serve a till on this machine alone, in a folder that is to be thrown away."""
    url = f"sqlite:///{folder / 'practice.db'}"
    prepare_database(url, "main", program, SystemClock().now())
    key_file = folder / "stampcard.key"
    key_file.touch(mode=0o600)
    key_file.write_text(new_key_text(), encoding="utf8")
    settings = Settings(database=url, key_file=key_file, http=HttpSettings(port=port, host="127.0.0.1"))
    async with Application(settings) as application, serving(application) as address:
        application.public_url = address
        await application.refresh()
        customers = [await _customer(application, address, *one) for one in CUSTOMERS]
        pairing, pin = await application.database.write(lambda connection: _staff(connection, application))
        yield Practice(
            address=address,
            pairing=f"{address}/counter/pair/{pairing}",
            pin=pin,
            customers=tuple(customers),
        )


def _staff(connection: Connection, application: Application) -> tuple[str, str]:
    setting, now = application.setting, application.clock.now()
    till = staffing.pair_till(connection, setting.merchant, TILL, "", now)
    _, pin = staffing.add_worker(connection, setting.merchant, setting.sealer, WORKER, now)
    return new_pairing(setting.sealer, setting.merchant, till.name, till.pairing, now), pin


async def _customer(application: Application, address: str, name: str, points: int) -> Customer:
    setting, numbers = application.setting, list[str]()

    def make(unit: Unit) -> Answer:
        member = create_member(unit, None, {"first_name": name})
        numbers.append(ensure_number(unit, member))
        return Answer(status=201, body={}, member=member)

    made, _ = await application.database.write(
        lambda connection: answer(connection, setting, None, application.clock.now(), make)
    )
    if points and made.member is not None:
        member = made.member

        def give(unit: Unit) -> Answer:
            adjust(unit, member, "points", points, f"practice-{member}", "to practise with")
            return Answer(status=200, body={})

        await application.database.write(
            lambda connection: answer(connection, setting, None, application.clock.now(), give)
        )
    token = card_token(setting.sealer, setting.merchant, numbers[-1])
    return Customer(name=name, number=spaced(numbers[-1]), page=f"{address}{PAGE}{token}")

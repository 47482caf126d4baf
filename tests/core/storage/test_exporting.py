"""What a person gets of everything that is stored of them; on both databases."""

from __future__ import annotations

from datetime import timedelta

from tests.core.shops import Shop

from stampcard.applying.setting import Setting
from stampcard.domain.events import OrderSeen
from stampcard.storage.database import Database
from stampcard.storage.exporting import export_member
from stampcard.testing.applying import apply, prepare, store
from stampcard.testing.building import order

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
"""


def test_what_was_told_of_a_person_and_set_aside_is_in_the_export(database: Database, setting: Setting) -> None:
    shop = Shop(database, setting, PROGRAM)
    for name in ("ann", "bob"):
        shop.buys(name, 10, customer=name)
        late = order(10, customer=name, at=shop.clock.now() + timedelta(days=3))
        (id_,) = store(database, shop.setting, name.encode(), connection="shop")
        told = prepare(id_, OrderSeen(reference=f"{name}-late", snapshot=late))
        (settled,) = apply(database, shop.setting, [told], shop.clock.now())
        assert settled.status == "quarantined"

    ann = shop.member("ann")
    exported = database.read_now(lambda c: export_member(c, "main", shop.setting.sealer, ann))

    aside = [row["body"] for row in exported["inbox"] if row["status"] == "quarantined"]
    assert aside == ["ann"]

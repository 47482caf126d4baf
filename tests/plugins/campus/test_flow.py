"""A plugin decides about requests in the transaction in which they are asked; what it cannot, people do."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import stampcard_campus

from stampcard.app import Application
from stampcard.applying import requests, verifying
from stampcard.applying.requests import Answer, Work, answer
from stampcard.applying.unit import Unit
from stampcard.plugin import Eligibility, PluginManifest, PluginSettings, hookimpl
from stampcard.sealing import new_key_text
from stampcard.settings import HttpSettings, Settings

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
proofs:
  student: {evidence: {number: The number of your card}}
  nurse: {}
  pilot: {}
  diver: {}
  guide: {}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR}
"""


class Moody:
    """Another plugin, which fails as soon as it is asked about pilots, and says what cannot be of others."""

    @hookimpl
    def plugin_manifest(self) -> PluginManifest:
        return PluginManifest(name="moody", summary="fails", settings=PluginSettings)

    @hookimpl
    def verify_eligibility(self, proof: str) -> Eligibility | None:
        match proof:
            case "pilot":
                raise ZeroDivisionError
            case "diver":
                return Eligibility(approved=True, until=datetime(2020, 1, 2, tzinfo=UTC))
            case "guide":
                return Eligibility(approved=False)
        return None


@pytest.mark.parametrize(
    ("proof", "evidence", "status", "note"),
    [
        ("student", {"number": "1000000008"}, "approved", ""),
        ("student", {"number": "1000000009"}, "refused", ""),
        ("nurse", {}, "asked", ""),
        ("pilot", {}, "asked", "the plugin moody failed"),
        ("diver", {}, "asked", "the plugin moody named an end that is past: 2020-01-02 00:00Z"),
        ("guide", {}, "asked", "the plugin moody failed"),
    ],
)
async def test_what_a_plugin_knows_is_decided_at_once(
    tmp_path: Path, proof: str, evidence: dict[str, str], status: str, note: str
) -> None:
    (tmp_path / "program.yaml").write_text(PROGRAM)
    (tmp_path / "key").touch(mode=0o600)
    (tmp_path / "key").write_text(new_key_text())
    settings = Settings(
        database=f"sqlite:///{tmp_path / 'stampcard.db'}",
        programs=(str(tmp_path / "program.yaml"),),
        key_file=tmp_path / "key",
        http=HttpSettings(port=0),
        connections={"campus": {"plugin": "campus"}},
    )
    application = Application(settings, plugins={"campus": stampcard_campus, "moody": Moody()})
    await application.open(loops=False)
    noted: list[Any] = []

    def join(unit: Unit) -> Answer:
        return Answer(status=201, body={"id": requests.create_member(unit, None, {})})

    def work(unit: Unit, member: str) -> Answer:
        told = verifying.ask(unit, member, "", proof, evidence, by_member=True)
        noted.extend(unit.verdicts.requests.values())
        return Answer(status=200, body={"status": told.one.status, "reason": told.one.reason})

    async def does(work: Work) -> Answer:
        setting, now = application.setting, application.clock.now()
        given, _ = await application.database.write(lambda c: answer(c, setting, None, now, work))
        return given

    try:
        member = (await does(join)).body["id"]
        given = await does(lambda unit: work(unit, member))
    finally:
        await application.close()
    assert given.body["status"] == status
    assert ("card" in given.body["reason"]) is (status == "refused")
    assert [one.note for one in noted] == [note]

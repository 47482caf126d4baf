"""An advertiser is plugged in, told of a segment, and left again, while the whole of Stampcard runs; on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.core.audience import PROGRAM, Board, hashed

from stampcard.app import Application
from stampcard.applying.consenting import record_consent
from stampcard.applying.judging import put
from stampcard.applying.requests import Answer, answer, create_member
from stampcard.applying.unit import Unit
from stampcard.cli import leaving
from stampcard.cli.leaving import Left, take_out
from stampcard.domain.consents import Consent
from stampcard.plugin import AudienceSettings, Capabilities, ConnectionContext, PluginManifest, hookimpl
from stampcard.sealing import new_key_text
from stampcard.settings import HttpSettings, Settings
from stampcard.storage.plugging import Plugged, remove_plugged, save_plugged
from stampcard.storage.tables import audience_member, push

ANN = "ann@example.com"


class Advertisers:
    """A plugin of an advertiser in memory."""

    def __init__(self) -> None:
        self.board = Board()

    @hookimpl
    def plugin_manifest(self) -> PluginManifest:
        return PluginManifest(name="board", summary="for tests", settings=AudienceSettings)

    @hookimpl
    async def connect(self, context: ConnectionContext[AudienceSettings]) -> Capabilities:  # noqa: ARG002 - the host gives it
        return Capabilities(sinks=(self.board,))


@pytest.fixture
async def running(tmp_path: Path, database_url: str) -> Any:
    (tmp_path / "key").touch(mode=0o600)
    (tmp_path / "key").write_text(new_key_text())
    (tmp_path / "program.yaml").write_text(PROGRAM)
    settings = Settings(
        database=database_url,
        programs=(str(tmp_path / "program.yaml"),),
        key_file=tmp_path / "key",
        http=HttpSettings(port=0),
    )
    plugin = Advertisers()
    application = Application(settings, plugins={"board": plugin})
    await application.open()
    yield application, plugin.board
    await application.close()


async def plug(application: Application, **settings: Any) -> None:
    now = application.clock.now()
    one = Plugged(name="ads", plugin="board", settings=settings, added_at=now, changed_at=now)
    await application.database.write(lambda c: save_plugged(c, "main", application.setting.sealer, one))
    await application.refresh()


async def does(application: Application, work: Callable[[Unit], Any]) -> Any:
    def done(unit: Unit) -> Answer:
        return Answer(status=200, body={"found": work(unit)})

    now = application.clock.now()
    write = partial(answer, setting=application.setting, once=None, now=now, work=done)
    given, changes = await application.database.write(write)
    await application.announce(changes)
    return given.body["found"]


async def until(condition: Callable[[], Any]) -> None:
    for _ in range(1500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError


def say(unit: Unit, member: str, state: Any) -> None:
    said = Consent(channel="email", purpose="marketing", state=state, at=unit.now, recorded_at=unit.now)
    record_consent(unit, member, said)


async def test_an_advertiser_is_told_and_left(running: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "HEARD", 0.1)
    application, board = running
    ann = await does(application, lambda unit: create_member(unit, None, {"email": ANN}))
    await does(application, lambda unit: say(unit, ann, "given"))
    await does(application, lambda unit: put(unit, "main", "staff", [ann], []))

    await plug(application, audiences={"staff": "a1"})
    await until(lambda: board.people == hashed(ANN))
    await does(application, lambda unit: say(unit, ann, "withdrawn"))
    await until(lambda: not board.people)
    await does(application, lambda unit: say(unit, ann, "given"))
    await until(lambda: board.people == hashed(ANN))
    await plug(application, audiences={"staff": "a2"})
    await until(lambda: board.people == hashed(ANN, audience="a2"))

    left, setting = Left(), application.setting
    await take_out(application, "ads", board, left)
    assert (board.people, left.taken_out, left.audience_problem) == (set(), 1, "")
    at = application.clock.now()
    remove = partial(
        remove_plugged, merchant="main", sealer=setting.sealer, numbering=setting.numbering, name="ads", now=at
    )
    await application.database.write(remove)
    for table in (audience_member, push):
        assert await application.database.read(lambda c, table=table: c.execute(select(table)).all()) == []

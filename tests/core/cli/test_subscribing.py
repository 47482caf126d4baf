"""What a vendor sends to a connection's address, looked at and set right from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
from tests.databases import on_sqlite
from typer.testing import Result

from stampcard.cli import asking
from stampcard.host import discovering
from stampcard.plugin import (
    Audit,
    Capabilities,
    ConnectionContext,
    Health,
    PluginError,
    PluginManifest,
    PluginSettings,
    Subscribed,
    Subscriptions,
    hookimpl,
)

Run = Callable[..., Result]
TOPICS = ("parcel.sent", "parcel.lost")
ADDRESS = "https://127.0.0.1:1/webhooks/post"


class PostOffice(Subscriptions):
    """A vendor's list, as long as the test lasts."""

    def __init__(self) -> None:
        self.known: list[Subscribed] = []
        self.closed = False

    async def look(self, address: str) -> Audit:
        if self.closed:
            raise PluginError("post", "the post office is closed")
        mine = [one for one in self.known if one.address == address]
        return Audit(
            good=tuple(one for one in mine if not one.problem),
            wrong=tuple(one for one in mine if one.problem),
            missing=tuple(topic for topic in TOPICS if topic not in {one.topic for one in mine}),
            foreign=tuple(one for one in self.known if one.address != address),
            by_hand=("ask at the counter for stamps",),
        )

    async def mend(self, address: str, but: Collection[str] = ()) -> Audit:
        audit = await self.look(address)
        self.known = [one for one in self.known if one not in audit.wrong]
        wanted = {*audit.missing, *(one.topic for one in audit.wrong)} - set(but)
        self.known += [Subscribed(topic=topic, address=address) for topic in TOPICS if topic in wanted]
        return await self.look(address)

    async def end(self, address: str) -> int:
        audit = await self.look(address)
        self.known = list(audit.foreign)
        return len(audit.good) + len(audit.wrong)


class Post:
    def __init__(self) -> None:
        self.office = PostOffice()

    @hookimpl
    def plugin_manifest(self) -> PluginManifest:
        return PluginManifest(name="post", summary="post", settings=PluginSettings)

    @hookimpl
    async def connect(self, context: ConnectionContext[PluginSettings]) -> Capabilities:  # noqa: ARG002 - it needs nothing
        async def check_health() -> Health:
            return Health(ok=not self.office.closed, problem="the post office is closed" if self.office.closed else "")

        return Capabilities(subscriptions=self.office, check_health=check_health)


@pytest.fixture
def office(installed: Path, monkeypatch: pytest.MonkeyPatch) -> PostOffice:
    post = Post()
    table = discovering.discover({"post": post})
    monkeypatch.setattr(discovering, "discover", lambda: table)
    (installed / "stampcard.toml").write_text('programs = []\n[http]\npublic_url = "https://127.0.0.1:1"\n')
    return post.office


def test_what_is_missing_is_told_and_set_right(run: Run, office: PostOffice) -> None:
    assert run("connection", "add", "post", "--no-test").exit_code == 0
    office.known = [
        Subscribed(topic="parcel.lost", address=ADDRESS, problem="comes as a fax"),
        Subscribed(topic="parcel.sent", address="https://elsewhere.example"),
    ]
    looked = run("connection", "webhooks", "post")
    assert looked.exit_code == 1
    assert looked.stdout.splitlines() == [
        f"0 topics come to {ADDRESS}",
        "wrong: parcel.lost comes as a fax",
        "missing: parcel.sent",
        "set it right: stampcard connection webhooks post --fix",
        "sent elsewhere, too: parcel.sent to https://elsewhere.example",
        "by hand: ask at the counter for stamps",
    ]
    assert "webhooks are missing: parcel.sent; parcel.lost comes as a fax" in run("connection", "test", "post").stderr
    assert "connection webhooks post --fix" in run("doctor").stderr
    mended = run("connection", "webhooks", "post", "--fix")
    assert (mended.exit_code, mended.stdout.splitlines()[0]) == (0, f"2 topics come to {ADDRESS}")
    shown = json.loads(run("connection", "webhooks", "post", "--json").stdout)
    assert (sorted(shown["good"]), shown["missing"], shown["wrong"]) == (["parcel.lost", "parcel.sent"], [], [])
    removed = run("connection", "remove", "post", "--yes")
    assert removed.stdout == "post is removed. 2 webhook subscriptions ended at the vendor\n"
    assert [one.address for one in office.known] == ["https://elsewhere.example"]


@on_sqlite
def test_webhooks_to_an_address_that_is_not_https_end_too(run: Run, office: PostOffice, installed: Path) -> None:
    (installed / "stampcard.toml").write_text('programs = []\n[http]\npublic_url = "http://points.example"\n')
    run("connection", "add", "post", "--no-test")
    office.known = [Subscribed(topic="parcel.sent", address="http://points.example/webhooks/post")]
    removed = run("connection", "remove", "post", "--yes")
    assert removed.stdout == "post is removed. 1 webhook subscriptions ended at the vendor\n"
    assert office.known == []


@on_sqlite
def test_whoever_adds_a_connection_is_asked_whether_webhooks_shall_come(
    run: Run, office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "is_person", lambda: True)
    added = run("connection", "add", "post", input="y\n")
    assert "Let the vendor send 2 topics there?" in added.stderr
    assert f"2 topics come to {ADDRESS}" in added.stdout
    assert len(office.known) == 2


@on_sqlite
def test_a_vendor_that_does_not_answer_and_an_address_that_nobody_reaches_are_told(
    run: Run, office: PostOffice, installed: Path
) -> None:
    run("connection", "add", "post", "--no-test")
    office.closed = True
    refused = run("connection", "webhooks", "post")
    assert (refused.exit_code, "the post office is closed" in refused.stderr) == (4, True)
    removed = run("connection", "remove", "post", "--yes")
    assert "Delete its webhooks at the vendor" in removed.stdout
    office.closed = False
    (installed / "stampcard.toml").write_text('programs = []\n[http]\npublic_url = "http://points.example"\n')
    added = run("connection", "add", "post")
    assert added.exit_code == 0
    unreached = run("connection", "webhooks", "post")
    assert (unreached.exit_code, "is not https, and vendors send to nothing else" in unreached.stderr) == (3, True)
    assert run("connection", "webhooks", "nobody").exit_code == 1

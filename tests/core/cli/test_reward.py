"""Rewards and redemptions at the command line."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.databases import on_sqlite
from typer.testing import Result

from stampcard.app import open_sealer
from stampcard.applying import redeeming
from stampcard.applying.requests import Answer, adjust, create_member
from stampcard.applying.unit import Unit
from stampcard.cli import pooling
from stampcard.cli.acting import act
from stampcard.domain.rewards import Voucher
from stampcard.domain.value import replace
from stampcard.engine.rewarding import Asking
from stampcard.errors import Unavailable
from stampcard.plugin import Delivered, Fulfilment, Outcome, Rejected, RetryLater, Unknown
from stampcard.settings import load_settings
from stampcard.storage.database import Database
from stampcard.storage.pooling import add_codes
from stampcard.storage.redemptions import find_redemption
from stampcard_shopify.fulfilling import ShopifyFulfilment

Run = Callable[..., Result]
Data = Callable[..., Any]

PROGRAM = """\
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
rewards:
  five: {gives: 5 EUR off, price: 10, by: own}
  mug: {gives: merchandise, price: 20, stock: 3}
  printed: {gives: 3 EUR off, price: 5, by: pool}
"""


@pytest.fixture(autouse=True)
def _rewards(installed: Path, run: Run) -> None:
    """The program has rewards."""
    file = installed / "rewards.yaml"
    file.write_text(PROGRAM, encoding="utf8")
    assert run("program", "apply", str(file)).exit_code == 0


def taken(*rewards: str) -> list[str]:
    """A member with 100 points takes these; answers the ids."""

    def work(unit: Unit) -> Answer:
        member = create_member(unit, None, {})
        adjust(unit, member, "points", 100, "gift", "a gift")
        return Answer(status=200, body={"id": member})

    settings = load_settings()
    member = act(settings, work).body["id"]
    return [
        str(act(settings, lambda unit, name=name: _taken(unit, member, name)).body["id"])  # type: ignore[misc]
        for name in rewards
    ]


def _taken(unit: Unit, member: str, reward: str) -> Answer:
    return Answer(status=200, body={"id": redeeming.redeem(unit, member, reward, "", Asking()).id})


def test_the_list_tells_what_is_left_and_what_became_of_redemptions(installed: Path, run: Run, data: Data) -> None:
    taken("five", "mug")
    listed = {row["reward"]: row for row in data("reward", "list", "--json")}
    assert (listed["mug"]["left"], listed["mug"]["redemptions"]) == (2, {"held": 1})
    assert (listed["five"]["left"], listed["five"]["state"], listed["five"]["by"]) == (None, "offered", "own")
    shown = run("reward", "list").stdout
    assert re.search(r"main +mug +merchandise +20 +manual +offered +2 +1 held", shown)


def test_codes_are_uploaded_once_each(installed: Path, run: Run) -> None:
    file = installed / "codes.txt"
    file.write_text("AAAA-1\nBBBB-2\n\naaaa-1\n", encoding="utf8")
    assert "2 of 3 codes are new; 2 are free now" in run("reward", "upload", "printed", str(file)).stdout
    assert "0 of 3 codes are new; 2 are free now" in run("reward", "upload", "main/printed", str(file)).stdout
    (id_,) = taken("printed")
    assert re.search(r"code +(AAAA-1|BBBB-2|aaaa-1)", run("redemption", "show", id_).stdout)


@on_sqlite
def test_only_a_pool_takes_codes(installed: Path, run: Run) -> None:
    (installed / "codes.txt").write_text("AAAA", encoding="utf8")
    refused = run("reward", "upload", "five", str(installed / "codes.txt"))
    assert refused.exit_code == 1
    assert "by: pool" in refused.stderr


@on_sqlite
def test_what_people_hand_out_is_a_queue(installed: Path, run: Run, data: Data) -> None:
    first, second = taken("mug", "mug")
    assert {row["id"] for row in data("redemption", "list", "--by", "manual", "--status", "held", "--json")} == {
        first,
        second,
    }
    assert "is issued" in run("redemption", "shipped", first, "--note", "parcel 7").stdout
    assert "is used" in run("redemption", "done", first).stdout
    assert "is revoked" in run("redemption", "refused", second, "--note", "broken").stdout
    again = run("redemption", "done", second)
    assert (again.exit_code, "revoked already" in again.stderr) == (1, True)


@on_sqlite
def test_a_redemption_is_found_by_its_code_and_ended_by_hand(installed: Path, run: Run, data: Data) -> None:
    first, second = taken("five", "five")
    code = data("redemption", "show", first, "--json")["code"]
    assert data("redemption", "show", code.lower(), "--json")["id"] == first
    assert "is used" in run("redemption", "use", first, "--where", "till 1").stdout
    assert "is revoked" in run("redemption", "revoke", second, "--reason", "fraud", "--keep-points").stdout
    refused = run("redemption", "release", second, "--reason", "no")
    assert refused.exit_code == 1


@on_sqlite
def test_unused_codes_are_switched_off_only_with_their_reward(installed: Path, run: Run, data: Data) -> None:
    used, unused = taken("five", "five")
    run("redemption", "use", used, "--where", "till 1")
    early = run("reward", "withdraw", "five")
    assert (early.exit_code, "stampcard stop reward five" in early.stderr) == (1, True)
    assert run("stop", "reward", "five", "--note", "misprint").exit_code == 0

    assert "unused codes of five looked at: 1;" in run("reward", "withdraw", "five").stdout

    refused = run("redemption", "use", unused, "--where", "till 2")
    assert "withdrawn" in refused.stderr
    assert run("reward", "restore", "five").exit_code == 0
    assert "is used" in run("redemption", "use", unused, "--where", "till 2").stdout


@on_sqlite
def test_an_empty_list_says_so(installed: Path, run: Run) -> None:
    assert "There is no redemption yet." in run("redemption", "list").stderr
    assert "There is no such redemption." in run("redemption", "list", "--status", "used").stderr
    assert run("redemption", "show", "r_nobody").exit_code == 1


# Codes that a shop makes

POOLED = """\
rewards:
  pooled: {name: Five for you, gives: 5 EUR off, price: 5, by: pool, prefix: FIVE, uses: 2, minimum: 20 EUR, stack: never,
    only: {product: ["7001"]}, valid: on 12-31}
  mixed: {gives: 5 EUR off, price: 5, by: pool, values: [{when: "true", gives: 9 EUR off}]}
  lifted: {gives: merchandise, price: 5, by: pool}
"""


class Shop:
    """What a shop that makes codes in bulk was asked for, and what it answers next."""

    def __init__(self) -> None:
        self.asked: list[tuple[Voucher, list[str]]] = []
        self.outcomes: list[Outcome | BaseException] = []

    async def fill(self, _: ShopifyFulfilment, voucher: Voucher, codes: Sequence[str]) -> Outcome:
        self.asked.append((voucher, list(codes)))
        outcome = self.outcomes.pop(0) if self.outcomes else Delivered()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


@pytest.fixture
def maker(installed: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """The shop of the settings, which takes 4 codes at once; nobody waits for it."""
    shop = Shop()

    async def fill(self: ShopifyFulfilment, voucher: Voucher, codes: Sequence[str]) -> Outcome:
        return await shop.fill(self, voucher, codes)

    monkeypatch.setattr(ShopifyFulfilment, "fill", fill)
    monkeypatch.setattr(ShopifyFulfilment, "fill_size", 4)
    monkeypatch.setattr(pooling, "WAITS", (0.0, 0.0, 0.0))
    (installed / "pooled.yaml").write_text(PROGRAM.replace("rewards:\n", POOLED), encoding="utf8")
    assert run("program", "apply", str(installed / "pooled.yaml")).exit_code == 0
    return shop


def free(data: Data, reward: str) -> int:
    return int(next(row["left"] for row in data("reward", "list") if row["reward"] == reward))


@on_sqlite
def test_a_shop_makes_codes_batch_by_batch_for_the_pool(run: Run, data: Data, maker: Shop) -> None:
    done = run("reward", "fill", "pooled", "--count", "10")
    assert (done.exit_code, done.stdout) == (0, "10 codes were made at shop; 10 are free now\n")
    assert [len(codes) for _, codes in maker.asked] == [4, 4, 2]
    made = [code for _, codes in maker.asked for code in codes]
    assert len(set(made)) == 10
    assert all(code.startswith("FIVE-") for code in made)
    assert {voucher.code for voucher, _ in maker.asked} == {made[0]}
    assert "12 are free now" in run("reward", "fill", "pooled", "--count", "2", "--connection", "shop").stdout
    (id_,) = taken("pooled")
    assert data("redemption", "show", id_)["code"] in {*made, *maker.asked[-1][1]}


def test_the_shop_is_told_the_terms_that_a_redemption_has_but_no_end(run: Run, database: Database, maker: Shop) -> None:
    run("reward", "fill", "pooled", "--count", "1")
    (id_,) = taken("pooled")
    told = maker.asked[0][0]

    settings = load_settings()
    sealer = open_sealer(settings)
    redemption = database.read_now(lambda c: find_redemption(c, settings.merchant, sealer, id_))
    assert redemption is not None
    had = redemption.voucher
    assert had is not None
    assert told == replace(had, key=told.key, starts_at=told.starts_at, ends_at=None, batch="")
    assert had.batch == told.code
    assert (told.uses, told.stack, told.products, told.minimum) == (2, "never", ("7001",), Decimal(20))
    assert (told.reference, had.ends_at is None) == ("", False)


def test_unused_codes_of_a_pool_are_switched_off_where_they_were_made(run: Run, data: Data, maker: Shop) -> None:
    maker.outcomes = [Delivered(result={"id": "discount/7"})]
    run("reward", "fill", "pooled", "--count", "3")
    first, second, third = taken("pooled", "pooled", "pooled")
    run("redemption", "use", third, "--where", "till 1")
    run("redemption", "use", third, "--where", "till 2")
    assert data("redemption", "show", first)["by"] == "shop"
    assert "is revoked" in run("redemption", "revoke", first, "--reason", "fraud").stdout
    run("stop", "reward", "pooled", "--note", "misprint")
    assert "unused codes of pooled looked at: 1;" in run("reward", "withdraw", "pooled").stdout
    assert "unused codes of pooled looked at: 1;" in run("reward", "restore", "pooled").stdout
    sent = [(row["kind"], row["key"].partition(":")[0]) for row in data("outbox", "list")]
    assert sorted(sent) == sorted([("reward_withdraw", first), ("reward_withdraw", second), ("reward_restore", second)])


@on_sqlite
@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["five", "--count", "1"], "by: pool"),
        (["mixed", "--count", "1"], "different things"),
        (["lifted", "--count", "1"], "shop cannot make merchandise real"),
        (["nothing", "--count", "1"], "there is no reward 'nothing'"),
        (["pooled", "--count", "1", "--connection", "shpo"], "there is no connection 'shpo'"),
    ],
)
def test_what_cannot_be_filled_is_refused(run: Run, maker: Shop, arguments: list[str], why: str) -> None:
    refused = run("reward", "fill", *arguments)
    assert (refused.exit_code, why in refused.stderr) == (1, True)
    assert maker.asked == []


@on_sqlite
@pytest.mark.parametrize("count", ["0", "100001"])
def test_a_count_out_of_range_is_wrong_usage(run: Run, maker: Shop, count: str) -> None:
    assert run("reward", "fill", "pooled", "--count", count).exit_code == 2


@on_sqlite
def test_a_connection_that_is_paused_makes_nothing(run: Run, maker: Shop) -> None:
    run("connection", "pause", "shop", "--note", "stocktaking")
    refused = run("reward", "fill", "pooled", "--count", "1")
    assert (refused.exit_code, "connection resume shop" in refused.stderr) == (1, True)
    assert maker.asked == []


@on_sqlite
def test_of_several_shops_one_must_be_named(installed: Path, run: Run, maker: Shop) -> None:
    file = installed / "stampcard.toml"
    other = '[connections.other]\nplugin = "shopify"\nshop = "other.myshopify.com"\n'
    file.write_text(file.read_text() + other + 'access_token = "a-token"\nwebhook_secrets = ["a-secret"]\n')
    refused = run("reward", "fill", "pooled", "--count", "1")
    assert (refused.exit_code, "--connection shop or other" in refused.stderr) == (1, True)
    assert "made at other" in run("reward", "fill", "pooled", "--count", "1", "--connection", "other").stdout


@on_sqlite
def test_without_a_shop_nothing_is_made(installed: Path, run: Run, maker: Shop) -> None:
    (installed / "stampcard.toml").write_text("programs = []\n")
    refused = run("reward", "fill", "pooled", "--count", "1")
    assert (refused.exit_code, "no connection makes rewards real" in refused.stderr) == (1, True)


@on_sqlite
def test_a_connection_that_does_not_stand_cannot_be_reached(installed: Path, run: Run, maker: Shop) -> None:
    file = installed / "stampcard.toml"
    file.write_text(file.read_text().replace('shop = "example', 'shop = "example/'))
    refused = run("reward", "fill", "pooled", "--count", "1")
    assert (refused.exit_code, "the connection 'shop'" in refused.stderr) == (4, True)


@on_sqlite
def test_a_batch_that_was_not_made_is_asked_for_again_with_the_same_codes(run: Run, data: Data, maker: Shop) -> None:
    maker.outcomes = [Unknown(reason="lost"), RetryLater(reason="later", after=0.0), RuntimeError("broken")]
    assert run("reward", "fill", "pooled", "--count", "6").exit_code == 0
    first, *others = [codes for _, codes in maker.asked]
    assert others[:3] == [first] * 3
    assert (len(others[3]), free(data, "pooled")) == (2, 6)


@on_sqlite
@pytest.mark.parametrize(
    ("given", "code", "why"),
    [
        ([Rejected(reason="no amounts here")], 1, "no amounts here; 0 of 10"),
        ([RetryLater(reason="throttled")] * 4, 4, "throttled; 0 of 10"),
        ([Unknown(reason="no answer")] * 4, 4, "no answer; 0 of 10"),
        ([RuntimeError("private")] * 4, 4, "RuntimeError; 0 of 10"),
        ([Delivered(), Rejected(reason="too many")], 5, "too many; 4 of 10"),
        ([Delivered(), *[Unknown(reason="no answer")] * 4], 5, "no answer; 4 of 10"),
    ],
)
def test_an_error_says_how_many_were_made_and_these_stay(
    run: Run, data: Data, maker: Shop, given: list[Any], code: int, why: str
) -> None:
    maker.outcomes = list(given)
    failed = run("reward", "fill", "pooled", "--count", "10")
    assert (failed.exit_code, f"error: shop: {why}" in failed.stderr.replace("its plugin failed: ", "")) == (code, True)
    assert "private" not in failed.stderr
    assert free(data, "pooled") == (4 if code == 5 else 0)


@on_sqlite
def test_a_database_that_goes_away_leaves_what_it_took(
    run: Run, data: Data, maker: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def once(*given: Any, **more: Any) -> int:
        if len(maker.asked) > 1:
            raise Unavailable("the database")
        return add_codes(*given, **more)

    monkeypatch.setattr(pooling, "add_codes", once)
    failed = run("reward", "fill", "pooled", "--count", "10")
    assert (failed.exit_code, failed.stdout) == (5, "4 codes were made at shop\n")
    assert "the database is unavailable; 4 of 10 codes were made" in failed.stderr
    assert free(data, "pooled") == 4


@on_sqlite
def test_what_was_added_stays_when_somebody_stops_it(run: Run, data: Data, maker: Shop) -> None:
    maker.outcomes = [Delivered(), KeyboardInterrupt()]
    stopped = run("reward", "fill", "pooled", "--count", "10")
    assert (stopped.exit_code, "4 of 10 codes are in the pool" in stopped.stderr) == (130, True)
    assert free(data, "pooled") == 4


@on_sqlite
def test_a_fulfilment_that_says_nothing_of_bulk_refuses_it(
    run: Run, maker: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ShopifyFulfilment, "fill", Fulfilment.fill)
    refused = run("reward", "fill", "pooled", "--count", "1")
    assert (refused.exit_code, "cannot be made in bulk here" in refused.stderr) == (1, True)

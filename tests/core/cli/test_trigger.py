import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from stampcard.cli.main import app
from stampcard.testing.simulator import SignedRequest
from stampcard_shopify.simulator import ShopifySimulator

SHOP = 'plugin = "shopify"\nshop = "example.myshopify.com"\naccess_token = "t"\nwebhook_secrets = ["a-secret"]\n'
WOOCOMMERCE = 'plugin = "woocommerce"\nshop = "https://shop.example"\nwebhook_secrets = ["a-secret"]\n'
TILL = 'plugin = "standard_webhooks"\nwebhook_secrets = "whsec_ZnJvbSB0aGUgdGlsbCwgb25lIG9mIDMwIGJ5dGVz"\n'
NEWS = (
    'plugin = "standard_webhooks"\nurl = "https://ours.example/news"\n'
    'secrets = "whsec_ZnJvbSB0aGUgdGlsbCwgb25lIG9mIDMwIGJ5dGVz"\n'
)


class Server:
    """Answers every request alike, and keeps what came."""

    def __init__(self) -> None:
        self.status = 200
        self.answer: bytes = b""
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        keeper = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                keeper.received.append((self.path, dict(self.headers), body))
                self.send_response(keeper.status)
                self.end_headers()
                self.wfile.write(keeper.answer)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = Thread(target=made.http.serve_forever)
    thread.start()
    yield made
    made.http.shutdown()
    thread.join()
    made.http.server_close()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stampcard.toml").write_text(f"[connections.shop]\n{SHOP}")
    monkeypatch.setenv("STAMPCARD_HTTP__PORT", str(server.http.server_address[1]))
    return lambda *arguments, **more: CliRunner().invoke(app, ["trigger", *arguments], **more)


def test_the_topics_are_listed(run: Callable[..., Result]) -> None:
    assert {"plugin": "shopify", "topic": "order.paid"} in json.loads(run("--list", "--json").stdout)
    listed = [line.split() for line in run("--list").stdout.splitlines()]
    assert ["shopify", "order.refunded"] in listed
    assert ["woocommerce", "order.deleted"] in listed
    assert ["standard_webhooks", "event.happened"] in listed


def test_a_sample_is_signed_with_the_connections_own_secret_and_sent_to_the_server(
    run: Callable[..., Result], server: Server
) -> None:
    result = run("order.paid")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("order.paid was taken in (200).")
    ((path, headers, body),) = server.received
    digest = base64.b64encode(hmac.digest(b"a-secret", body, hashlib.sha256)).decode()
    assert (path, headers["X-Shopify-Hmac-Sha256"]) == ("/webhooks/shop", digest)
    assert headers["X-Shopify-Shop-Domain"] == "example.myshopify.com"
    assert "a-secret" not in result.output


@pytest.mark.parametrize("shop", [SHOP, WOOCOMMERCE])
def test_no_two_samples_are_the_same(run: Callable[..., Result], server: Server, tmp_path: Path, shop: str) -> None:
    (tmp_path / "stampcard.toml").write_text(f"[connections.shop]\n{shop}")
    run("order.paid")
    run("order.paid")
    orders = [json.loads(body)["id"] for _, _, body in server.received]
    assert orders[0] != orders[1]


def test_a_sample_is_signed_for_the_address_that_the_settings_tell(
    run: Callable[..., Result], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses, honest = [], ShopifySimulator.sample

    def watched(shop: ShopifySimulator, topic: str, **more: Any) -> SignedRequest:
        addresses.append(shop.target_url)
        return honest(shop, topic, **more)

    monkeypatch.setattr(ShopifySimulator, "sample", watched)
    here = f"http://127.0.0.1:{server.http.server_address[1]}"
    run("order.paid")
    monkeypatch.setenv("STAMPCARD_HTTP__PUBLIC_URL", "https://ours.example")
    assert run("order.paid", "--url", here).exit_code == 0
    assert addresses == [f"{here}/webhooks/shop", "https://ours.example/webhooks/shop"]


def test_a_refusal_ends_with_1_and_a_hint(run: Callable[..., Result], server: Server) -> None:
    server.status, server.answer = 401, b'{"detail": "the signature does not fit the body"}'
    result = run("order.paid")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        "refused with 401: the signature does not fit the body",
        "The server checks with other secrets: restart it if connections.shop was changed since it started.",
    ]
    assert json.loads(run("order.paid", "--json").stdout)["status"] == 401


def test_where_nothing_listens_the_end_is_4(run: Callable[..., Result]) -> None:
    result = run("order.paid", "--url", "http://127.0.0.1:1")
    assert result.exit_code == 4
    assert result.stderr == (
        "error: nothing answers at http://127.0.0.1:1/webhooks/shop (ConnectError). Start it: stampcard serve\n"
    )


def test_what_erases_a_whole_source_is_asked_for_first(run: Callable[..., Result], server: Server) -> None:
    assert run("shop.redacted", input="n\n").exit_code == 1
    assert server.received == []
    assert run("shop.redacted", "--yes").exit_code == 0


def test_of_several_connections_one_must_be_named(run: Callable[..., Result], server: Server, tmp_path: Path) -> None:
    (tmp_path / "stampcard.toml").write_text(f"[connections.shop]\n{SHOP}[connections.other]\n{SHOP}")
    result = run("order.paid")
    assert (result.exit_code, result.stderr) == (2, "error: say which --connection: other, shop\n")
    assert run("order.paid", "--connection", "other").exit_code == 0
    assert server.received[0][0] == "/webhooks/other"


def test_a_connection_that_only_tells_is_not_asked_about_and_says_why_when_it_is_named(
    run: Callable[..., Result], server: Server, tmp_path: Path
) -> None:
    (tmp_path / "stampcard.toml").write_text(f"[connections.till]\n{TILL}[connections.news]\n{NEWS}")
    assert run("order.paid").exit_code == 0
    ((path, headers, body),) = server.received
    assert (path, json.loads(body)["data"]["paid"]) == ("/webhooks/till", True)
    assert headers["webhook-signature"].startswith("v1,")
    result = run("order.paid", "--connection", "news")
    told = "connections.news: takes no webhooks in: it has no webhook_secrets"
    assert (result.exit_code, result.stderr) == (3, f"error: {told}\n")


def test_an_unknown_topic_and_an_unknown_connection_are_named(run: Callable[..., Result]) -> None:
    assert run("order.lost").stderr == "error: there is no topic 'order.lost'\n"
    assert run("order.paid", "--connection", "till").stderr == "error: there is no connection 'till'\n"
    assert run().exit_code == 2


def test_without_a_connection_that_can_be_simulated_the_end_is_3(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "stampcard.toml").write_text("")
    assert run("order.paid").exit_code == 3

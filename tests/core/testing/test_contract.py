"""Each rule of the contract is broken by one small change to the sample plugin, and says so."""

from __future__ import annotations

import runpy
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import Phase
from hypothesis import settings as trial

from stampcard.testing.contract import PluginContract
from stampcard.testing.installing import install
from stampcard.testing.rules.carrying import CarryingRules
from stampcard.testing.rules.case import TRIAL
from stampcard.testing.rules.contacting import ContactingRules
from stampcard.testing.rules.enlisting import EnlistingRules
from stampcard.testing.rules.messaging import MessagingRules

SAMPLE = Path(__file__).parents[2] / "plugins" / "sample" / "stampcard-sample"
FILES = ("stampcard_sample.py", "test_sample.py")
#: Rules that try at random.
RANDOM = ("decoding", "judging", "shopping", "verifying")

CHECK = '        plugin.check_hmac_sha256_base64(self._secrets, request.body, request.header("till-signature"))\n'
VOUCH = "        return plugin.VerifiedRequest("
CONNECT = "@plugin.hookimpl\nasync def connect("
CAUGHT = "except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)"
DECODE = "        try:\n            sale = "
REASON = 'reason = f"the till answered {answer.status_code}"'
SHOWN = 'answer.status_code == httpx.codes.OK and answer.content == b"shown"'
EVENTS = "    def events("
SECRET_LIST = "for secret in settings.webhook_secrets]"
KEY = "return hashlib.sha256(request.body).hexdigest()"
SIGNED = 'return {"till-signature"'
API_URL = 'api_url: str = "https://api.till.example"'


def checked(*lines: str) -> dict[str, str]:
    """Signatures checked in another way: `given` is what was sent, `good` what would be right."""
    given = 'given = request.header("till-signature")'
    good = 'good = [base64.b64encode(hmac.digest(s, request.body, "sha256")).decode() for s in self._secrets]'
    return {CHECK: "".join(f"        {line}\n" for line in (given, good, *lines))}


def told_about(line: str) -> dict[str, str]:
    """A say in whom a body tells about."""
    return {EVENTS: f"    def subject(self, delivery):\n        {line}\n\n{EVENTS}"}


def refused_unless(condition: str) -> str:
    return f"if not ({condition}): raise plugin.InvalidSignature"


RIGHT = refused_unless("given.encode() in [text.encode() for text in good]")

#: A sink of commands that must not be done twice, whose lost answers say that nothing was done.
VOUCHERS = {
    '"balance", 5, True': '"voucher", 5, False',
    "in item.balances.items()": "in ()",
    "import OrderSeen": "import Command, OrderSeen",
    'sinks = ("balance",)': 'sinks = ("voucher",)\n\n    def item(self, kind, number):\n'
    '        return Command(kind=kind, key=f"k{number}", member=f"m{number}", reference=f"{number}")',
}

#: A source of facts, good but for what is changed.
FACTS = {
    "sinks=(display,), ": "sinks=(display,), facts=(Queue(context),), ",
    CONNECT: """class Queue(plugin.FactSource):
    name = "queue"

    def __init__(self, context): self.http, self.url = context.http, context.settings.api_url
    def key(self, event, member): return "till"
    async def facts(self, key):
        answer = await self.http.get(f"{self.url}/customers/queue/length", headers={"authorization": "Bearer a-token-of-the-till"})
        if answer.text != "shown": raise ValueError
        return {"length": 3}


"""
    + CONNECT,
    'sinks = ("balance",)': 'sinks = ("balance",)\n    facts = ("queue",)\n\n    def occasion(self):\n'
    "        return OrderSeen(reference='A1', snapshot=order(10)), Member(id='m_1', joined_at=NOON)",
    "import OrderSeen\n": "import Member, OrderSeen\nfrom stampcard.testing.building import NOON, order\n",
}


def knowing(old: str, new: str) -> dict[str, str]:
    """The sample with a source of facts that is changed."""
    assert any(old in text for text in FACTS.values())
    return {key: text.replace(old, new) for key, text in FACTS.items()}


#: A word in requests to be verified: a licence that ends with the till's letter.
JUDGE = {
    CONNECT: """@plugin.hookimpl
def verify_eligibility(proof, evidence):
    if proof != "cashier": return None
    if evidence.get("licence", "").endswith("T"): return plugin.Eligibility(approved=True)
    return plugin.Eligibility(approved=False, reason="not a licence of ours")


"""
    + CONNECT,
    'sinks = ("balance",)': 'sinks = ("balance",)\n    proofs = {"cashier": {"licence": "1T"}}',
}


def judging(old: str, new: str) -> dict[str, str]:
    """The sample with a word in requests that is changed."""
    assert old in JUDGE[CONNECT]
    return JUDGE | {CONNECT: JUDGE[CONNECT].replace(old, new)}


#: What the till sends, as its own list says; empty there is nothing to set right.
SUBSCRIPTIONS = {
    "sinks=(display,), ": "sinks=(display,), subscriptions=List(context), ",
    CONNECT: """class List(plugin.Subscriptions):
    def __init__(self, context): self.http, self.url = context.http, context.settings.api_url
    async def look(self, address):
        try: answer = await self.http.get(f"{self.url}/webhooks")
        except httpx.HTTPError as error: raise plugin.PluginError("till", f"no answer: {type(error).__name__}") from None
        if answer.text != "shown": raise plugin.PluginError("till", "the till does not answer")
        return plugin.Audit(good=(plugin.Subscribed(topic="sale", address=address),))
    async def mend(self, address, but=()): return await self.look(address)
    async def end(self, address): return len((await self.look(address)).good)


"""
    + CONNECT,
}


def subscribing(old: str, new: str) -> dict[str, str]:
    """The sample with a list of webhooks that is changed."""
    assert old in SUBSCRIPTIONS[CONNECT]
    return SUBSCRIPTIONS | {CONNECT: SUBSCRIPTIONS[CONNECT].replace(old, new)}


#: The sales that the till has.
LISTING = {
    "sinks=(display,), ": "sinks=(display,), fetch=nothing, orders=Sales(context), ",
    CONNECT: """async def nothing(refs): return []


class Sales(plugin.OrderList):
    def __init__(self, context): self.http, self.url = context.http, context.settings.api_url
    async def changed(self, since, place=""):
        try: answer = await self.http.get(f"{self.url}/sales")
        except httpx.HTTPError as error: raise plugin.PluginError("till", f"no answer: {type(error).__name__}") from None
        if answer.text != "shown": raise plugin.PluginError("till", "the till does not answer")
        return plugin.Listings(orders=(plugin.Listing(reference="A1", changed_at=since),))


"""
    + CONNECT,
}


def listing(old: str, new: str) -> dict[str, str]:
    """The sample with a list of sales that is changed."""
    assert old in LISTING[CONNECT]
    return LISTING | {CONNECT: LISTING[CONNECT].replace(old, new)}


#: The sales that the till had, on two pages.
HISTORY = {
    "sinks=(display,), ": "sinks=(display,), history=Past(context), ",
    CONNECT: """class Past(plugin.OrderHistory):
    def __init__(self, context): self.http, self.url, self.times = context.http, context.settings.api_url, 0
    async def count(self, since):
        await self.ask()
        return None
    async def read(self, since, place=""):
        await self.ask()
        self.times += 1
        one = plugin.Delivery(connection="contract", key="past:A1", topic="sale", body=b"{}", received_at=since, read_at=1)
        return plugin.HistoryPage(deliveries=(one,), place="" if place else "2")
    async def ask(self):
        try: answer = await self.http.get(f"{self.url}/customers/past/all", headers={"authorization": "Bearer a-token-of-the-till"})
        except httpx.HTTPError as error: raise plugin.PluginError("till", f"no answer: {type(error).__name__}") from None
        if answer.text != "shown": raise plugin.PluginError("till", "the till does not answer")


"""
    + CONNECT,
    'sinks = ("balance",)': 'sinks = ("balance",)\n    fetched = ("sale",)',
}


def recalling(old: str, new: str) -> dict[str, str]:
    """The sample with a past that is changed."""
    assert old in HISTORY[CONNECT]
    return HISTORY | {CONNECT: HISTORY[CONNECT].replace(old, new)}


#: Customers' cards at the till, as a CRM has contacts: two of them, on two pages.
CARDS = {
    "TillSettings(plugin.PluginSettings)": "TillSettings(plugin.ContactSettings)",
    "sinks=(display,), ": "sinks=(display,), fetch=nothing, contacts=Cards(context), ",
    EVENTS: """    def card(self, delivery):
        return plugin.ContactSeen(reference=delivery.body.decode(), occurred_at=delivery.received_at)

"""
    + EVENTS,
    "        return [self._order(": """        if delivery.topic == "card": return [self.card(delivery)]
        return [self._order(""",
    CONNECT: """async def nothing(refs): return []


class Cards(plugin.Contacts):
    defaults = {"member_id": "number", "points": "points", "email": "mail"}
    batch_size = 3
    def __init__(self, context): self.http, self.url, self.clock, self.times = context.http, context.settings.api_url, context.clock, 0
    async def ask(self, path):
        self.times += 1
        try: answer = await self.http.get(f"{self.url}/customers/{path}/card", headers={"authorization": "Bearer a-token-of-the-till"})
        except httpx.HTTPError as error: raise plugin.PluginError("till", f"no answer: {type(error).__name__}") from None
        if answer.status_code != 404 and answer.text not in ("shown", "made"): raise plugin.PluginError("till", "the till does not answer")
        return answer
    async def change(self, reference, result, gone):
        try: answer = await self.ask(reference)
        except plugin.PluginError as error: return plugin.RetryLater(reason=str(error))
        return gone if answer.status_code == 404 else plugin.Delivered(result=result)
    async def show(self, item):
        reference = item.reference or f"card-of-{item.member}"
        return await self.change(reference, {"reference": reference, "fields": item.fields}, plugin.Rejected(reason="no such card"))
    async def write(self, items): return [await self.show(item) for item in items]
    async def remove(self, references): return [await self.change(one, {}, plugin.Delivered()) for one in references]
    async def erase(self, references): return [await self.change(one, {}, plugin.Delivered()) for one in references]
    async def prepare(self, pairs): return ["the field points"] if (await self.ask("field")).text == "made" else []
    def read_card(self, number):
        now = self.clock.now()
        return plugin.Delivery(connection="contract", key=f"card:{number}", topic="card", body=number.encode(), received_at=now, read_at=1)
    async def find(self, people):
        await self.ask("all")
        return [[self.read_card("1")] if "ada@till.example" in person.emails else [] for person in people]
    async def read(self, place=""):
        await self.ask("all")
        return plugin.ContactPage(deliveries=(self.read_card(place or "1"),), place="" if place else "2")
    async def changed(self, since, place=""):
        await self.ask("all")
        return plugin.ContactPage(deliveries=(self.read_card("1"),))
    async def count(self):
        await self.ask("all")
        return 2


"""
    + CONNECT,
    'sinks = ("balance",)': 'sinks = ("balance",)\n    fetched = ("card",)\n    gone_reference = "nobody"\n    remembers = True\n'
    '    people = (Person(member="m_1", emails=("ada@till.example",)),)',
    "        return httpx.Response(404) if": """        if "/field/" in request.url.path and not self.__dict__.get("made"):
            self.made = True
            return httpx.Response(200, text="made")
        return httpx.Response(404) if""",
    "import OrderSeen\n": "import OrderSeen, Person\n",
}


def contacting(old: str, new: str) -> dict[str, str]:
    """The sample with cards as contacts that are changed."""
    assert any(old in text for text in CARDS.values())
    return {key: text.replace(old, new) for key, text in CARDS.items()}


ASKED = 'if answer.status_code != 404 and answer.text not in ("shown", "made"): raise'
WRITE = "async def write(self, items): return [await self.show(item) for item in items]"
SHOWN_NOW = '{"reference": reference, "fields": item.fields}'


#: A source of shoppers, who show a card that the till has signed.
SHOPPERS = {
    "sinks=(display,), ": "sinks=(display,), shopper=Cards(webhook), ",
    CONNECT: """class Cards(plugin.ShopperSource):
    def __init__(self, webhook): self.secrets = webhook._secrets
    def identify(self, request):
        card, _, signature = request.header("authorization").removeprefix("Bearer ").partition(".")
        signed = card.encode(errors="replace")
        plugin.check_hmac_sha256_base64(self.secrets, signed, signature)
        return card or None


"""
    + CONNECT,
}


def shopping(old: str, new: str) -> dict[str, str]:
    """The sample with a source of shoppers that is changed."""
    assert old in SHOPPERS[CONNECT]
    return SHOPPERS | {CONNECT: SHOPPERS[CONNECT].replace(old, new)}


#: A fulfilment whose till prints vouchers, good but for what is changed.
FULFILMENT = {
    "sinks=(display,), ": "sinks=(display,), fulfil=Printer(context), ",
    CONNECT: """class Printer(plugin.Fulfilment):
    kinds = {"amount_off": plugin.Support(level="yes")}
    features = {"minimum": plugin.Support(level="no", note="the till cannot count")}
    batch_size = 3

    def __init__(self, context): self.http, self.url = context.http, context.settings.api_url
    async def ask(self, voucher):
        if voucher.kind not in self.kinds: return plugin.Rejected(reason="the till prints no such thing")
        try:
            answer = await self.http.get(f"{self.url}/customers/1/length", headers={"authorization": "Bearer a-token-of-the-till"})
        except httpx.HTTPError as error:
            return plugin.Unknown(reason=type(error).__name__)
        return plugin.Delivered() if answer.text == "shown" else plugin.RetryLater(reason="the till did not print")
    async def issue(self, vouchers): return [await self.ask(voucher) for voucher in vouchers]
    async def withdraw(self, vouchers): return [await self.ask(voucher) for voucher in vouchers]
    async def restore(self, vouchers): return [await self.ask(voucher) for voucher in vouchers]
    async def lookup(self, voucher, action):
        outcome = await self.ask(voucher)
        return plugin.Done() if isinstance(outcome, plugin.Delivered) else plugin.Unknown(reason="who knows")


"""
    + CONNECT,
}


RESTORE = "async def restore(self, vouchers): return [await self.ask(voucher) for voucher in vouchers]"


def fulfilling(old: str, new: str) -> dict[str, str]:
    """The sample with a fulfilment that is changed."""
    assert old in FULFILMENT[CONNECT]
    return FULFILMENT | {CONNECT: FULFILMENT[CONNECT].replace(old, new)}


#: A pager as a channel: customers carry it, and press a key to answer.
PAGERS = {
    "sinks=(display,), ": "sinks=(display,), channels=(Pager(context),), ",
    "        return [self._order(": """        told = {"channel": "pager", "occurred_at": delivery.received_at}
        heard = plugin.MessageReceived(address="7001", text="STOP", key=delivery.key, **told)
        if delivery.topic == "sale": return [heard, plugin.MessageReported(state="delivered", message="m1", **told)]
        return [self._order(""",
    CONNECT: """class Pager(plugin.Channel):
    name, form, needs, batch_size, hears = "pager", "note", "reference", 3, True
    rate = plugin.Rate(per_second=2, burst=3)

    def __init__(self, context):
        self.http, self.url, self.log, self.calls = context.http, context.settings.api_url, context.log, 0
        self.headers = {"authorization": f"Bearer {context.settings.token.get_secret_value()}"}
    def price(self): return Decimal("0.01")
    def parts(self, message): return 1 + len(message.text) // 160
    async def send(self, messages): return [await self.page(message) for message in messages]
    async def ask(self, message, method):
        url = f"{self.url}/customers/{quote(message.to, safe='')}/pager"
        return await self.http.request(method, url, json={"text": message.text, "title": message.subject}, headers=self.headers)
    async def page(self, message):
        try: answer = await self.ask(message, "PUT")
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout): return plugin.RetryLater(reason="nobody answers")
        except httpx.HTTPError as error: return plugin.Unknown(reason=f"no answer: {type(error).__name__}")
        if answer.text == "shown" and answer.is_success: return plugin.Delivered(result={"id": message.id, "state": "sent"})
        reason = f"the pager answered {answer.status_code}"
        if answer.is_success or answer.status_code in {500, 502, 504}: return plugin.Unknown(reason=reason)
        if answer.status_code == 404: return plugin.Rejected(reason=reason, because="address")
        if answer.status_code in {400, 403, 422}: return plugin.Rejected(reason=reason)
        seconds = answer.headers.get("retry-after", "")
        return plugin.RetryLater(reason=reason, after=int(seconds) if seconds.isdecimal() and len(seconds) < 6 else None)
    async def lookup(self, message, attempted_at):
        try: answer = await self.ask(message, "GET")
        except httpx.HTTPError as error: return plugin.Unknown(reason=f"no answer: {type(error).__name__}")
        return plugin.Done(result={"id": "p1", "state": "sent"}) if answer.text == "shown" else plugin.Unknown(reason="who knows")


"""
    + CONNECT,
    'sinks = ("balance",)': 'sinks = ("balance",)\n    channels = ("pager",)\n    unfit_address = "nobody"',
}
PAGE = "async def send(self, messages): return [await self.page(message) for message in messages]"
PARTS = "return 1 + len(message.text) // 160"
PAGED = '{"id": message.id, "state": "sent"}'
UNREACHED = "except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout): return plugin.RetryLater"
HEARD = 'plugin.MessageReceived(address="7001", text="STOP", key=delivery.key, **told)'
REPORTED = 'plugin.MessageReported(state="delivered", message="m1", **told)'
FOUND = 'plugin.Done(result={"id": "p1", "state": "sent"}) if answer.text == "shown" else'


def messaging(old: str, new: str) -> dict[str, str]:
    """The sample with a pager that is changed."""
    assert any(old in text for text in PAGERS.values())
    return {key: text.replace(old, new) for key, text in PAGERS.items()}


#: An audience of the till's, good but for what is changed.
BOARDS = {
    "sinks=(display,), ": "sinks=(display, Board(context)), ",
    "class TillSettings(plugin.PluginSettings)": "class TillSettings(plugin.AudienceSettings)",
    CONNECT: """class Board(plugin.AudienceSink):
    batch_size, hashes, calls = 3, ("email", "phone"), 0

    def __init__(self, context):
        self.http, self.url, self.log = context.http, context.settings.api_url, context.log
        self.headers = {"authorization": f"Bearer {context.settings.token.get_secret_value()}"}
    async def deliver(self, items): return [await self.pin(item) for item in items]
    async def pin(self, item):
        names = "-".join((*item.joins, "out", *item.leaves))
        body = {"hashes": [item.hashes[kind] for kind in self.hashes if kind in item.hashes]}
        self.calls += 1
        url = f"{self.url}/customers/{names}/audience"
        try: answer = await self.http.put(url, json=body, headers=self.headers)
        except httpx.HTTPError as error: return plugin.RetryLater(reason=f"no answer: {type(error).__name__}")
        if answer.text == "shown": return plugin.Delivered()
        reason = f"the board answered {answer.status_code}"
        return plugin.Rejected(reason=reason) if answer.status_code in {400, 404, 422} else plugin.RetryLater(reason=reason)


"""
    + CONNECT,
    'sinks = ("balance",)': 'sinks = ("balance", "audience")\n    unfit_audience = "nobody"',
    '"token": TOKEN}': '"token": TOKEN, "audiences": {"vips": "a1", "guests": "a2"}}',
    '"/nobody/" in': '"nobody" in',
}
PIN = "async def deliver(self, items): return [await self.pin(item) for item in items]"
PINNED = '"-".join((*item.joins, "out", *item.leaves))'
HASHES = "[item.hashes[kind] for kind in self.hashes if kind in item.hashes]"


def enlisting(old: str, new: str) -> dict[str, str]:
    """The sample with an audience that is changed."""
    assert any(old in text for text in BOARDS.values())
    return {key: text.replace(old, new) for key, text in BOARDS.items()}


#: Cards of the till's in phones, good but for what is changed.
WALLETS = {
    "sinks=(display,), ": "sinks=(display, Wallet(context)), ",
    "class TillSettings(plugin.PluginSettings)": "class TillSettings(plugin.PassSettings)",
    "        return [self._order(": """        told = {"serial": "ca2d" + 20 * "0", "occurred_at": delivery.received_at}
        if delivery.topic == "sale": return [plugin.PassSaved(**told), plugin.PassRemoved(**told)]
        return [self._order(""",
    CONNECT: """class Wallet(plugin.PassSink):
    title, batch_size, rotates, calls = "Wallet", 3, True, 0

    def __init__(self, context):
        self.http, self.url, self.log, self.kept = context.http, context.settings.api_url, context.log, {}
        self.headers = {"authorization": f"Bearer {context.settings.token.get_secret_value()}"}
    async def deliver(self, items): return [await self.show(item) for item in items]
    async def show(self, item):
        self.kept[item.serial] = item
        body = {"name": item.holder, "figures": [one.text for one in item.fields], "key": item.rotating.key if item.rotating else item.code}
        return await self.put(item.serial, body)
    async def put(self, serial, body):
        self.calls += 1
        try: answer = await self.http.put(f"{self.url}/customers/{serial}/card", json=body, headers=self.headers)
        except httpx.HTTPError as error: return plugin.RetryLater(reason=f"no answer: {type(error).__name__}")
        if answer.text == "shown": return plugin.Delivered()
        reason = f"the wallet answered {answer.status_code}"
        return plugin.Rejected(reason=reason) if answer.status_code in {400, 404, 422} else plugin.RetryLater(reason=reason)
    async def link(self, item, *, is_there):
        outcome = plugin.Delivered() if is_there else await self.show(item)
        if not isinstance(outcome, plugin.Delivered): raise plugin.PluginError("wallet", outcome.reason)
        return f"https://wallet.example/{item.serial}"
    async def end(self, serials): return [await self.put(serial, {"over": True}) for serial in serials]


"""
    + CONNECT,
    'sinks = ("balance",)': 'sinks = ("balance", "pass")\n    unfit_serial = "nobody"',
}
SHOW = "async def deliver(self, items): return [await self.show(item) for item in items]"
FIGURES = "[one.text for one in item.fields]"
LINKED = 'return f"https://wallet.example/{item.serial}"'
OVER = 'async def end(self, serials): return [await self.put(serial, {"over": True}) for serial in serials]'
REFUSED = 'reason = f"the wallet answered {answer.status_code}"'


def carrying(old: str, new: str) -> dict[str, str]:
    """The sample with cards in phones that are changed."""
    assert any(old in text for text in WALLETS.values())
    return {key: text.replace(old, new) for key, text in WALLETS.items()}


#: Cards in phones that ask for them, when the till has rung; good but for what is changed.
PHONES = {
    "sinks=(display,), ": "sinks=(display, phones := Phones(context)), routes=phones.routes, ",
    "class TillSettings(plugin.PluginSettings)": "class TillSettings(plugin.PassSettings)",
    "        return [self._order(": """        serial = delivery.body.decode()
        if delivery.topic == "phone": return [plugin.PassSaved(serial=serial, occurred_at=delivery.received_at)]
        return [self._order(""",
    CONNECT: """class Phones(plugin.PassSink):
    title, batch_size = "Phones", 3

    def __init__(self, context):
        self.http, self.url, self.log, self.passes = context.http, context.settings.api_url, context.log, context.passes
        self.headers = {"authorization": f"Bearer {context.settings.token.get_secret_value()}"}
        self.phones = {}
        self.routes = (
            plugin.Route(method="POST", path="cards/{serial}/phones/{phone}", handler=self.register),
            plugin.Route(method="GET", path="cards/{serial}", handler=self.show),
        )
    def check(self, request):
        proof = hmac.digest(b"a key", request.path["serial"].encode(), "sha256").hex()
        if request.header("authorization") != proof: raise plugin.InvalidSignature("not the phone of that card")
    async def register(self, request):
        self.check(request)
        serial = request.path["serial"]
        self.phones[serial] = request.path["phone"]
        return plugin.Reply(status=201, stores=plugin.VerifiedRequest(topic="phone", body=serial.encode()))
    async def show(self, request):
        self.check(request)
        item = await self.passes.find(request.path["serial"])
        if item is None: return plugin.Reply(status=404)
        body = json.dumps({"name": item.holder, "figures": [one.text for one in item.fields]}).encode()
        tag = hashlib.sha256(body).hexdigest()
        status = 304 if request.header("if-none-match") == tag else 200
        return plugin.Reply(status=status, body=b"" if status == 304 else body, headers={"ETag": tag})
    async def deliver(self, items): return [await self.ring(item.serial) for item in items]
    async def ring(self, serial):
        if serial not in self.phones: return plugin.Delivered()
        try: answer = await self.http.put(f"{self.url}/customers/{self.phones[serial]}/ring", json={}, headers=self.headers)
        except httpx.HTTPError as error: return plugin.RetryLater(reason=f"no answer: {type(error).__name__}")
        if answer.text == "shown": return plugin.Delivered()
        reason = f"the till answered {answer.status_code}"
        return plugin.Rejected(reason=reason) if answer.status_code in {400, 404, 422} else plugin.RetryLater(reason=reason)
    async def link(self, item, *, is_there): return f"https://till.example/{item.serial}"
    async def end(self, serials): return [await self.ring(serial) for serial in serials]


"""
    + CONNECT,
    'sinks = ("balance",)': """sinks = ("balance", "pass")
    unfit_serial = "nobody"

    def proof(self, serial): return {"authorization": hmac.digest(b"a key", serial.encode(), "sha256").hex()}
    async def before(self, visit):
        for serial in visit.passes: await visit.ask("POST", f"cards/{serial}/phones/{serial}", self.proof(serial))
    async def fetch_pass(self, visit, serial, headers):
        return await visit.ask("GET", f"cards/{serial}", {**headers, **self.proof(serial)})""",
}


def phoning(old: str, new: str) -> dict[str, str]:
    """The sample with phones that ask for their cards, changed."""
    assert any(old in text for text in PHONES.values())
    return {key: text.replace(old, new) for key, text in PHONES.items()}


#: A place beside the till where messages wait.
KEPT = {
    "sinks=(display,), ": "sinks=(display,), channels=(Place(),), ",
    CONNECT: """class Place(plugin.Channel):
    name, form, batch_size, kept = "place", "note", 3, True
    async def send(self, messages): return [plugin.Delivered(result={"state": "delivered"}) for message in messages]


"""
    + CONNECT,
    'sinks = ("balance",)': 'sinks = ("balance",)\n    channels = ("place",)',
}


def keeping(old: str, new: str) -> dict[str, str]:
    """The sample with a place for messages that is changed."""
    assert old in KEPT[CONNECT]
    return {key: text.replace(old, new) for key, text in KEPT.items()}


#: A pager that is dialled, and the till without anything that is called by HTTP.
DIALLED = {
    "sinks=(display,), check_health=display.check_health": "channels=(Pager(context),), check_health=Pager(context).check_health",
    API_URL: f'{API_URL}\n    def outbound_hosts(self): return ("pager.till.example:9",)',
    CONNECT: """class Pager(plugin.Channel):
    name, form, needs, batch_size = "pager", "note", "reference", 3

    def __init__(self, context): self.dial, self.token, self.log = context.dial, context.settings.token.get_secret_value(), context.log
    async def send(self, messages): return [await self.page(message) for message in messages]
    async def ask(self, *lines):
        answers, writer = [], None
        try:
            reader, writer = await asyncio.open_connection(sock=await self.dial("pager.till.example", 9))
            answers.append(await reader.readline())
            for line in lines if answers == [b"pager\\n"] else ():
                writer.write(line)
                answers.append(await reader.readline())
        except (OSError, ValueError): pass
        finally:
            if writer is not None: writer.close()
        return answers
    async def page(self, message):
        answers = await self.ask(json.dumps([self.token, message.to, message.subject, message.text]).encode() + b"\\n")
        answer = answers[1] if answers[1:] else b"" if answers == [b"pager\\n"] else None
        if answer is None or answer == b"later\\n": return plugin.RetryLater(reason="the pager wants it later")
        if answer == b"shown\\n": return plugin.Delivered(result={"id": message.id})
        if answer[:6] == b"never ": return plugin.Rejected(reason="the pager refuses it", because="address")
        return plugin.Unknown(reason="the pager said nothing that makes sense")
    async def check_health(self):
        ok = await self.ask() == [b"pager\\n"]
        return plugin.Health(ok=ok, problem="" if ok else "the pager does not answer")


"""
    + CONNECT,
    "import base64\n": "from contextlib import asynccontextmanager\n",
    'sinks = ("balance",)': """channels = ("pager",)
    calls_by_http = False
    unfit_address = "nobody"

    @asynccontextmanager
    async def open_dial(self, mood):
        async def serve(theirs):
            reader, writer = await asyncio.open_connection(sock=theirs, limit=2**24)
            writer.write(b"pager\\n")
            line = await reader.readline()
            answer = {"well": b"shown", "busy": b"later", "odd": b"what", "quoting": b"never " + line[:-1]}.get(mood)
            if b'"nobody"' in line: answer = b"never of him"
            if line and answer: writer.write(answer + b"\\n")
            writer.close()

        async def dial(host, port):
            ours, theirs = socket.socketpair()
            serving.append(asyncio.create_task(serve(theirs)))
            return ours

        serving = []
        yield dial
        await asyncio.gather(*serving)""",
}


def dialling(old: str, new: str) -> dict[str, str]:
    """The sample with a pager that is dialled, and changed."""
    assert any(old in text for text in DIALLED.values())
    return {key: text.replace(old, new) for key, text in DIALLED.items()}


BROKEN: dict[str, list[Mapping[str, str]]] = {
    "test_manifest_and_entry_point_and_folder_have_one_name": [
        {'name="sample"': 'name="simple"'},
        {'sample = "stampcard_sample"': 'till = "stampcard_sample"'},
    ],
    "test_it_is_made_for_this_api": [
        {"settings=TillSettings)": "settings=TillSettings, api_version=(2, 0))"},
        {"settings=TillSettings)": "settings=TillSettings, api_version=(1, 99))"},
    ],
    "test_the_host_takes_it": [{CONNECT: f"@plugin.hookimpl\ndef event_comitted(): pass\n\n{CONNECT}"}],
    "test_every_hook_has_the_signature_of_its_spec": [
        {"async def connect(": "async def connect(wait=1.0, *, "},
        {"async def connect(context": "async def connect(connection"},
        {CONNECT: "async def connect("},
    ],
    "test_every_hook_is_async_or_plain_as_its_spec": [{"async def connect(": "def connect("}],
    "test_a_valid_section_connects": [
        {"sinks=(display,), ": ""},
        {"webhook, display = ": "raise RuntimeError\n    webhook, display = "},
    ],
    "test_importing_it_touches_nothing_outside": [{CONNECT: f'socket.getaddrinfo("127.0.0.1", 80)\n\n{CONNECT}'}],
    "test_settings_refuse_what_they_do_not_know": [{API_URL: f'model_config = {{"extra": "ignore"}}\n    {API_URL}'}],
    "test_settings_have_an_api_url": [
        {API_URL: f'{API_URL}\n    def outbound_hosts(self): return ("api.till.example",)'},
    ],
    "test_settings_hide_their_secrets": [
        {"token: SecretStr": "token: str", "token.get_secret_value()": "token"},
        {API_URL: f'model_config = {{"hide_input_in_errors": False}}\n    {API_URL}'},
    ],
    "test_payloads_are_recorded": [{'/ "fixtures"': '/ "nothing"'}, {"sale__paid.json": "return__plain.json"}],
    "test_every_topic_is_recorded": [{'topics = ("sale",)': 'topics = ("sale", "return")'}],
    "test_every_recording_is_vouched_for": [
        {'topic="sale"': 'topic="sold"'},
        {"body=request.body)": "body=request.body.strip())"},
    ],
    "test_every_secret_is_good": [{SECRET_LIST: "for secret in settings.webhook_secrets[:1]]"}],
    "test_another_secret_is_refused": [checked(refused_unless("given.isascii() and len(given) == 44"))],
    "test_a_missing_signature_is_refused": [checked('if "till-signature" in request.headers:', f"    {RIGHT}")],
    "test_an_empty_signature_is_refused": [checked('if given or "till-signature" not in request.headers:', f"    {RIGHT}")],
    "test_a_truncated_signature_is_refused": [
        checked(refused_unless("given and any(text.startswith(given) for text in good)"))
    ],
    "test_a_signature_that_is_not_ascii_is_refused": [
        checked(refused_unless("any(hmac.compare_digest(given, text) for text in good)"))
    ],
    "test_an_oversized_signature_is_refused": [checked("if len(given) > 1000: raise ValueError(given)", RIGHT)],
    "test_whatever_comes_is_an_invalid_signature": [checked("base64.b64decode(given, validate=True)", RIGHT)],
    "test_the_raw_bytes_are_what_is_signed": [
        {CHECK: CHECK.replace("request.body", 'request.body.rstrip() + b"\\n"')},
        checked("if json.loads(request.body or '0'): return plugin.VerifiedRequest(topic='sale', body=request.body)"),
    ],
    "test_what_is_unchecked_is_what_would_be_vouched_for": [
        {EVENTS: f"    def unchecked(self, request):\n        return plugin.VerifiedRequest(topic='', body=b'')\n\n{EVENTS}"},
        {EVENTS: f"    def unchecked(self, request):\n        return self.verify(request)\n\n{EVENTS}"},
    ],
    "test_a_redelivery_has_the_same_key": [{KEY: "return uuid.uuid4().hex"}],
    "test_every_verified_request_has_a_key_that_can_be_stored": [
        {KEY: 'return ""'},
        {KEY: 'raise KeyError("x-delivery")'},
        {'topic="sale"': 'topic=request.header("till-topic")', SIGNED: 'return {"till-topic": "sale", "till-signature"'},
    ],
    "test_verifying_fetches_nothing": [
        {VOUCH: f'        socket.getaddrinfo("127.0.0.1", 80)\n{VOUCH}'},
        {KEY: f'socket.create_connection(("127.0.0.1", 9))\n        {KEY}'},
    ],
    "test_every_recording_decodes_to_what_is_declared": [
        {"[self._order(delivery.body)]": "[self._order(delivery.body)] * 2"},
        {DECODE: f'        raise plugin.MalformedPayload("later")\n{DECODE}'},
        {'{"sale__paid": [': '{"sale__paid": [], "sale__void": ['},
    ],
    "test_an_unknown_topic_has_no_events": [
        {' if delivery.topic == "sale" else []': ""},
        {'delivery.topic == "sale"': '{"sale": True}[delivery.topic]'},
    ],
    "test_decoding_twice_gives_equal_events": [{"number=sale.receipt": "number=uuid.uuid4().hex"}],
    "test_every_moment_has_a_time_zone": [{"occurred_at=sale.at": "occurred_at=sale.at.replace(tzinfo=None)"}],
    "test_no_number_is_a_float": [{"gross=sale.total": "gross=float(sale.total)"}],
    "test_a_body_that_is_no_json_is_malformed": [{CAUGHT: "except (msgspec.ValidationError, RecursionError)"}],
    "test_a_truncated_body_is_malformed": [{"decode(body, ": 'decode(body.rstrip(b"}\\n") + b"}", '}],
    "test_a_body_of_another_shape_is_malformed": [{"type=Sale": "type=Sale | None"}],
    "test_an_empty_object_is_malformed": [{DECODE: f'        if body == b"{{}}": raise KeyError("receipt")\n{DECODE}'}],
    "test_a_deeply_nested_body_is_malformed": [{CAUGHT: "except (msgspec.MsgspecError, UnicodeDecodeError)"}],
    "test_values_of_wrong_types_do_no_harm": [
        {"if not sale.total.is_finite()": "if not sale.total"},
        {"msgspec.Meta(tz=True)": "msgspec.Meta()"},
        {CAUGHT: "except (msgspec.MsgspecError, RecursionError)"},
    ],
    "test_random_bytes_are_malformed": [{DECODE: f'        assert body[0] == b"{{"[0]\n{DECODE}'}],
    "test_whom_a_body_tells_about_is_whom_its_events_name": [told_about('return "till"')],
    "test_asking_whom_a_body_tells_about_does_no_harm": [
        told_about("return msgspec.json.decode(delivery.body, type=Sale).customer"),
        told_about("return json.loads(delivery.body or '0') if delivery.body[:1] == b'[' else None"),
        told_about("return '\\ud800' if delivery.topic != 'sale' else None"),
    ],
    "test_what_the_vendor_takes_is_delivered": [
        {'b"shown"': 'b"displayed"'},
        {"for item in items]": "for item in items[:1]]"},
    ],
    "test_each_item_has_its_own_outcome_in_order": [{"for item in items]": "for item in reversed(items)]"}],
    "test_all_calls_go_to_the_api_url": [
        {"context.http, context.settings.api_url": 'context.http, "http://till.example"'},
        messaging("context.http, context.settings.api_url", 'context.http, "http://pager.example"'),
        messaging('self.ask(message, "GET")', 'self.http.get("http://pager.example", headers=self.headers)'),
        dialling('"pager.till.example:9"', '"till.example:9"'),
        dialling("channels=(Pager(context),), check_health=Pager(context).check_health", "check_health=display.check_health"),
    ],
    "test_too_many_requests_are_sent_later": [
        {"after=int(seconds) if": "after=None if"},
        {"in {400, 404, 422}": "in {400, 404, 422, 429}"},
    ],
    "test_an_unreadable_retry_after_does_no_harm": [
        {"if seconds.isdecimal() and len(seconds) < 6": "if seconds"},
        {"int(seconds) if seconds.isdecimal() and len(seconds) < 6": "float(seconds) if seconds.isdecimal()"},
    ],
    "test_a_vendor_in_trouble_is_asked_later": [{"in {400, 404, 422}": ">= 400"}],
    "test_a_lost_connection_is_tried_later": [VOUCHERS, {"except httpx.HTTPError as error:\n            return plugin.Retry": "except httpx.ConnectError as error:\n            return plugin.Retry"}],
    "test_an_answer_that_says_nothing_is_no_success": [{SHOWN: "answer.status_code == httpx.codes.OK"}],
    "test_a_huge_answer_does_no_harm": [{REASON: "reason = answer.text", SHOWN: "answer.status_code == 203"}],
    "test_what_blames_the_item_is_rejected": [{"in {400, 404, 422}": "in {404}"}],
    "test_refused_credentials_are_no_success": [{SHOWN: "answer.status_code in {200, 401}"}],
    "test_health_is_told_whatever_the_vendor_does": [
        {"except httpx.HTTPError as error:\n            return plugin.Health": "except httpx.ConnectError as error:\n            return plugin.Health"},
        {"ok=answer.is_success": "ok=True"},
        dialling("except (OSError, ValueError): pass", "except ValueError: pass"),
        dialling("except (OSError, ValueError): pass", "except OSError: pass"),
        dialling('ok = await self.ask() == [b"pager\\n"]', "ok = bool(await self.ask())"),
        dialling('"" if ok else "the pager does not answer"', '""'),
    ],
    "test_its_facts_are_those_that_are_declared": [knowing('("queue",)', '("line",)'), knowing("facts=(Queue(context),), ", "")],
    "test_the_same_occasion_has_the_same_key": [
        knowing('return "till"', "return uuid.uuid4().hex"),
        knowing('return "till"', "return None"),
        knowing('return "till"', "return member.id"),
    ],
    "test_facts_are_plain_values": [
        knowing('{"length": 3}', '{"length": [3]}'), knowing('{"length": 3}', "{}"), knowing('{"length": 3}', "{3: 3}"),
    ],
    "test_a_vendor_in_trouble_is_no_audit": [
        subscribing('if answer.text != "shown": raise', "if answer.status_code == 203: raise"),
        subscribing('raise plugin.PluginError("till", f"no answer: {type(error).__name__}") from None', "raise"),
        subscribing("return len((await self.look(address)).good)", "return 0"),
    ],
    "test_a_vendor_in_trouble_lists_no_orders": [
        listing('if answer.text != "shown": raise', "if answer.status_code == 203: raise"),
        listing('raise plugin.PluginError("till", f"no answer: {type(error).__name__}") from None', "raise"),
    ],
    "test_a_vendor_in_trouble_has_no_past": [
        recalling('if answer.text != "shown": raise', "if answer.status_code == 203: raise"),
        recalling("except httpx.HTTPError as error: raise", "except httpx.HTTPError as error: return None #"),
        recalling('"the till does not answer"', 'str(answer.request.headers) + "a-token-of-the-till"'),
    ],
    "test_a_place_in_the_past_that_is_read_twice_brings_the_same": [
        recalling('key="past:A1"', 'key=f"past:{self.times}"'),
        recalling('body=b"{}"', 'body=b"%d" % self.times'),
        recalling('place="" if place else "2"', 'place="2"'),
        recalling('place="" if place else "2"', "place=str(int(place or 1) + 1)"),
        recalling('connection="contract"', 'connection="till"'),
        recalling("read_at=1", "read_at=0"),
        recalling('topic="sale"', 'topic="return"'),
    ],
    "test_the_map_shows_the_members_id_in_a_field_of_its_own": [
        contacting('"member_id": "number", ', ""),
        contacting('"points": "points"', '"points": "number"'),
        {**CARDS, API_URL: f"{API_URL}\n    def to_read(self, defaults): return ('number',)"},
        {**CARDS, API_URL: f"{API_URL}\n    def pairs(self, defaults): return tuple(msgspec.structs.replace(one, unique=False) for one in super().pairs(defaults))"},
    ],
    "test_each_contact_that_is_shown_is_told_at_its_place": [
        contacting(WRITE, WRITE.replace("in items]", "in items[:1]]")),
        contacting(WRITE, WRITE.replace("in items]", "in reversed(items)]")),
        contacting(WRITE, WRITE.replace("in items]", "in sorted(items, key=lambda one: one.reference)]")),
        contacting(WRITE, WRITE.replace("in items]", "in (items if items[0].reference else reversed(items))]")),
        contacting(WRITE, f"{WRITE[:WRITE.index('return')]}raise OSError"),
        contacting(SHOWN_NOW, "{}"),
        contacting(SHOWN_NOW, '{"reference": 7, "fields": item.fields}'),
        contacting(SHOWN_NOW, '{"reference": "", "fields": item.fields}'),
        contacting(SHOWN_NOW, '{"reference": reference}'),
        contacting(SHOWN_NOW, '{"reference": reference, "fields": {name: len(text) for name, text in item.fields.items()}}'),
        contacting('f"card-of-{item.member}"', '"card"'),
    ],
    "test_a_contact_that_is_refused_is_alone_in_that": [
        contacting(WRITE, WRITE.replace("in items]", "in reversed(items)]")),
        contacting('reason="no such card"', 'reason=""'),
        contacting('plugin.Rejected(reason="no such card")', 'plugin.RetryLater(reason="no such card")'),
    ],
    "test_whoever_is_gone_already_is_put_away_and_forgotten": [
        contacting(f"async def {name}(self, references): return [await self.change(one, {{}}, plugin.Delivered())", f"async def {name}(self, references): return [await self.change(one, {{}}, {outcome})")
        for name, outcome in (("remove", "plugin.Rejected(reason='gone', gone=True)"), ("erase", "plugin.RetryLater(reason='gone')"))
    ],
    "test_a_vendor_in_trouble_shows_nobody": [
        contacting(ASKED, "if answer.status_code >= 500: raise"),
        contacting(ASKED, "if answer.status_code == 429: raise"),
        contacting("plugin.RetryLater(reason=str(error))", "plugin.Delivered(result=result)"),
        contacting("plugin.RetryLater(reason=str(error))", "plugin.Rejected(reason=str(error))"),
        contacting("plugin.RetryLater(reason=str(error))", "plugin.RetryLater(reason=str(error) * 100)"),
        contacting("except httpx.HTTPError as error: raise plugin", "except httpx.ConnectError as error: raise plugin"),
        contacting('"the till does not answer"', "answer.text[:200]"),
    ],
    "test_a_vendor_in_trouble_tells_of_no_contact": [
        contacting(ASKED, "if answer.status_code >= 500: raise"),
        contacting(ASKED, "if answer.status_code == 429: raise"),
        contacting("except httpx.HTTPError as error: raise", "except httpx.HTTPError as error: return None #"),
        contacting("except httpx.HTTPError as error: raise plugin", "except httpx.ConnectError as error: raise plugin"),
        contacting('"the till does not answer"', "answer.text[:200]"),
        contacting("    async def count(self):", "    async def in_list(self, list_id, place=''):\n        await self.http.get(f'{self.url}/lists')\n        return plugin.MemberPage()\n    async def count(self):"),
    ],
    "test_contacts_are_read_to_an_end_under_keys_that_stay": [
        contacting('key=f"card:{number}"', 'key=f"card:{number}:{self.times}"'),
        contacting('key=f"card:{number}"', 'key="card"'),
        contacting('key=f"card:{number}"', 'key=""'),
        contacting("body=number.encode()", "body=b'%d' % self.times"),
        contacting('place="" if place else "2"', 'place="2"'),
        contacting('place="" if place else "2"', "place=str(int(place or 1) + 1)"),
        contacting('deliveries=(self.read_card(place or "1"),), ', ""),
        contacting('(self.read_card("1"),))', '(self.read_card("1"),), place="2")'),
        contacting('connection="contract"', 'connection="till"'),
        contacting("read_at=1", "read_at=0"),
        contacting('topic="card"', 'topic="cards"'),
        contacting("return [self.card(delivery)]", "return [self.card(delivery)] * 2"),
        contacting("return [self.card(delivery)]", "return []"),
        contacting("return [self.card(delivery)]", "return [plugin.Refetch(kind='card', reference='1')]"),
    ],
    "test_each_person_is_looked_for_at_their_place": [
        contacting("else [] for person in people]", "else [] for person in reversed(people)]"),
        contacting("for person in people]", "for person in people if person.member == 'm_1']"),
        contacting('if "ada@till.example" in person.emails else []', ""),
        contacting('"ada@till.example" in person.emails', "person.phones and not person.emails"),
        contacting("read_at=1", "read_at=0"),
    ],
    "test_what_is_prepared_is_made_once": [
        contacting('if (await self.ask("field")).text == "made" else []', ""),
        contacting('["the field points"] if', "[] if"),
        contacting('["the field points"] if', "[pairs] if"),
    ],
    "test_its_channels_are_those_that_are_declared": [
        messaging('channels = ("pager",)', 'channels = ("pagers",)'),
        messaging("channels=(Pager(context),), ", ""),
        messaging('"pager", "note"', '"pager", "song"'),
        messaging('"reference", 3', '"pager", 3'),
        messaging('"reference", 3', '"reference", 0'),
        messaging("per_second=2", "per_second=0"),
        messaging("per_second=2", "per_second=float('inf')"),
        messaging("burst=3", "burst=0"),
        messaging("rate = ", "retry = plugin.RetryPolicy(waits=(float('nan'),))\n    rate = "),
        messaging("rate = ", "visible_after = plugin.Channel.visible_after * 0\n    rate = "),
        messaging("rate = ", "def pace(self): return float('nan')\n    rate = "),
        messaging('Decimal("0.01")', 'Decimal("-1")'),
        messaging('Decimal("0.01")', 'Decimal("NaN")'),
        messaging('Decimal("0.01")', "0.01"),
        {**PAGERS, "webhook=webhook, ": ""},
    ],
    "test_each_message_that_is_taken_is_delivered": [
        messaging(PAGE, PAGE.replace("in messages]", "in messages[:1]]")),
        messaging(PAGE, f"{PAGE[:PAGE.index('return')]}return [plugin.Delivered() for message in messages]"),
        messaging(PAGE, f"{PAGE[:PAGE.index('return')]}return [True for message in messages]"),
        messaging(PAGE, f"{PAGE[:PAGE.index('return')]}raise OSError"),
        messaging(PAGE, PAGE.replace("return", "await self.http.get(self.url, headers=self.headers); return")),
        messaging('answer.text == "shown"', 'answer.text == "paged"'),
        messaging(PAGED, '{"id": "p1"}'),
        messaging(PAGED, '{"id": 7}'),
        messaging(PAGED, '{"id": ""}'),
        messaging(PAGED, '{"state": "gone"}'),
    ],
    "test_a_message_that_is_refused_is_alone_in_that": [
        messaging(PAGE, PAGE.replace("in messages]", "in reversed(messages)]")),
        messaging('reason=reason, because="address"', 'reason=reason, because="opted_out"'),
        messaging('reason=reason, because="address"', 'reason="", because="address"'),
        messaging('plugin.Rejected(reason=reason, because="address")', "plugin.RetryLater(reason=reason)"),
        dialling('reason="the pager refuses it", because="address"', 'reason="the pager refuses it"'),
    ],
    "test_a_message_whose_answer_is_lost_is_unknown": [
        messaging('return plugin.Unknown(reason=f"no answer: {type(error).__name__}")\n        if', 'return plugin.RetryLater(reason="no answer")\n        if'),
        messaging('except httpx.HTTPError as error: return plugin.Unknown(reason=f"no answer: {type(error).__name__}")\n        if', "except httpx.TimeoutException as error: return plugin.Unknown(reason='no answer')\n        if"),
        messaging(UNREACHED, UNREACHED.replace("httpx.ConnectError", "httpx.NetworkError")),
        messaging(PAGE, f"{PAGE[:PAGE.index('return')]}return [(await self.page(message)) if place == 0 else plugin.RetryLater(reason='later') for place, message in [*enumerate(messages)][::-1]]"),
        messaging(PAGE, f"{PAGE[:PAGE.index('return')]}return [*[await self.page(message) for message in messages][:1], *[plugin.RetryLater(reason='later')] * (len(messages) - 1)]"),
        dialling('return plugin.Unknown(reason="the pager said', 'return plugin.RetryLater(reason="the pager said'),
    ],
    "test_a_message_that_never_left_is_sent_later": [
        messaging(f'{UNREACHED}(reason="nobody answers")', f'{UNREACHED.replace("RetryLater", "Unknown")}(reason="nobody answers")'),
        messaging("httpx.ConnectTimeout, ", ""),
        messaging("httpx.PoolTimeout", "httpx.ReadTimeout"),
        messaging('reason="nobody answers"', 'reason="nobody answers " * 99'),
        dialling('if answer is None or answer == b"later', 'if answer == b"later'),
        dialling("except (OSError, ValueError): pass", "except (ConnectionError, ValueError): pass"),
    ],
    "test_a_vendor_that_wants_fewer_messages_gets_them_later": [
        messaging("after=int(seconds) if", "after=None if"),
        messaging("seconds = answer", "self.pace = lambda: float('nan')\n        seconds = answer"),
        messaging("if seconds.isdecimal() and len(seconds) < 6", "if seconds"),
        messaging("int(seconds) if seconds.isdecimal() and len(seconds) < 6", "float(seconds) if seconds.isdecimal()"),
        messaging("in {400, 403, 422}", "in {400, 403, 422, 429}"),
        messaging("in {500, 502, 504}", "in {429, 500, 502, 504}"),
        dialling('or answer == b"later\\n"', ""),
    ],
    "test_an_answer_that_says_nothing_leaves_it_open": [
        messaging('if answer.text == "shown" and answer.is_success', "if answer.is_success"),
        messaging("if answer.is_success or answer.status_code in {500, 502, 504}", "if answer.status_code in {500, 502, 504}"),
        messaging("in {500, 502, 504}", "in {500, 502}"),
        messaging("if answer.is_success or", "if answer.is_success and 'id' in answer.json() or"),
        messaging('f"the pager answered {answer.status_code}"', "answer.text"),
        dialling('return plugin.Unknown(reason="the pager said', 'return plugin.RetryLater(reason="the pager said'),
    ],
    "test_a_vendor_in_trouble_loses_no_message": [
        messaging("in {400, 403, 422}", ">= 400"),
        messaging("in {400, 403, 422}", "in {400, 401, 403, 422}"),
        messaging("in {400, 403, 422}", "in {307, 400, 403, 422}"),
        messaging("headers=self.headers)", "headers=self.headers, follow_redirects=True)"),
        messaging('f"the pager answered {answer.status_code}"', "answer.text"),
        messaging("if answer.is_success or answer.status_code in {500, 502, 504}", "answer.raise_for_status()\n        if answer.is_success"),
        dialling('if answer is None or answer == b"later', 'if answer is None: return plugin.Rejected(reason="no pager")\n        if answer == b"later'),
        dialling("except (OSError, ValueError): pass", "except OSError: pass"),
    ],
    "test_whatever_refuses_a_message_does_no_harm": [
        messaging("and answer.is_success: return", "or answer.status_code == 422: return"),
        messaging("if answer.status_code == 404: return plugin.Rejected(reason=reason", "if answer.status_code == 404: return plugin.Rejected(reason=answer.text"),
        messaging("if answer.status_code == 404: return", "if answer.status_code == 404 and answer.json(): return"),
        dialling('if answer[:6] == b"never ": return plugin.Rejected(reason="the pager refuses it"', 'if answer[:6] == b"never ": return plugin.Delivered() or plugin.Rejected(reason=""'),
    ],
    "test_a_message_in_any_script_is_taken_or_refused": [
        messaging("try: answer", "message.text.encode('latin-1')\n        try: answer"),
        messaging("try: answer", "if len(message.text) > 1600: return plugin.Unknown(reason='too long')\n        try: answer"),
        messaging("try: answer", "if not message.text: return plugin.RetryLater(reason='no text')\n        try: answer"),
        messaging("try: answer", "if len(message.subject) > 160: return plugin.Rejected(reason=message.text)\n        try: answer"),
    ],
    "test_parts_are_counted_alike": [
        messaging(PARTS, "return len(message.text) // 160"),
        messaging(PARTS, "return 1 + len(message.text) / 160"),
        messaging(PARTS, "return 1 + len(message.text.encode('ascii')) // 160"),
        messaging(PARTS, "self.calls += 1; return self.calls"),
        messaging(PARTS, "return 1 + id(self) % 10**9"),
    ],
    "test_a_lookup_of_a_message_that_learns_nothing_says_so": [
        messaging(FOUND, FOUND.replace('answer.text == "shown"', "answer.is_success")),
        messaging(FOUND, f"{FOUND} plugin.Absent() if answer.status_code == 503 else"),
        messaging(FOUND, f"{FOUND} plugin.Absent() if answer.json() == [] else"),
        messaging(FOUND, FOUND.replace('"p1"', "7")),
        messaging(FOUND, FOUND.replace('"sent"', '"gone"')),
        messaging(FOUND, FOUND.replace("plugin.Done(", "plugin.Delivered(")),
        messaging(f'{FOUND} plugin.Unknown(reason="who knows")', f"{FOUND} plugin.Unknown(reason=answer.text)"),
        messaging('try: answer = await self.ask(message, "GET")\n        except httpx.HTTPError as', 'try: answer = await self.ask(message, "GET")\n        except httpx.ConnectError as'),
        dialling("async def check_health(self):", "async def lookup(self, message, attempted_at): return plugin.Unknown(reason='who knows') if await self.ask() else plugin.Absent()\n    async def check_health(self):"),
    ],
    "test_no_secret_shows_in_what_becomes_of_a_message": [
        messaging('f"the pager answered {answer.status_code}"', "answer.text[:300]"),
        messaging('reason="nobody answers"', "reason=repr(self.headers)"),
        messaging('f"no answer: {type(error).__name__}")\n        return', 'f"no answer: {error}")\n        return'),
        messaging("try: answer = await", "self.log.info('paging', headers=self.headers)\n        try: answer = await"),
        messaging("def price(self)", "def __repr__(self): return f'pager {self.headers}'\n    def price(self)"),
        messaging("return plugin.Done(result", "print(self.headers); return plugin.Done(result"),
        dialling('reason="the pager refuses it"', "reason=answer.decode()"),
    ],
    "test_nothing_of_a_message_is_told_on": [
        messaging('try: answer = await self.ask(message, "PUT")', "self.log.info('paging', to=message.to)\n        try: answer = await self.ask(message, \"PUT\")"),
        messaging('try: answer = await self.ask(message, "PUT")', 'print(message.text[:9])\n        try: answer = await self.ask(message, "PUT")'),
        messaging('try: answer = await self.ask(message, "GET")', "structlog.get_logger().debug('looking', subject=message.subject)\n        try: answer = await self.ask(message, \"GET\")"),
        messaging('try: answer = await self.ask(message, "GET")', "self.log.info('looking', until=message.link)\n        try: answer = await self.ask(message, \"GET\")"),
        messaging('f"the pager answered {answer.status_code}"', "f'the pager refuses {message.to}'"),
        messaging('f"the pager answered {answer.status_code}"', "answer.text[-200:]"),
        dialling('reason="the pager refuses it"', "reason=answer.decode()"),
        dialling("answers = await self.ask(", "self.log.debug('paging', message=message)\n        answers = await self.ask("),
    ],
    "test_what_is_kept_calls_nobody": [
        keeping("for message in messages]", "for message in messages[:1]]"),
        keeping('plugin.Delivered(result={"state": "delivered"})', "plugin.RetryLater(reason='not yet')"),
        keeping("async def send(self, messages):", "async def send(self, messages): raise OSError;"),
        messaging("rate = ", "kept = True\n    rate = "),
        messaging(PAGE, "kept = True\n    async def send(self, messages): return [plugin.Delivered() for message in messages]"),
        dialling("async def send(self", "kept = True\n    async def send(self"),
    ],
    "test_what_is_told_of_messages_is_of_a_channel_that_there_is": [
        messaging('"channel": "pager"', '"channel": "display"'),
        messaging(REPORTED, REPORTED.replace('"delivered"', '"gone"')),
        messaging(REPORTED, REPORTED.replace('message="m1", ', "")),
        messaging(REPORTED, REPORTED.replace('message="m1"', 'message="m1", because="of rain"')),
        messaging(HEARD, HEARD.replace('"7001"', '""')),
        messaging(HEARD, HEARD.replace("key=delivery.key", 'key=""')),
        messaging("return [heard, ", "return ["),
        messaging("3, True", "3, False"),
    ],
    "test_a_service_in_trouble_leads_to_no_facts": [knowing('if answer.text != "shown": raise ValueError', "pass")],
    "test_a_proof_that_is_not_its_own_is_left_to_others": [judging('if proof != "cashier": return None', "")],
    "test_whatever_evidence_is_given_gets_an_answer": [
        judging('evidence.get("licence", "")', 'evidence["licence"]'),
        judging('return plugin.Eligibility(approved=False, reason="not a licence of ours")', "return False"),
    ],
    "test_the_same_request_gets_the_same_answer": [
        judging('endswith("T")', 'endswith("X")'),
        judging("approved=True", "approved=True, reason=uuid.uuid4().hex"),
        judging('if proof != "cashier": return None', "return None"),
    ],
    "test_a_refusal_says_why_and_repeats_no_evidence": [
        judging('reason="not a licence of ours"', 'reason=""'),
        judging('reason="not a licence of ours"', "reason=str(evidence)"),
    ],
    "test_an_unsigned_request_names_nobody": [
        shopping("signed = ", "if not card: return None\n        signed = "),
        shopping("signed = ", "if 'customer=1' in request.url: return '1'\n        signed = "),
        shopping("signed = ", "if json.loads(request.body or '{}').get('customer'): return '1'\n        signed = "),
        shopping("signed = ", "if card and signature.endswith('.'): return '1'\n        signed = "),
    ],
    "test_noise_names_nobody": [
        shopping('request.header("authorization")', 'request.headers["authorization"]'),
        shopping('card.encode(errors="replace")', "card.encode()"),
        shopping("signed = ", "base64.urlsafe_b64decode(card)\n        signed = "),
    ],
    "test_every_kind_and_feature_says_how_well_it_goes": [
        fulfilling(', note="the till cannot count"', ""), fulfilling('level="yes"', 'level="caveat"'),
    ],
    "test_each_voucher_has_its_own_outcome": [
        fulfilling("for voucher in vouchers]", "for voucher in vouchers[:1]]"),
        fulfilling("async def withdraw(self, vouchers): return", "async def withdraw(self, vouchers): raise OSError; return"),
        fulfilling("plugin.Delivered() if", "True if"),
    ],
    "test_a_reward_of_another_kind_is_rejected": [fulfilling("if voucher.kind not in self.kinds: return", "if False: return")],
    "test_a_vendor_in_trouble_makes_nothing_real": [
        fulfilling('if answer.text == "shown" else', "if True else"),
        fulfilling("return plugin.Unknown(reason=type(error).__name__)", "return plugin.RetryLater(reason='lost')"),
        fulfilling("except httpx.HTTPError", "except ValueError"),
        fulfilling(RESTORE, 'features = {"restore": plugin.Support(level="yes")}'),
    ],
    "test_what_becomes_of_vouchers_is_told_in_their_order": [
        fulfilling("async def issue(self, vouchers): return [await self.ask(voucher) for voucher in vouchers]", "async def issue(self, vouchers): return [await self.ask(voucher) for voucher in reversed(vouchers)]"),
    ],
    "test_odd_vouchers_do_no_harm": [
        fulfilling("if voucher.kind not in", "assert voucher.amount is not None\n        if voucher.kind not in"),
        fulfilling("outcome = await", "voucher.reference.encode('ascii')\n        outcome = await"),
    ],
    "test_no_secret_shows_in_what_becomes_of_a_voucher": [
        fulfilling("reason=type(error).__name__", "reason=str(error)"),
        fulfilling('reason="the till did not print"', "reason=answer.text[:200]"),
        fulfilling("async def ask(self, voucher):", "def __repr__(self): return 'of a-token-of-the-till'\n    async def ask(self, voucher):"),
    ],
    "test_a_lookup_that_learns_nothing_says_so": [
        fulfilling('else plugin.Unknown(reason="who knows")', "else plugin.Absent()"),
        fulfilling("outcome = await self.ask(voucher)", "raise OSError"),
    ],
    "test_an_audience_is_told_of_hashes_and_of_no_address": [
        enlisting(HASHES, '["ann@mail.example", *item.hashes.values()]'),
        enlisting(HASHES, "[item.member]"),
        enlisting(PIN, "async def deliver(self, items): return [plugin.Delivered() for item in items]"),
    ],
    "test_who_leaves_an_audience_is_told_though_nobody_joins": [
        enlisting(PIN, "async def deliver(self, items): return [await self.pin(item) if item.joins else plugin.Delivered() for item in items]"),
        enlisting(PINNED, '"-".join((*item.joins, *item.leaves))'),
    ],
    "test_the_same_of_an_audience_is_told_alike": [
        enlisting("/audience", "/audience{self.calls}"),
        enlisting('body = {"hashes"', 'body = {"call": uuid.uuid4().hex, "hashes"'),
    ],
    "test_an_audience_that_is_refused_stops_no_other": [
        enlisting(PIN, "async def deliver(self, items): return [[await self.pin(item) for item in items][0]] * len(items)"),
        enlisting(PIN, "async def deliver(self, items): return [await self.pin(item) for item in items][::-1]"),
    ],
    "test_no_hash_of_an_audience_is_told_on": [
        enlisting("self.calls += 1", "self.log.info('pinned', body=body)"),
        enlisting('reason = f"the board answered {answer.status_code}"', "reason = answer.text"),
    ],
    "test_a_pass_is_called_by_its_serial": [
        carrying("/customers/{serial}/card", "/customers/card"),
        carrying('body = {"name"', 'body = {"member": item.member, "name"'),
        carrying(LINKED, LINKED.replace('serial}"', 'serial}?of={item.member}"')),
        phoning('json.dumps({"name"', 'json.dumps({"member": item.member, "name"'),
        phoning("return plugin.Reply(status=404)", "return plugin.Reply()"),
        phoning("if item is None: return", "if item is not None: return"),
    ],
    "test_another_figure_on_a_card_is_told": [
        carrying(FIGURES, "[one.name for one in item.fields]"),
        carrying("self.kept[item.serial] = item", "if self.kept.get(item.serial) and self.kept[item.serial].version == item.version: return plugin.Delivered()\n        self.kept[item.serial] = item"),
        phoning("hashlib.sha256(body).hexdigest()", "str(item.version)"),
        phoning(FIGURES, "[]"),
        phoning("if serial not in self.phones: return", "if serial: return"),
    ],
    "test_the_same_of_a_card_is_told_alike": [
        carrying("{serial}/card", "{serial}/card{self.calls}"),
        carrying('body = {"name"', 'body = {"call": uuid.uuid4().hex, "name"'),
        carrying("self.calls += 1", "self.calls += 1\n        if self.calls == 3: return plugin.RetryLater(reason='not again')"),
        phoning('json.dumps({"name"', 'json.dumps({"call": uuid.uuid4().hex, "name"'),
    ],
    "test_a_pass_that_is_refused_stops_no_other": [
        carrying(SHOW, SHOW.replace("in items]", "in items][::-1]")),
        carrying(SHOW, SHOW.replace("return [await self.show(item) for item in items]", "return [[await self.show(item) for item in items][0]] * len(items)")),
        carrying(OVER, OVER.replace("in serials]", "in serials][::-1]")),
        phoning("self.ring(item.serial) for item in items]", "self.ring(item.serial) for item in items[::-1]]"),
    ],
    "test_a_link_is_an_address_or_an_error": [
        carrying(LINKED, LINKED.replace("https", "http")),
        carrying(LINKED, 'return "https:///card"'),
        carrying(LINKED, 'return f"https://wallet.example/of {item.holder}"'),
        carrying(LINKED, "return None"),
        carrying("plugin.Delivered() if is_there else await self.show(item)", "plugin.Rejected(reason='no address')"),
        carrying('raise plugin.PluginError("wallet", outcome.reason)', "raise RuntimeError(outcome.reason)"),
        carrying("outcome = plugin.Delivered() if is_there", "(await self.http.get(self.url, headers=self.headers)).json()\n        outcome = plugin.Delivered() if is_there"),
    ],
    "test_what_is_over_shows_nothing_of_anybody": [
        carrying('{"over": True}', '{"over": True, "name": self.kept[serial].holder}'),
        carrying('{"over": True}', '{"over": True, "key": base64.b64encode(bytes.fromhex(self.kept[serial].rotating.key)).decode()}'),
        carrying(OVER, OVER.replace("in serials]", "in serials[:1]]")),
        carrying(OVER, f"{OVER[:OVER.index('return')]}return [plugin.Delivered() for serial in serials]"),
        carrying(OVER, OVER.replace("for serial in serials]", "if self.kept.pop(serial, None) else plugin.Rejected(reason='over') for serial in serials]")),
        phoning("if item is None: return", "item = self.__dict__.setdefault(request.path['serial'], item)\n        if item is None: return"),
    ],
    "test_no_pass_is_over_while_the_vendor_is_in_trouble": [
        carrying(OVER, OVER.replace("for serial in serials]", "and plugin.Delivered() for serial in serials]")),
        carrying("except httpx.HTTPError as", "except httpx.ConnectError as"),
        carrying('answer.text == "shown"', "answer.is_success"),
        carrying(REFUSED, "reason = answer.text"),
        phoning('answer.text == "shown"', "answer.status_code != 500"),
    ],
    "test_nothing_of_a_card_is_told_on": [
        carrying(REFUSED, "reason = answer.text"),
        carrying("self.calls += 1", "self.log.info('telling', body=body)"),
        carrying("self.kept[item.serial] = item", "print(item.number)"),
        carrying('{type(error).__name__}")', '{error}")'),
        carrying('raise plugin.PluginError("wallet", outcome.reason)', 'raise plugin.PluginError("wallet", f"{item.page} has no address")'),
        carrying("outcome = plugin.Delivered() if", "structlog.get_logger().debug('linked', code=item.offers[0].code)\n        outcome = plugin.Delivered() if"),
        carrying(REFUSED, "reason = base64.b64encode(answer.content).decode()"),
        phoning("if item is None: return plugin.Reply(status=404)", "self.log.info('shown', name=item and item.holder)\n        if item is None: return plugin.Reply(status=404)"),
        phoning("if item is None: return plugin.Reply(status=404)", "raise plugin.PluginError('phones', f'there is no card for {item.holder}')"),
    ],
    "test_what_people_do_with_a_pass_names_its_serial": [
        carrying('"ca2d" + 20 * "0"', '""'),
        carrying('"ca2d" + 20 * "0"', '" "'),
        carrying('"ca2d" + 20 * "0"', "None"),
        phoning("serial = delivery.body.decode()", 'serial = f"till.{delivery.body.decode()}"'),
        phoning("body=serial.encode())", "body=b'')"),
        {**PHONES, "webhook=webhook, ": ""},
    ],
    "test_an_odd_card_does_no_harm": [
        carrying('body = {"name"', 'item.fields[0]\n        body = {"name"'),
        carrying('body = {"name"', 'item.holder.encode("ascii")\n        body = {"name"'),
        carrying('body = {"name"', 'item.design.name[item.language]\n        body = {"name"'),
        carrying('body = {"name"', 'if not item.active: return plugin.RetryLater(reason="not active")\n        body = {"name"'),
        carrying(LINKED, 'return f"https://wallet.example/{item.fields[0].text}"'),
        phoning('"name": item.holder', '"name": item.holder.split()[0]'),
        phoning("if item is None: return", "if item is None or not item.active: return"),
    ],
    "test_a_card_is_given_to_nobody_without_its_proof": [
        phoning("self.check(request)\n        item", "item"),
        phoning('encode(), "sha256")', 'encode()[:0], "sha256")'),
        phoning('raise plugin.InvalidSignature("not the phone of that card")', 'raise plugin.InvalidSignature("Columbine Archer-0001 has another phone")'),
    ],
    "test_no_secret_is_told": [
        {REASON: "reason = answer.text[:200]"},
        {'url = f"{self._url}/customers': 'print(self._headers)\n        url = f"{self._url}/customers'},
        {"{type(error).__name__}": "{error}"},
        {VOUCH: f"        structlog.get_logger().info('checked', secrets=self._secrets)\n{VOUCH}"},
    ],
}  # fmt: skip
SENDING = [name for name in vars(MessagingRules) if name.startswith("test_") and "kept" not in name]
CARRYING = [name for name in vars(CarryingRules) if name.startswith("test_")]
DELIVERING = ["test_what_the_vendor_takes_is_delivered", "test_each_item_has_its_own_outcome_in_order"]
CASES = [pytest.param(rule, changes, id=f"{rule}-{number}") for rule, found in BROKEN.items() for number, changes in enumerate(found)]  # fmt: skip


@pytest.fixture
def contract_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, str]], PluginContract]:
    """Make a copy of the sample with changes, install it, and give its contract."""

    def make(changes: Mapping[str, str]) -> PluginContract:
        project = tmp_path / "project"
        shutil.copytree(SAMPLE, project, ignore=shutil.ignore_patterns("__pycache__"))
        change(project, changes)
        install(project, tmp_path / "installed")
        monkeypatch.syspath_prepend(str(tmp_path / "installed"))
        # Put in and taken out: afterwards the one that was there before, if any, is back.
        monkeypatch.setitem(sys.modules, "stampcard_sample", sys)
        del sys.modules["stampcard_sample"]
        contract = runpy.run_path(str(project / "test_sample.py"))["TestSample"]()
        assert isinstance(contract, PluginContract)
        return contract

    return make


def change(project: Path, changes: Mapping[str, str]) -> None:
    """Apply changes to the text of whichever file has it, or to the name of a fixture."""
    left = dict(changes)
    for path in [*project.glob("*.py"), *project.glob("*.toml")]:
        text = path.read_text()
        for old in [old for old in left if old in text]:
            text = text.replace(old, left.pop(old))
        path.write_text(
            text.replace("import hashlib\n", "import asyncio, base64, hashlib, hmac, json, socket, structlog, uuid\n")
        )
    for path in project.glob("fixtures/*"):
        if path.name in left:
            path.rename(path.with_name(left.pop(path.name)))
    assert not left, "the sample has no such text any more"


@pytest.mark.parametrize(("rule", "changes"), CASES)
def test_a_plugin_that_breaks_a_rule_is_told(
    contract_of: Callable[[Mapping[str, str]], PluginContract],
    rule: str,
    changes: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Nobody reads what breaks it here, so it need not be made as small as it can be.
    for module in RANDOM:
        monkeypatch.setattr(f"stampcard.testing.rules.{module}.TRIAL", trial(TRIAL, phases=[Phase.generate]))
    contract = contract_of(changes)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        getattr(contract, rule)()


def test_every_rule_is_shown_to_be_broken() -> None:
    assert {name for name in dir(PluginContract) if name.startswith("test_")} == BROKEN.keys()


def test_every_rule_says_what_it_wants() -> None:
    for rule in BROKEN:
        assert (getattr(PluginContract, rule).__doc__ or "").endswith("."), rule


@pytest.mark.parametrize("rule", ["test_an_unsigned_request_names_nobody", "test_noise_names_nobody"])
def test_a_sound_source_of_shoppers_breaks_no_rule(
    contract_of: Callable[[Mapping[str, str]], PluginContract], rule: str
) -> None:
    getattr(contract_of(SHOPPERS), rule)()


@pytest.mark.parametrize("rule", SENDING)
def test_a_sound_channel_breaks_no_rule(contract_of: Callable[[Mapping[str, str]], PluginContract], rule: str) -> None:
    getattr(contract_of(PAGERS), rule)()


@pytest.mark.parametrize(
    "rule", [*SENDING, "test_all_calls_go_to_the_api_url", "test_health_is_told_whatever_the_vendor_does"]
)
def test_a_sound_channel_that_is_dialled_breaks_no_rule(
    contract_of: Callable[[Mapping[str, str]], PluginContract], rule: str
) -> None:
    getattr(contract_of(DIALLED), rule)()


def test_a_sound_channel_that_keeps_its_messages_breaks_no_rule(
    contract_of: Callable[[Mapping[str, str]], PluginContract],
) -> None:
    contract = contract_of(KEPT)
    contract.test_its_channels_are_those_that_are_declared()
    contract.test_what_is_kept_calls_nobody()
    with pytest.raises(pytest.skip.Exception, match="sends none"):
        contract.test_each_message_that_is_taken_is_delivered()


def test_a_plugin_without_http_needs_no_address_of_an_api(
    contract_of: Callable[[Mapping[str, str]], PluginContract],
) -> None:
    contract = contract_of(DIALLED)
    with pytest.raises(pytest.skip.Exception, match="by HTTP"):
        contract.test_settings_have_an_api_url()


@pytest.mark.parametrize("rule", [name for name in BROKEN if "_past" in name])
def test_a_sound_past_breaks_no_rule(contract_of: Callable[[Mapping[str, str]], PluginContract], rule: str) -> None:
    getattr(contract_of(HISTORY), rule)()


@pytest.mark.parametrize("rule", [name for name in vars(ContactingRules) if name.startswith("test_")])
def test_sound_contacts_break_no_rule(contract_of: Callable[[Mapping[str, str]], PluginContract], rule: str) -> None:
    getattr(contract_of(CARDS), rule)()


def test_a_vendor_that_does_not_remember_is_not_prepared_twice(
    contract_of: Callable[[Mapping[str, str]], PluginContract],
) -> None:
    contract = contract_of(contacting("\n    remembers = True", ""))
    with pytest.raises(pytest.skip.Exception, match="does not remember"):
        contract.test_what_is_prepared_is_made_once()


def test_a_sound_list_of_webhooks_breaks_no_rule(
    contract_of: Callable[[Mapping[str, str]], PluginContract],
) -> None:
    contract_of(SUBSCRIPTIONS).test_a_vendor_in_trouble_is_no_audit()


def test_a_sound_list_of_orders_breaks_no_rule(
    contract_of: Callable[[Mapping[str, str]], PluginContract],
) -> None:
    contract_of(LISTING).test_a_vendor_in_trouble_lists_no_orders()


@pytest.mark.parametrize(
    "rule", [name for name in BROKEN if "voucher" in name or "reward" in name or "vendor_in" in name]
)
def test_a_sound_fulfilment_breaks_no_rule(
    contract_of: Callable[[Mapping[str, str]], PluginContract], rule: str
) -> None:
    getattr(contract_of(FULFILMENT), rule)()


def test_a_fulfilment_that_says_it_restores_nothing_may_reject_that_whatever_the_vendor_does(
    contract_of: Callable[[Mapping[str, str]], PluginContract],
) -> None:
    contract = contract_of(fulfilling(RESTORE, ""))
    contract.test_a_vendor_in_trouble_makes_nothing_real()
    contract.test_odd_vouchers_do_no_harm()


@pytest.mark.parametrize("rule", [*(name for name in vars(EnlistingRules) if name.startswith("test_")), *DELIVERING])
def test_a_sound_audience_breaks_no_rule(contract_of: Callable[[Mapping[str, str]], PluginContract], rule: str) -> None:
    getattr(contract_of(BOARDS), rule)()


@pytest.mark.parametrize("rule", [*(rule for rule in CARRYING if "proof" not in rule), *DELIVERING])
def test_a_sound_wallet_breaks_no_rule(contract_of: Callable[[Mapping[str, str]], PluginContract], rule: str) -> None:
    getattr(contract_of(WALLETS), rule)()


@pytest.mark.parametrize("rule", [*CARRYING, *DELIVERING])
def test_sound_phones_that_ask_for_their_cards_break_no_rule(
    contract_of: Callable[[Mapping[str, str]], PluginContract], rule: str
) -> None:
    getattr(contract_of(PHONES), rule)()


@pytest.mark.parametrize("rule", BROKEN)
def test_a_sound_plugin_breaks_no_rule(contract_of: Callable[[Mapping[str, str]], PluginContract], rule: str) -> None:
    getattr(contract_of({}), rule)()

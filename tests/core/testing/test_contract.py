"""Each rule of the contract is broken by one small change to the sample plugin, and says so."""

from __future__ import annotations

import runpy
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from stampcard.testing.contract import PluginContract
from stampcard.testing.installing import install
from stampcard.testing.rules.contacting import ContactingRules

SAMPLE = Path(__file__).parents[2] / "plugins" / "sample" / "stampcard-sample"
FILES = ("stampcard_sample.py", "test_sample.py")

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
    "test_all_calls_go_to_the_api_url": [{"context.http, context.settings.api_url": 'context.http, "http://till.example"'}],
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
    "test_no_secret_is_told": [
        {REASON: "reason = answer.text[:200]"},
        {'url = f"{self._url}/customers': 'print(self._headers)\n        url = f"{self._url}/customers'},
        {"{type(error).__name__}": "{error}"},
        {VOUCH: f"        structlog.get_logger().info('checked', secrets=self._secrets)\n{VOUCH}"},
    ],
}  # fmt: skip
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
            text.replace("import hashlib\n", "import base64, hashlib, hmac, json, socket, structlog, uuid\n")
        )
    for path in project.glob("fixtures/*"):
        if path.name in left:
            path.rename(path.with_name(left.pop(path.name)))
    assert not left, "the sample has no such text any more"


@pytest.mark.parametrize(("rule", "changes"), CASES)
def test_a_plugin_that_breaks_a_rule_is_told(
    contract_of: Callable[[Mapping[str, str]], PluginContract], rule: str, changes: Mapping[str, str]
) -> None:
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


@pytest.mark.parametrize("rule", BROKEN)
def test_a_sound_plugin_breaks_no_rule(contract_of: Callable[[Mapping[str, str]], PluginContract], rule: str) -> None:
    getattr(contract_of({}), rule)()

"""Everything that a plugin author may import, and nothing else.

A plugin is a module behind an entry point of the group ``stampcard.plugins``; it implements hooks marked `hookimpl`.
"""

from stampcard.clock import Clock
from stampcard.domain.audiences import AudiencePush, HashKind
from stampcard.domain.awards import Adjustment, Award
from stampcard.domain.commands import BalancePush, Command, TagPush
from stampcard.domain.contacts import FIGURES, ContactPush, FieldPair, Person
from stampcard.domain.decisions import Change
from stampcard.domain.deliveries import Delivery
from stampcard.domain.events import (
    ConnectionEnded,
    ConsentSeen,
    ContactGone,
    ContactSeen,
    CustomerErased,
    CustomerSeen,
    CustomersMerged,
    CustomEvent,
    DataRequested,
    Event,
    MessageReceived,
    MessageReported,
    OrderSeen,
    PassRemoved,
    PassSaved,
    Refetch,
    RefundSeen,
    SetAside,
    SourceErased,
)
from stampcard.domain.members import Identity, Member
from stampcard.domain.messages import Because, Form, Message, Need, Reported
from stampcard.domain.orders import OrderLine, OrderSnapshot, Refund, RefundLine, Stamp
from stampcard.domain.passes import CardDesign, CardField, CardOffer, PassPush, RotatingCode
from stampcard.domain.perks import PerkChanged, PerkUsed
from stampcard.domain.proofs import Eligibility
from stampcard.domain.rewards import RewardKind, StackGroup, Veto, Voucher
from stampcard.domain.texting import parts_of
from stampcard.domain.wallets import Balance
from stampcard.errors import (
    CallRefused,
    CannotVerify,
    ConfigurationError,
    InvalidSignature,
    MalformedPayload,
    PluginError,
)
from stampcard.plugin.audiences import AudienceSettings, AudienceSink
from stampcard.plugin.capabilities import (
    Capabilities,
    Cleaner,
    FactSource,
    Feature,
    Fetch,
    Fulfilment,
    Health,
    ShopperSource,
    Sink,
    Storefront,
    Support,
    WebhookSource,
)
from stampcard.plugin.channels import Channel
from stampcard.plugin.connections import ConnectionContext, Dial, Store
from stampcard.plugin.contacts import Choice, ContactPage, Contacts, ContactSettings, FieldChoice, MemberPage
from stampcard.plugin.hookspecs import hookimpl
from stampcard.plugin.manifest import API_VERSION, PluginManifest, PluginSettings
from stampcard.plugin.orders import HistoryPage, Listing, Listings, OrderHistory, OrderList
from stampcard.plugin.outcomes import Absent, Delivered, Done, Lookup, Outcome, Rejected, RetryLater, Unknown
from stampcard.plugin.passes import Passes, PassSettings, PassSink
from stampcard.plugin.rates import Rate, RetryPolicy
from stampcard.plugin.requests import Reply, Route, UnverifiedRequest, VerifiedRequest
from stampcard.plugin.signatures import check_hmac_sha256_base64
from stampcard.plugin.subscriptions import Audit, Subscribed, Subscriptions
from stampcard.plugin.visits import Visits

__all__ = [
    "API_VERSION",
    "FIGURES",
    "Absent",
    "Adjustment",
    "AudiencePush",
    "AudienceSettings",
    "AudienceSink",
    "Audit",
    "Award",
    "Balance",
    "BalancePush",
    "Because",
    "CallRefused",
    "CannotVerify",
    "Capabilities",
    "CardDesign",
    "CardField",
    "CardOffer",
    "Change",
    "Channel",
    "Choice",
    "Cleaner",
    "Clock",
    "Command",
    "ConfigurationError",
    "ConnectionContext",
    "ConnectionEnded",
    "ConsentSeen",
    "ContactGone",
    "ContactPage",
    "ContactPush",
    "ContactSeen",
    "ContactSettings",
    "Contacts",
    "CustomEvent",
    "CustomerErased",
    "CustomerSeen",
    "CustomersMerged",
    "DataRequested",
    "Delivered",
    "Delivery",
    "Dial",
    "Done",
    "Eligibility",
    "Event",
    "FactSource",
    "Feature",
    "Fetch",
    "FieldChoice",
    "FieldPair",
    "Form",
    "Fulfilment",
    "HashKind",
    "Health",
    "HistoryPage",
    "Identity",
    "InvalidSignature",
    "Listing",
    "Listings",
    "Lookup",
    "MalformedPayload",
    "Member",
    "MemberPage",
    "Message",
    "MessageReceived",
    "MessageReported",
    "Need",
    "OrderHistory",
    "OrderLine",
    "OrderList",
    "OrderSeen",
    "OrderSnapshot",
    "Outcome",
    "PassPush",
    "PassRemoved",
    "PassSaved",
    "PassSettings",
    "PassSink",
    "Passes",
    "PerkChanged",
    "PerkUsed",
    "Person",
    "PluginError",
    "PluginManifest",
    "PluginSettings",
    "Rate",
    "Refetch",
    "Refund",
    "RefundLine",
    "RefundSeen",
    "Rejected",
    "Reply",
    "Reported",
    "RetryLater",
    "RetryPolicy",
    "RewardKind",
    "RotatingCode",
    "Route",
    "SetAside",
    "ShopperSource",
    "Sink",
    "SourceErased",
    "StackGroup",
    "Stamp",
    "Store",
    "Storefront",
    "Subscribed",
    "Subscriptions",
    "Support",
    "TagPush",
    "Unknown",
    "UnverifiedRequest",
    "VerifiedRequest",
    "Veto",
    "Visits",
    "Voucher",
    "WebhookSource",
    "check_hmac_sha256_base64",
    "hookimpl",
    "parts_of",
]

from datetime import timedelta
from decimal import Decimal
from tests.core.letters import Box, Letters, with_messages
from stampcard.applying.mailing import estimate
from stampcard.applying.messaging import suppress
from stampcard.storage.tables import message_step, message
from stampcard.testing.applying import rows
import pytest
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
pytestmark=on_sqlite

async def test_dup(database, setting):
    l = Letters(database, setting, with_messages("""
messages:
  w: {on: sign_up, use: welcome, purpose: transactional, channels: [email, email], deliver: all}
"""), Box())
    l.joins(); print(l.messages())

async def test_textfail(database, setting):
    l = Letters(database, setting, with_messages("""
messages:
  w: {on: sign_up, purpose: transactional, texts: {en: {subject: s, text: "{% for i in (1..9000) %}x{% endfor %}"}}}
"""), Box())
    l.joins(); await l.post(); print(l.messages()); print([(r.state,r.code,r.detail) for r in rows(database, message_step.select())])
    assert any(r.detail for r in rows(database, message_step.select()))

async def test_bool(database, setting):
    l = Letters(database, setting, with_messages("""
messages:
  w: {on: sign_up, purpose: transactional, texts: {en: {subject: s, text: "{{ member.accepts | number }} {{ member.attributes.vegan | number }}"}}}
""").replace("{birthday: date}","{birthday: date, vegan: boolean}").replace("{{ member.accepts | number }}",""), Box())
    l.joins(vegan=True); l.joins("ben")
    await l.post(); print(l.messages())

async def test_est(database, setting):
    l = Letters(database, setting, with_messages("""
messages:
  n: {on: by_hand, channels: [email, sms], deliver: all, use: welcome}
"""), Box(), Box("sms"))
    l.joins(phone="+4915112345678"); l.says("ann","email")
    now=l.clock.now(); live=l.setting.programs.current(now)[0]
    e=database.read_now(lambda c: estimate(c,l.setting,now,live,"n",{}, "",100)); print(e)
    assert e[2].dropped=={}

async def test_supp(database, setting):
    l = Letters(database, setting, with_messages("""
sending: {quiet: {sms: none}}
messages:
  w: {on: points_earned, use: points_earned, purpose: transactional, channels: sms}
"""), Box("sms"))
    l.joins(phone="+4915112345678")
    database.write_now(lambda c: suppress(c,l.setting,"sms","+49 151 12345678","hand",l.clock.now()))
    l.buys("o",20)
    await l.post(); print(l.messages())
    assert l.messages()[0][3]=="suppressed"

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from stampcard.plugin import ConnectionContext, PluginError, RetryLater
from stampcard_google_wallet.batching import ROOT, packed, unpacked
from stampcard_google_wallet.calling import Answer, CallFailed, Request, seconds
from stampcard_google_wallet.settings import read_account
from stampcard_google_wallet.tokens import Tokens

if TYPE_CHECKING:
    from stampcard_google_wallet.settings import GoogleWalletSettings

T = TypeVar("T")
#: One conversation with Google: what it asks for next, all at once, for the answers to that; its end is what came of it.
Talk = Generator[Sequence[Request], Sequence[Answer], T]

#: Requests that an issuer may send in a second, each of a batch counted; and at most so many are in one batch.
PER_SECOND: Final = 20
#: Seconds that count as one, so that neither clock needs to be exact; and how long an answer that is out is waited for at a time.
_SECOND, _LOOK = 1.01, 0.02
#: The request never left.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
#: Seconds of a pause, at most: to notice that Google takes more again.
_LONGEST = 600.0
_TYPE = "application/json"


@dataclass(slots=True)
class _Call:
    """One call: when it was answered, by which it had surely arrived."""

    answered_at: float | None = None


class Client:
    """One issuer's API: knows the token, and how many requests may leave."""

    def __init__(self, context: ConnectionContext[GoogleWalletSettings]) -> None:
        self.context = context
        self.account = read_account(context.settings.service_account)
        self.tokens = Tokens(context, self.account)
        self._url = context.settings.api_url.rstrip("/")
        #: The call of each of the last requests.
        self._calls: deque[_Call] = deque(maxlen=PER_SECOND)
        self._busy_until = 0.0

    def pace(self) -> float:
        """Seconds until Google, which may have asked for patience, takes half of what it takes in a second."""
        now = self._now()
        return max(self._wait(PER_SECOND // 2, now), self._busy_until - now)

    async def converse(self, *talks: Talk[T]) -> list[T]:
        """Carry on conversations side by side, and what all of them ask next leaves in one call; what came of each."""
        over: dict[int, T] = {}
        asking = dict[int, Sequence[Request]]()
        answers: dict[int, Sequence[Answer] | None] = dict.fromkeys(range(len(talks)))
        while answers:
            for number, told in answers.items():
                try:
                    asking[number] = next(talks[number]) if told is None else talks[number].send(told)
                except StopIteration as end:
                    over[number] = end.value
            heard = iter(await self.ask([request for requests in asking.values() for request in requests]))
            answers = {number: [next(heard) for _ in requests] for number, requests in asking.items()}
            asking.clear()
        return [over[number] for number in range(len(talks))]

    async def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """The answer to each; a token that is refused is had anew once."""
        answers: list[Answer] = []
        for start in range(0, len(requests), PER_SECOND):
            answers += await self._asked(requests[start : start + PER_SECOND])
        return answers

    async def one(self, request: Request) -> Answer:
        """The answer to a single request."""
        (answer,) = await self.ask([request])
        return answer

    def failure(self, answer: Answer, request: Request) -> CallFailed:
        """What an answer means that is not what was hoped for."""
        return CallFailed(answer.failure(request, self.account.email))

    async def _asked(self, requests: Sequence[Request]) -> list[Answer]:
        answers = [Answer(0, left=False)] * len(requests)
        due = list(range(len(requests)))
        try:
            token = await self.tokens.current()
            for attempt in ("first", "again"):
                heard = await self._sent([requests[at] for at in due], token)
                for place, answer in zip(due, heard, strict=True):
                    answers[place] = answer
                due = [at for at in due if answers[at].status == httpx.codes.UNAUTHORIZED]
                if not due and any(answer.is_success for answer in heard):
                    self.tokens.trust(token)
                if not due or attempt == "again":
                    break
                token = await self.tokens.renewed(token)
        except PluginError as error:
            outcome = error.outcome if isinstance(error, CallFailed) else RetryLater(reason=error.problem)
            after = outcome.after if isinstance(outcome, RetryLater) else None
            for place in due:
                answers[place] = Answer(0, reason=outcome.reason, after=after, left=False)
        self._heed(answers)
        return answers

    async def _sent(self, requests: Sequence[Request], token: str) -> list[Answer]:
        call = await self._turn(len(requests))
        try:
            return await self._called(requests, token)
        finally:
            call.answered_at = self._now()

    async def _called(self, requests: Sequence[Request], token: str) -> list[Answer]:
        headers = {"authorization": f"Bearer {token}", "accept": _TYPE}
        if len(requests) == 1:
            (asked,) = requests
            method, url, content = asked.method, f"{self._url}{ROOT}{asked.path}", None
            if asked.body is not None:
                content, headers["content-type"] = msgspec.json.encode(asked.body), _TYPE
        else:
            method, url = "POST", f"{self._url}/batch"
            content, headers["content-type"] = packed(requests)
        try:
            response = await self.context.http.request(
                method, url, content=content, headers=headers, follow_redirects=False
            )
        except httpx.HTTPError as error:
            # The error holds the request with its token: its name is all that may leave.
            reason = f"no answer from Google: {type(error).__name__}"
            return [Answer(0, reason=reason, left=not isinstance(error, _UNSENT))] * len(requests)
        if len(requests) > 1 and response.is_success:
            return unpacked(response.content, response.headers.get("content-type", ""), len(requests))
        after = seconds(response.headers.get("retry-after", ""))
        return [Answer(response.status_code, response.content, after)] * len(requests)

    async def _turn(self, count: int) -> _Call:
        """Wait until so many requests are not too many in any second of Google's, and take their places.

        When a request arrives nobody knows here, but not after it was answered.
        """
        while (wait := self._wait(count, self._now())) > 0:
            await self.context.clock.sleep(wait)
        call = _Call()
        self._calls.extend([call] * count)
        return call

    def _wait(self, count: int, now: float) -> float:
        """Seconds until so many may leave, as far as that can be told."""
        over = len(self._calls) + count - PER_SECOND
        if over <= 0:
            return 0.0
        answered_at = self._calls[over - 1].answered_at
        return _LOOK if answered_at is None else max(0.0, answered_at + _SECOND - now)

    def _heed(self, answers: Sequence[Answer]) -> None:
        asked = max((answer.after for answer in answers if answer.after is not None), default=0.0)
        self._busy_until = max(self._busy_until, self._now() + min(asked, _LONGEST))

    def _now(self) -> float:
        return self.context.clock.now().timestamp()


def at(kind: str, id_: str, *steps: str) -> str:
    """Where a class or an object is."""
    return "/".join([kind, quote(id_, safe=""), *steps])


def asked(request: Request) -> Talk[Answer]:
    """One request of a conversation."""
    (answer,) = yield (request,)
    return answer


def whole(part: Any) -> Any:
    """What makes a class or an object: null, also inside, is left out, for there is nothing yet that it could take away."""
    if isinstance(part, dict):
        return {name: whole(one) for name, one in part.items() if one is not None}
    return [whole(one) for one in part] if isinstance(part, list) else part


def made(kind: str, body: dict[str, object], *, known: bool) -> Talk[tuple[Request, Answer]]:
    """Bring a class or an object up to date, whether it is `known` to be there or not; the last request, with its answer."""
    id_ = str(body["id"])
    change, insert = Request("PATCH", at(kind, id_), body), Request("POST", kind, whole(body))
    for request, otherwise in ((change, 404), (insert, 409), (change, 0)) if known else ((insert, 409), (change, 0)):
        answer = yield from asked(request)
        if answer.status != otherwise:
            break
    return request, answer

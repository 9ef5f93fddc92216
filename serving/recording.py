"""How a comment is taken in: its key claimed, scored, decided and committed, and only then acknowledged.

    claim (or replay, or wait)  ->  look at earlier comments  ->  forward pass and decision  ->  one transaction

The claim and the last step are transactions of the database, so that all workers share keys and none acknowledges what
it has not kept. Between them nothing is locked.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from starlette.types import Receive

from pipeline.feedback import Feedback
from serving.active_model import ActiveModel
from serving.engine import Engine
from serving.feedback_answers import dumps, stored
from serving.places import Places
from serving.problems import RequestProblem
from serving.sealing import Seal
from serving.store import idempotency, records, redaction, signals
from serving.store.database import StoreError
from serving.store.idempotency import Claim, InFlight, Key, Mismatch, Replay
from serving.store.ids import location_of, new_id
from serving.store.threads import StoreThreads

_MARGIN = 5.0  # seconds that a claim outlives the time that a request has, for the commit
_FIRST_WAIT, _LONGEST_WAIT = 0.02, 0.25  # seconds between two looks at a key that another request works on


@dataclass(frozen=True, slots=True)
class Post:
    """A comment as it was posted."""

    comment: Feedback
    digest: str  # of the body
    owner: str  # fingerprint of the API key, or "anonymous"
    key: str | None  # Idempotency-Key
    model: ActiveModel | None = None  # the one that shall answer; None: whichever does then


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client gets."""

    status: int
    body: bytes
    location: str
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class _Kept:
    """What of a comment may be kept."""

    text: str
    customer_ref: str | None
    channel: str | None
    tier: str | None
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Ground:
    """What the database knew before the model was asked."""

    known: Any  # row of a comment with the same id
    signals: signals.Signals


class Recorder:
    """Takes comments in. One for each worker."""

    def __init__(
        self,
        engine: Engine,
        threads: StoreThreads,
        *,
        seal: Seal | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        """`seal` is given where originals are kept too."""
        self._engine = engine
        self._threads = threads
        self._seal = seal
        self._now = now or (lambda: datetime.now(UTC))
        self._settings = engine.settings
        self._places = Places(engine.settings.max_in_flight)
        self._secret = threads.database.secret(redaction.SECRET)
        self._abandoned: dict[str, Claim] = {}  # claims of ours whose release failed

    @property
    def secret(self) -> bytes:
        """Of the store, for digests and pseudonyms."""
        return self._secret

    async def record(self, post: Post, *, receive: Receive | None = None) -> Answer:
        """Keep a comment, or give the answer that it got before.

        Raises RequestProblem and FeedbackError as /v1/classify does, `idempotency_mismatch`, `idempotency_in_flight`,
        `feedback_exists`, `feedback_erased`, and StoreError.
        """
        self._places.take(1)
        try:
            deadline = time.monotonic() + self._settings.request_timeout
            kept = await self._threads.call(lambda: self._kept(post.comment))
            while True:
                answer = await self._try(post, kept, deadline=deadline, receive=receive)
                if answer is not None:
                    return answer
        finally:
            self._places.give_back(1)

    async def release_abandoned(self) -> None:
        """Give back claims that could not be given back when they should have been. Raises StoreError."""
        for token, held in list(self._abandoned.items()):
            await self._threads.write(partial(idempotency.release, held=held))
            self._abandoned.pop(token, None)

    async def _try(self, post: Post, kept: _Kept, *, deadline: float, receive: Receive | None) -> Answer | None:
        """The answer, or None where the claim was lost to another request, which may have an answer by now."""
        if post.key is None:
            ground = await self._threads.read(lambda connection: self._ground(connection, post, kept))
            return await self._finish(post, kept, ground, None, receive=receive)
        with self._engine.span("store.claim"):
            claimed = await self._claim(post, kept, Key(post.owner, post.key), deadline=deadline)
        if isinstance(claimed, Answer):
            return claimed
        held, ground = claimed
        try:
            return await self._finish(post, kept, ground, held, receive=receive)
        except idempotency.ClaimLost:
            return None
        except BaseException:
            # Shielded: a client that leaves, or the server's end, must not leave the key claimed.
            await asyncio.shield(self._release(held))
            raise

    async def _claim(self, post: Post, kept: _Kept, key: Key, *, deadline: float) -> Answer | tuple[Claim, _Ground]:
        """The key and what the database knows, or the answer that was given to the key."""
        hold = timedelta(seconds=self._settings.request_timeout + _MARGIN)
        token, wait = secrets.token_hex(16), _FIRST_WAIT

        def claim(connection: Any) -> tuple[Any, _Ground | None]:
            abandoned = frozenset(self._abandoned)
            found = idempotency.claim(
                connection, key, digest=post.digest, token=token, now=self._now(), hold=hold, abandoned=abandoned
            )
            return found, self._ground(connection, post, kept) if isinstance(found, Claim) else None

        def peek(connection: Any) -> Any:
            return idempotency.peek(connection, key, digest=post.digest, now=self._now())

        while True:
            try:
                found, ground = await self._threads.write(claim)
            except StoreError:
                # It may have been committed though nobody could say so.
                self._abandoned[token] = Claim(key, token)
                raise
            if isinstance(found, Claim) and ground is not None:
                return found, ground
            while isinstance(found, InFlight):
                if time.monotonic() + wait > deadline:
                    raise RequestProblem(
                        "idempotency_in_flight",
                        "another request with this Idempotency-Key is under way; wait as Retry-After says, and send "
                        "it again",
                    )
                await asyncio.sleep(wait)
                wait = min(1.5 * wait, _LONGEST_WAIT)
                found = await self._threads.read(peek)
            if isinstance(found, Mismatch):
                raise RequestProblem(
                    "idempotency_mismatch",
                    "this Idempotency-Key was used for another body in the last 24 hours; use a new key for a new "
                    "request",
                )
            if isinstance(found, Replay):
                if found.status == idempotency.ERASED:
                    raise feedback_erased()
                return Answer(found.status, found.body, found.location or "", replayed=True)

    async def _finish(
        self, post: Post, kept: _Kept, ground: _Ground, held: Claim | None, *, receive: Receive | None
    ) -> Answer:
        """Score and commit. Raises ClaimLost."""
        if ground.known is not None:
            return await self._threads.write(lambda connection: self._repeated(connection, post, ground.known, held))
        active = post.model or self._engine.active
        received = self._now()
        comment = replace(post.comment, id=post.comment.id or new_id(received), signals=ground.signals.counted)
        scored = await self._engine.classify([comment], active, receive=receive)
        if scored.errors:
            raise scored.errors[0]
        new = self._new(
            post=post,
            kept=kept,
            comment=comment,
            active=active,
            received=received,
            result=scored.results[0],
            ground=ground,
        )

        def commit(connection: Any) -> Answer:
            if not records.store(connection, new):
                return self._repeated(connection, post, records.find(connection, new.id), held)
            answer = Answer(201, dumps(stored(records.find(connection, new.id))), location_of(new.id))
            if held is not None:
                idempotency.finish(connection, held, status=answer.status, body=answer.body, location=answer.location)
            return answer

        with self._engine.span("store.commit"):
            return await self._threads.write(commit)

    def _repeated(self, connection: Any, post: Post, row: Any, held: Claim | None) -> Answer:
        """The answer to a comment whose id is known. Raises RequestProblem `feedback_exists`, `feedback_erased`."""
        if row.erased_at is not None:
            raise feedback_erased()
        if row.body_digest != post.digest or row.key_fingerprint != post.owner:
            raise RequestProblem(
                "feedback_exists",
                "there is another comment with this id; post corrections under it, or use a new id",
            )
        answer = Answer(200, dumps(stored(row)), location_of(row.id), replayed=True)
        if held is not None:
            idempotency.finish(connection, held, status=answer.status, body=answer.body, location=answer.location)
        return answer

    async def _release(self, held: Claim) -> None:
        try:
            await self._threads.write(partial(idempotency.release, held=held))
        except (StoreError, RuntimeError):  # the database is away, or the threads have ended
            self._abandoned[held.token] = held

    def _ground(self, connection: Any, post: Post, kept: _Kept) -> _Ground:
        known = records.find(connection, post.comment.id) if post.comment.id else None
        within = timedelta(days=self._settings.repeat_days)
        found = signals.find_signals(
            connection, customer_ref=kept.customer_ref, text=kept.text, now=self._now(), within=within
        )
        return _Ground(known, found)

    def _kept(self, comment: Feedback) -> _Kept:
        if len(comment.text) > redaction.LONGEST:
            raise RequestProblem(
                "text_too_long", f"expected a text of at most {redaction.LONGEST} characters; send it in several parts"
            )
        tier = comment.metadata.get("tier")
        return _Kept(
            text=redaction.redacted_text(comment.text),
            customer_ref=redaction.pseudonym(comment.customer_ref, self._secret),
            channel=redaction.redacted_metadata(comment.channel),
            tier=redaction.redacted_metadata(tier[:64]) if isinstance(tier, str) else None,
            metadata=redaction.redacted_metadata(comment.metadata),
        )

    def _new(
        self,
        *,
        post: Post,
        kept: _Kept,
        comment: Feedback,
        active: ActiveModel,
        received: datetime,
        result: Mapping[str, Any],
        ground: _Ground,
    ) -> records.NewFeedback:
        return records.NewFeedback(
            id=comment.id,
            owner=post.owner,
            digest=post.digest,
            customer_ref=kept.customer_ref,
            channel=kept.channel,
            tier=kept.tier,
            text=kept.text,
            metadata=kept.metadata,
            created_at=received if comment.created_at is None else self._engine.policy.utc(comment.created_at),
            received_at=received,
            model_version=active.version,
            schema=active.predictor.schema,
            result=result,
            signals=ground.signals.to_dict(),
            original=None if self._seal is None else self._seal.close(original(comment), bound_to=comment.id),
        )


def original(comment: Feedback) -> bytes:
    """What is sealed of a comment: a JSON object."""
    names = ("text", "customer_ref", "channel", "metadata")
    return dumps({name: getattr(comment, name) for name in names})


def feedback_erased() -> RequestProblem:
    """Of a comment that was there."""
    return RequestProblem("feedback_erased", "this comment was erased, on request or because its time was over")

"""The shapes of the webhooks' routes, as OpenAPI documents them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from serving.feedback_shapes import Body, Name
from serving.shapes import Answered, strict_time

_ONE_OF = ("events", "since", "dead")

EventId = Annotated[str, Field(pattern=r"^evt_[0-9a-f]{40}$")]


class ReplayBody(Body):
    """What is to be sent again: one of events, since and dead."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [name]} for name in _ONE_OF]})

    events: Annotated[list[EventId], Field(min_length=1, max_length=100)] = Field(
        default_factory=list, description="Ids of events, `event_id` of the messages."
    )
    since: Annotated[datetime, BeforeValidator(strict_time)] | SkipJsonSchema[None] = Field(
        None, description="All events from this time on. Without an offset: in the policy's time zone."
    )
    dead: Literal[True] | SkipJsonSchema[None] = Field(None, description="All dead letters.")
    webhook: Name | None = Field(None, description="Name or id; without it all that want the events.")

    @model_validator(mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        if isinstance(value, dict) and sum(name in value for name in _ONE_OF) != 1:
            raise ValueError(f"expected one of {', '.join(_ONE_OF)}")
        if isinstance(value, dict) and any(value.get(name, "") is None for name in _ONE_OF):
            raise ValueError(f"expected one of {', '.join(_ONE_OF)}, and no null")
        return value


class ReplayAnswer(Answered):
    """How many messages that makes; they are sent within seconds."""

    messages: int = Field(ge=0)


class WebhookAnswer(Answered):
    """A URL that is told of what happens."""

    id: str
    name: str
    url: str
    types: list[str] = Field(description="Of the events; empty for all.")
    state: str = Field(
        json_schema_extra={"enum": ["enabled", "disabled (operator)", "disabled (gone)"]},
        description="`disabled (gone)`: it answered 410.",
    )
    created_at: str
    disabled_at: str | None
    failures: int = Field(ge=0, description="Attempts in a row that failed.")
    secrets: int = Field(ge=0, description="That messages are signed with at present.")
    pending: int = Field(ge=0, description="Messages that wait, for the first attempt or another.")
    delivered: int = Field(ge=0, description="In the last 30 days.")
    dead: int = Field(ge=0, description="Given up.")


class WebhooksAnswer(Answered):
    """All of them, oldest first."""

    webhooks: list[WebhookAnswer]


class DeadLetter(Answered):
    """A message that was given up."""

    event_id: str
    type: str
    subject: str = Field(description="Id of what it is about.")
    webhook: str = Field(description="Name.")
    attempts: int
    last_status: int | None = Field(description="Of HTTP; null where nothing came back.")
    last_error: str | None
    given_up_at: str


class DeadLetters(Answered):
    """The latest first."""

    items: list[DeadLetter]

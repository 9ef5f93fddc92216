"""The shapes of what the store is told and tells, as OpenAPI documents them. Requests are checked against theirs."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from serving.shapes import Answered, Item, Result, strict_time

ID_PATTERN = r"^[A-Za-z0-9_一-鿿][A-Za-z0-9_.:@~+=一-鿿-]{0,199}$"
"""An id stands in a path: no slash, no dots alone, nothing that a proxy would change."""

OutcomeName = Literal["satisfied", "dissatisfied", "unreachable"]
ZoneName = Literal["auto", "suggest", "review"]
StatusName = Literal["new", "assigned", "in_progress", "resolved", "reopened"]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]
Remark = Annotated[str, Field(max_length=2000)]


class FeedbackItem(Item):
    """A comment to keep."""

    id: Annotated[str, Field(pattern=ID_PATTERN)] | None = Field(
        None,
        description="Yours; the same id is kept once. Without it the server makes one. It is kept as it is: "
        "let it be nothing personal.",
    )


class Body(BaseModel):
    """Base of bodies beside the comment."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CorrectionBody(Body):
    """What a person says that a label is."""

    task: Name = Field(examples=["urgency"])
    label: str | list[str] | dict[str, int | str] = Field(
        description="A label's key or 中文 name; a list where the task allows several; for aspects an object such as "
        '{"logistics": -1, "product": "positive"}.'
    )
    by: Name = Field(description="Who says so.")
    why: Remark | None = Field(None, description="Masked before it is kept.")


class StatusBody(Body):
    """What a comment's status is to be."""

    status: Literal["assigned", "in_progress", "resolved", "reopened"]
    by: Name = Field(description="Who says so.")
    assignee: Name | None = None
    note: Remark | None = Field(None, description="Masked before it is kept.")


class CallBody(Body):
    """How a call back to the customer went."""

    outcome: OutcomeName
    by: Name = Field(description="Who called.")
    note: Remark | None = Field(None, description="Masked before it is kept.")


class ErasureBody(Body):
    """Whose comments are to be erased."""

    customer_ref: Name = Field(description="As it was posted.")


class ErasureAnswer(Answered):
    """What was erased."""

    erased: int = Field(ge=0, description="Comments.")


class OriginalAnswer(Answered):
    """A comment as it came."""

    id: str
    text: str
    customer_ref: str | None
    channel: str | None
    metadata: dict[str, Any]


class SignalsAnswer(Answered):
    """What earlier comments of the same customer say of this one."""

    contacts: int = Field(ge=0, description="Comments of the same customer in the days before (--repeat-days).")
    duplicate_of: str | None = Field(description="Id of the one that this one nearly repeats.")
    similarity: float | None = Field(ge=0, le=1, description="Jaccard similarity to that one, of character 3-grams.")


class StoredAnswer(Answered):
    """What a comment that was posted has become."""

    id: str
    status: StatusName
    received_at: str = Field(description="ISO 8601.")
    result: Result
    signals: SignalsAnswer
    model_version: str
    schema_version: str


class CorrectionAnswer(Answered):
    """A correction as it is kept."""

    id: str
    task: str
    label: str | list[str] | dict[str, int]
    by: str
    why: str | None
    created_at: str


class StatusAnswer(Answered):
    """One status of a comment."""

    status: StatusName
    by: str
    assignee: str | None
    note: str | None
    at: str


class CallAnswer(Answered):
    """One call back to the customer."""

    outcome: OutcomeName
    by: str
    note: str | None
    at: str


class FeedbackSummary(StoredAnswer):
    """A comment as lists show it."""

    text: str = Field(description="Normalized, personal data masked.")
    customer_ref: str | None
    channel: str | None
    tier: str | None
    metadata: dict[str, Any]
    created_at: str
    category: str | None = Field(description="The label that holds: a person's, where one corrected it.")
    urgency: str | None
    priority: int | None = Field(description="1 is the most pressing.")
    due_at: str | None
    status_at: str
    responded_at: str | None
    resolved_at: str | None
    callback_due_at: str | None
    called_back_at: str | None = Field(description="When the customer was reached.")
    call_outcome: OutcomeName | None = Field(description="Of the last call.")
    overdue_at: str | None
    escalation: int = Field(ge=0, description="Levels that the matter went up, 0 to 3.")


class FeedbackAnswer(FeedbackSummary):
    """Everything of one comment."""

    corrections: list[CorrectionAnswer]
    history: list[StatusAnswer]
    calls: list[CallAnswer]


class FeedbackList(Answered):
    """One page, newest first."""

    items: list[FeedbackSummary]
    next: str | None = Field(description="Cursor of the next page; null where there is none.")


Time = Annotated[datetime | None, BeforeValidator(strict_time)]

"""The shapes of requests and answers, as OpenAPI documents them. Requests are checked against theirs."""

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)


def strict_time(value: object) -> datetime | None:
    """An ISO 8601 time out of text, and nothing else. Raises ValueError."""
    # pydantic alone would take numbers for seconds since 1970, and milliseconds where they are large.
    if value is None:
        return None
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise ValueError("expected a time such as 2026-03-01T09:30:00+08:00")
    try:
        return datetime.fromisoformat(value.upper())
    except ValueError:
        raise ValueError("expected a time that exists, such as 2026-03-01T09:30:00+08:00") from None


class Item(BaseModel):
    """One comment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str = Field(
        description="The comment as the customer wrote it. Cut at 2,000 characters; the answer says `truncated` then.",
        examples=["快递三天没到，客服也不回"],
    )
    id: Annotated[str, Field(max_length=200)] | None = Field(None, description="Comes back in the answer.")
    channel: Annotated[str, Field(max_length=64)] | None = Field(None, description="Such as app, hotline or shop.")
    created_at: Annotated[datetime | None, BeforeValidator(strict_time)] = Field(
        None,
        description="When it was written; due times run from here. Without an offset: in the policy's time zone.",
    )
    customer_ref: Annotated[str, Field(max_length=200)] | None = Field(None, description="Your name for the customer.")
    metadata: dict[str, Any] | None = Field(None, description="Anything else of yours.")


class Answered(BaseModel):
    """Base of the answers; nothing that is not documented comes back."""

    model_config = ConfigDict(extra="forbid")


Probability = Annotated[float, Field(ge=0, le=1)]
Satisfaction = Annotated[float, Field(ge=1, le=5)]


class Alternative(Answered):
    """A label that was not chosen."""

    label: str
    probability: Probability


class TaskAnswer(Answered):
    """One task's label, or its labels where it allows several."""

    label: str | list[str]
    probability: Probability
    alternatives: list[Alternative] = Field(description="The likeliest other labels, likeliest first.")


class AspectAnswer(Answered):
    """One aspect that the comment mentions."""

    task: str | None = Field(None, description="Given where the label schema has several aspect tasks.")
    category: str
    polarity: str = Field(examples=["negative"], json_schema_extra={"enum": ["negative", "neutral", "positive"]})
    probability: Probability
    satisfaction: Satisfaction


class DecisionAnswer(Answered):
    """Where the comment goes, by when, and who may act on it."""

    queue: str
    due_at: str | None = Field(description="ISO 8601 with offset.")
    zone: str = Field(
        description="`auto`: act on it. `suggest`: propose it to a person. `review`: a person has to read it.",
        json_schema_extra={"enum": ["auto", "suggest", "review"]},
    )
    reasons: list[str]
    priority: Annotated[int, Field(ge=1)] | None = Field(
        None, description="1 is the most pressing: the highest level of urgency, or what a rule says."
    )


class Result(BaseModel):
    """The answer for one comment; with `<task>_score`, such as urgency_score, for ordinal tasks with alert labels."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Probability] = Field(init=False)

    id: str = Field(description="The comment's id, empty where it had none.")
    labels: dict[str, TaskAnswer]
    aspects: list[AspectAnswer]
    satisfaction: Satisfaction | None = Field(description="1 (worst) to 5 (best).")
    decision: DecisionAnswer
    truncated: bool
    windows: int = Field(ge=1, description="Pieces that a long comment was read in.")
    flags: list[str] = Field(
        description="out_of_scope: hardly any Chinese; contradiction: sentiment and all aspects differ; "
        "repeat_contact, near_duplicate: of comments that are kept, see signals."
    )


class ItemError(Answered):
    """Why a comment was not scored."""

    code: str
    message: str


class FailedResult(Answered):
    """Stands in a batch's results for a comment that could not be scored."""

    id: str
    error: ItemError


class ClassifyAnswer(Answered):
    """One result for every comment, in their order."""

    results: list[Result | FailedResult]
    model_version: str
    schema_version: str


class LabelAnswer(Answered):
    """One label."""

    key: str
    zh: str
    definition: str
    examples: list[str]
    respond_within: int | None = Field(description="Minutes.")
    alert: bool
    satisfaction: float | None = Field(description="0 (worst) to 1 (best).")


class LabelTask(Answered):
    """One task and its labels, in the schema's order."""

    name: str
    kind: str = Field(json_schema_extra={"enum": ["single", "ordinal", "multi", "aspect"]})
    zh: str
    definition: str
    labels: list[LabelAnswer]


class LabelsAnswer(Answered):
    """The label schema of the model that answers."""

    name: str
    schema_version: str
    digest: str
    tasks: list[LabelTask]


class TaskAgreement(Answered):
    """How often the model in shadow gave the same for a task as the one in service."""

    task: str
    agreed: int = Field(ge=0)
    compared: int = Field(ge=0)


class ModelAnswer(Answered):
    """A model that is loaded."""

    role: str = Field(
        description="in_service: answers. pinned: answers requests that name it in X-Model-Version. "
        "shadow: is only compared with the one in service.",
        json_schema_extra={"enum": ["in_service", "pinned", "shadow"]},
    )
    model_version: str
    name: str
    kind: str = Field(json_schema_extra={"enum": ["joint", "linear", "network"]})
    origin: str = Field(description="How it was chosen: option, FANKUI_MODEL, champion, previous or default.")
    digest: str
    schema_name: str
    schema_version: str
    tasks: list[str]
    loaded_at: str = Field(description="ISO 8601.")
    agreement: list[TaskAgreement] | None = Field(description="Of the model in shadow, over all workers.")


class ModelsAnswer(Answered):
    """The models that are loaded, the one in service first."""

    models: list[ModelAnswer]


class HealthAnswer(Answered):
    """Alive, or ready."""

    status: str
    model_version: str


class ProblemAnswer(Answered):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable; programs match on it.")
    request_id: str = Field(description="As in the header X-Request-ID.")

"""The shape of alerts, as OpenAPI documents it."""

from typing import Any

from pydantic import Field

from serving.shapes import Answered


class AlertAnswer(Answered):
    """A rule that fired."""

    id: str
    rule: str
    day: str = Field(description="Last day of what was looked at, on the policy's wall clock.")
    fired_at: str
    value: float = Field(description="As the rule's metric says.")
    expected: float | None = Field(description="Of the base line, where the rule has one.")
    messages: int = Field(ge=0)
    signs: list[str] = Field(description="Words, labels and values that an incident is known by.")
    causes: dict[str, Any] = Field(
        description="`where`: attribute values and pairs; `what`: labels and words; each with odds ratio, interval and "
        "q-value, the strongest first."
    )
    feedback_ids: list[str] = Field(description="Of comments that it is about, 200 at most.")


class AlertsAnswer(Answered):
    """Alerts, the latest first."""

    items: list[AlertAnswer]
    looked_at: str | None = Field(description="When the stored feedback was looked at last; null for never.")

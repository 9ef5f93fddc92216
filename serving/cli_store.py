"""Options of `fankui serve` about what is kept and what is done with it, each with its variable and its reason."""

from pathlib import Path
from typing import Annotated

import typer

Store = Annotated[
    str | None,
    typer.Option(
        envvar="FANKUI_STORE",
        help="Keep comments that are posted to /v1/feedback, personal data masked: the path of a SQLite file, which is "
        "made where there is none, or postgresql://USER:PASSWORD@HOST/NAME (better in the variable: other users of "
        "this machine see command lines). Without it nothing is kept anywhere.",
    ),
]
StoreTimeout = Annotated[
    float,
    typer.Option(
        envvar="FANKUI_STORE_TIMEOUT",
        min=0.1,
        help="Seconds to wait for the store, for a lock or a connection, before a request is answered with 503.",
    ),
]
RepeatDays = Annotated[
    float,
    typer.Option(
        envvar="FANKUI_REPEAT_DAYS",
        min=0.0,
        max=3650.0,
        help="Days in which another comment of the same customer counts as a repeated contact.",
    ),
]
KeepDays = Annotated[
    float | None,
    typer.Option(
        envvar="FANKUI_KEEP_DAYS",
        min=0.001,
        max=36_500.0,
        help="Days after which the text, metadata and customer of a kept comment are erased, resolved or not; the "
        "figures stay. Without it they are kept until somebody erases them.",
    ),
]
KeepEventsDays = Annotated[
    float,
    typer.Option(
        envvar="FANKUI_KEEP_EVENTS_DAYS",
        min=1.0,
        max=36_500.0,
        help="Days after which events are deleted that were delivered to everyone who subscribed to them, or given up; "
        "until then they can be replayed. There are three or four of each comment.",
    ),
]
KeepRaw = Annotated[
    bool,
    typer.Option(
        "--keep-raw",
        envvar="FANKUI_KEEP_RAW",
        help="Keep what customers wrote unmasked too, sealed with the first key of FANKUI_RAW_KEYS (NAME:KEY, 32 "
        "random bytes in base64, several separated by commas). Only keys with the scope admin can read it.",
    ),
]
WebhookHttp = Annotated[
    bool,
    typer.Option(
        "--webhook-http",
        envvar="FANKUI_WEBHOOK_HTTP",
        help="Send webhooks to http:// too, which others can read on the way; otherwise https:// alone.",
    ),
]
WebhookNetwork = Annotated[
    list[str] | None,
    typer.Option(
        envvar="FANKUI_WEBHOOK_NETWORKS",
        help="Network that webhooks may reach though it is not public, such as 10.1.0.0/16. Repeatable; in the "
        "variable separated by spaces. Without it a webhook cannot be turned against this host and its neighbors.",
    ),
]
MaxJobBytes = Annotated[
    int,
    typer.Option(
        envvar="FANKUI_MAX_JOB_BYTES",
        min=1024,
        help="Largest body of POST /v1/jobs, and most bytes that the texts in it may be once unpacked. It goes "
        "into a file without a name, where temporary files go (TMPDIR).",
    ),
]
MaxJobRows = Annotated[
    int,
    typer.Option(
        envvar="FANKUI_MAX_JOB_ROWS",
        min=1,
        max=10_000_000,
        help="Most comments of one job. Jobs are worked on one after the other, and a long one keeps others waiting.",
    ),
]
MaxJobs = Annotated[
    int,
    typer.Option(
        envvar="FANKUI_MAX_JOBS",
        min=1,
        help="Most jobs of one API key that have not ended yet; more get 429, so that no key fills the queue.",
    ),
]
MaxJobUploads = Annotated[
    int,
    typer.Option(
        envvar="FANKUI_MAX_JOB_UPLOADS",
        min=1,
        help="Most jobs that one worker takes in at once; more get 429. Masking what was sent keeps a thread busy.",
    ),
]
MaxJobsBytes = Annotated[
    int,
    typer.Option(
        envvar="FANKUI_MAX_JOBS_BYTES",
        min=1024,
        help="Bytes of the store that comments and results of all jobs may take; then new ones get 429, so that there "
        "is room left for what is posted to /v1/feedback.",
    ),
]
JobReadTimeout = Annotated[
    float,
    typer.Option(
        envvar="FANKUI_JOB_READ_TIMEOUT",
        min=0.1,
        help="Seconds for the body of POST /v1/jobs, which is larger than others: 408.",
    ),
]
KeepResultsDays = Annotated[
    float,
    typer.Option(
        envvar="FANKUI_KEEP_RESULTS_DAYS",
        min=0.0001,
        max=3650.0,
        help="Days in which the results of a job can be fetched; then they are deleted, for they only take up room.",
    ),
]
Alerts = Annotated[
    Path | None,
    typer.Option(envvar="FANKUI_ALERTS", help="Alert rules for what the store holds. [default: the shipped ones]"),
]
Insights = Annotated[
    bool | None,
    typer.Option(
        "--insights/--no-insights",
        envvar="FANKUI_INSIGHTS",
        help="Look for alerts, hot issues and a forecast in what the store holds, in a process of low priority. "
        "Without either: where the extra insights is installed.",
    ),
]
InsightSeconds = Annotated[
    float,
    typer.Option(
        envvar="FANKUI_INSIGHT_SECONDS",
        min=1.0,
        help="Seconds between two looks, if anything came in: each reads up to 100,000 comments of the last 90 days.",
    ),
]

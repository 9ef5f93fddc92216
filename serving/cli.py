"""`fankui serve`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from serving.cli_store import (
    Alerts,
    Insights,
    InsightSeconds,
    JobReadTimeout,
    KeepDays,
    KeepEventsDays,
    KeepRaw,
    KeepResultsDays,
    MaxJobBytes,
    MaxJobRows,
    MaxJobs,
    MaxJobsBytes,
    MaxJobUploads,
    RepeatDays,
    Store,
    StoreTimeout,
    WebhookHttp,
    WebhookNetwork,
)

# Each is an option, its environment variable and its reason.
_Host = Annotated[
    str,
    typer.Option(
        envvar="FANKUI_HOST",
        help="Address to listen on. The default is reachable from this machine only; for any other there has to be an "
        "API key (`fankui keys create`), or --no-keys.",
    ),
]
_Port = Annotated[int, typer.Option(envvar="FANKUI_PORT", min=1, max=65535, help="Port to listen on.")]
_Model = Annotated[
    str | None,
    typer.Option(
        help="A bundle's folder, 'default', or models:/NAME@ALIAS. Without it FANKUI_MODEL, else the champion, "
        "which the server then follows: promote and rollback change it without a restart. Else the shipped one.",
    ),
]
_Pin = Annotated[
    list[str] | None,
    typer.Option(
        envvar="FANKUI_PIN",
        help="Another model to keep loaded, for requests that name its version in X-Model-Version. Repeatable; in the "
        "variable separated by spaces. Takes the memory of a model in every worker.",
    ),
]
_Shadow = Annotated[
    str | None,
    typer.Option(
        envvar="FANKUI_SHADOW",
        help="A model, such as models:/NAME@challenger, that scores a share of the comments too, only while nobody "
        "waits; /v1/models and /metrics tell how often it agrees. Where the alias moves, it is followed.",
    ),
]
_ShadowShare = Annotated[
    float,
    typer.Option(
        envvar="FANKUI_SHADOW_SHARE",
        min=0.0,
        max=1.0,
        help="Share of the comments that the model in shadow gets. Each costs as much again.",
    ),
]
_Golden = Annotated[
    Path | None,
    typer.Option(
        envvar="FANKUI_GOLDEN",
        help="Labelled comments, as for training, that a model has to answer as they are labelled; a champion that "
        "does not leaves the one before in service.",
    ),
]
_Routing = Annotated[
    Path | None,
    typer.Option(envvar="FANKUI_ROUTING", help="Routing policy (TOML) instead of the shipped data/routing.toml."),
]
_Threads = Annotated[
    int | None,
    typer.Option(
        envvar="FANKUI_THREADS",
        min=1,
        help="Threads of one forward pass of the network. More shorten long batches; leave cores to others. "
        "Without it all cores, divided by the workers.",
    ),
]
_Workers = Annotated[
    int,
    typer.Option(
        envvar="FANKUI_WORKERS",
        min=1,
        max=256,
        help="Processes that share the port, each with the model in memory. As many as there are cores answer the "
        "most requests a second; one answers a single client fastest.",
    ),
]
_Cache = Annotated[
    int,
    typer.Option(
        envvar="FANKUI_CACHE",
        min=0,
        max=10_000_000,
        help="Different comments whose answers each worker keeps, the least recently asked for dropped first, so that "
        "identical ones are scored once. 0.8 kB each; 0 keeps none.",
    ),
]
_MaxBodyBytes = Annotated[
    int,
    typer.Option(
        envvar="FANKUI_MAX_BODY_BYTES",
        min=1024,
        help="Largest body; more is refused with 413 before it is read. 256 comments of 2,000 characters, "
        "escaped, are 3 MB.",
    ),
]
_MaxItems = Annotated[
    int,
    typer.Option(
        envvar="FANKUI_MAX_ITEMS",
        min=1,
        max=10_000,
        help="Most comments in one batch. Large batches are efficient, but others wait for them to end.",
    ),
]
_MaxInFlight = Annotated[
    int,
    typer.Option(
        envvar="FANKUI_MAX_IN_FLIGHT",
        min=1,
        help="Most comments under way at once in one worker; a batch that does not fit is refused whole with 429. "
        "A low limit refuses clients instead of letting them wait too long.",
    ),
]
_RequestTimeout = Annotated[
    float,
    typer.Option(
        envvar="FANKUI_REQUEST_TIMEOUT", min=0.1, help="Seconds until a request is answered with 504 instead."
    ),
]
_ReadTimeout = Annotated[
    float,
    typer.Option(
        envvar="FANKUI_READ_TIMEOUT",
        min=0.1,
        help="Seconds for the headers, and again for the body, so that slow senders do not hold connections: 408.",
    ),
]
_ShutdownTimeout = Annotated[
    int,
    typer.Option(
        envvar="FANKUI_SHUTDOWN_TIMEOUT",
        min=0,
        help="Seconds that requests under way get to finish after SIGTERM. As long as the platform waits.",
    ),
]
_AllowedHost = Annotated[
    list[str] | None,
    typer.Option(
        envvar="FANKUI_ALLOWED_HOSTS",
        help="Name that clients may call the server by (Host header), beside localhost. Repeatable; in the "
        "variable separated by spaces. Keeps web pages from reaching a local server through a name of theirs.",
    ),
]
_KeysFile = Annotated[
    Path | None,
    typer.Option(
        envvar="FANKUI_KEYS_FILE",
        help="File with the digests of API keys, for a server without a store; otherwise those of the store are used.",
    ),
]
_NoKeys = Annotated[
    bool,
    typer.Option(
        "--no-keys",
        envvar="FANKUI_NO_KEYS",
        help="Ask nobody for an API key, whoever can reach the server. For those behind a proxy that authenticates.",
    ),
]
_Otlp = Annotated[
    str | None,
    typer.Option(
        envvar="OTEL_EXPORTER_OTLP_ENDPOINT",
        help="Collector that gets traces of requests over OTLP/HTTP, such as http://localhost:4318; they hold no text. "
        "Needs the extra otel; OpenTelemetry's other variables (OTEL_…) hold too.",
    ),
]
_Docs = Annotated[
    bool | None,
    typer.Option(
        "--docs/--no-docs",
        envvar="FANKUI_DOCS",
        help="Show /docs and /openapi.json, to everybody. Without either on the loopback only: they tell strangers "
        "what to try.",
    ),
]


def serve(
    *,
    host: _Host = "127.0.0.1",
    port: _Port = 8000,
    model: _Model = None,
    pin: _Pin = None,
    shadow: _Shadow = None,
    shadow_share: _ShadowShare = 0.1,
    golden: _Golden = None,
    routing: _Routing = None,
    threads: _Threads = None,
    workers: _Workers = 1,
    cache: _Cache = 32_768,
    max_body_bytes: _MaxBodyBytes = 4 << 20,
    max_items: _MaxItems = 256,
    max_in_flight: _MaxInFlight = 512,
    request_timeout: _RequestTimeout = 30.0,
    read_timeout: _ReadTimeout = 10.0,
    shutdown_timeout: _ShutdownTimeout = 30,
    allowed_host: _AllowedHost = None,
    store: Store = None,
    store_timeout: StoreTimeout = 5.0,
    repeat_days: RepeatDays = 7.0,
    keep_days: KeepDays = None,
    keep_events_days: KeepEventsDays = 90.0,
    keep_raw: KeepRaw = False,
    webhook_http: WebhookHttp = False,
    webhook_network: WebhookNetwork = None,
    max_job_bytes: MaxJobBytes = 64 << 20,
    max_job_rows: MaxJobRows = 100_000,
    max_jobs: MaxJobs = 8,
    max_job_uploads: MaxJobUploads = 2,
    max_jobs_bytes: MaxJobsBytes = 2 << 30,
    job_read_timeout: JobReadTimeout = 120.0,
    keep_results_days: KeepResultsDays = 7.0,
    alerts: Alerts = None,
    insights: Insights = None,
    insight_seconds: InsightSeconds = 300.0,
    keys_file: _KeysFile = None,
    no_keys: _NoKeys = False,
    docs: _Docs = None,
    otlp: _Otlp = None,
) -> None:
    """Score over HTTP: POST /v1/classify, GET /v1/labels, /v1/models, /health/live, /health/ready, /metrics.

    With a store also POST and GET /v1/feedback, its corrections and statuses, GET /v1/export, and /v1/jobs, which
    scores up to 100,000 comments of a body or a file in the background.

    What waits is scored together, up to a budget of tokens. Logs are JSON lines on standard error and hold no text.
    SIGTERM lets requests under way finish.

    Example: `fankui serve --port 8000`, then

    `curl -s localhost:8000/v1/classify -H 'Content-Type: application/json' -d '{"text": "快递三天没到，客服也不回"}'`
    """
    given = dict(locals())  # the names are those of the settings
    given |= {"store": store or None, "shadow": shadow or None, "otlp": otlp or None, "pin": tuple(pin or ())}
    _serve(
        **given,
        allowed_hosts=tuple(name.lower() for name in allowed_host or ()),
        webhook_networks=tuple(webhook_network or ()),
    )


def _serve(*, allowed_host: object, webhook_network: object, **options: Any) -> None:  # noqa: ARG001  (other forms)
    from serving.settings import ServeSettings

    settings = ServeSettings(**options)
    if settings.workers == 1:
        from serving.run import run

        run(settings)
    else:
        from serving.workers import supervise

        supervise(settings)

# syntax=docker/dockerfile:1
# Two images: `server` scores and serves without torch (some 700 MB); `mlflow` is the registry beside it (compose.yaml).
#   docker build --target server -t fankui .
#   docker run --rm -p 127.0.0.1:8000:8000 fankui serve --no-keys

FROM python:3.11.13-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/fankui
WORKDIR /source
COPY . .
# No [train]: what trains needs torch, which no server does.
RUN /opt/fankui/bin/pip install ".[postgres,registry,otel]"

FROM python:3.11.13-slim-bookworm AS mlflow
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1 MLFLOW_DISABLE_TELEMETRY=true
RUN pip install "mlflow>=3.17,<3.18" "psycopg2-binary>=2.9,<3" \
    && useradd --system --uid 10001 --create-home mlflow \
    && install -d -o mlflow -g mlflow /var/lib/mlflow
USER mlflow
VOLUME /var/lib/mlflow
EXPOSE 5000
# No curl in a slim image.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=5 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/health', timeout=2)"]
CMD ["mlflow", "server", "--host", "0.0.0.0"]

FROM python:3.11.13-slim-bookworm AS server
ENV PATH=/opt/fankui/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 MLFLOW_DISABLE_TELEMETRY=true \
    FANKUI_HOME=/var/lib/fankui FANKUI_HOST=0.0.0.0 FANKUI_PORT=8000
COPY --from=build /opt/fankui /opt/fankui
RUN useradd --system --uid 10001 --no-create-home fankui && install -d -o fankui -g fankui /var/lib/fankui
USER fankui
WORKDIR /var/lib/fankui
# The champion, and a SQLite store where one is kept; everything else may be read only.
VOLUME /var/lib/fankui
EXPOSE 8000
# Whether it lives, not whether it is ready: a server that waits for its database must not be restarted. A refusal of the
# name 127.0.0.1 (--allowed-host) is life too.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['FANKUI_PORT']), timeout=2); c.request('GET', '/health/live'); raise SystemExit(c.getresponse().status >= 500)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["fankui"]
CMD ["serve"]

"""What customers wrote about themselves is in no row, file, log, figure or error of a server with a store."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from sqlalchemy import select

import fankui
from serving.store.database import open_database
from serving.store.tables import metadata

CANARIES = [f"139{i:08d}" for i in range(50)]


@pytest.mark.parametrize("raw", [False, True], ids=["masked", "sealed"])
def test_no_row_log_figure_or_error_holds_what_customers_wrote(
    start_server: Callable[..., Any],
    linear_bundle: Path,
    store_url: str,
    raw: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert fankui.run(["keys", "create", "a", "--scope", "admin", "--store", store_url]) == 0
    shown = capsys.readouterr().out.strip()
    seal = bytes(range(32))
    variables = {"FANKUI_RAW_KEYS": f"k:{base64.b64encode(seal).decode()}"} if raw else {}
    options = ("--model", str(linear_bundle), "--store", store_url, *(["--keep-raw"] if raw else []))
    server = start_server(*options, **variables)
    told: list[str] = []
    with httpx.Client(base_url=server.url, headers={"X-Api-Key": shown}) as client:
        for i, phone in enumerate(CANARIES):
            text = f"电话{phone}快联系我"
            full_width = phone.translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)})
            bodies: list[dict[str, Any]] = [
                {"text": text, "id": f"a{i}", "customer_ref": phone, "channel": phone, "metadata": {phone: [phone]}},
                {
                    "text": f"电话{full_width}",
                    "customer_ref": f"tel:{phone}",
                    "metadata": {"n": int(phone), "tier": phone},
                },
                {"text": text, phone: 1},
                {"text": text + "\0"},
                {"text": text, "id": f"{phone}/"},
            ]
            for body in bodies:
                answer = client.post("/v1/feedback", json=body, headers={"Idempotency-Key": f"{i}-{len(told)}"})
                assert answer.status_code in (201, 422)
                told.append(answer.text)
            note = {"task": "urgency", "label": "high", "by": "li", "why": text}
            told.append(client.post(f"/v1/feedback/a{i}/corrections", json=note).text)
            told.append(client.post(f"/v1/feedback/a{i}/corrections", json={**note, "label": phone}).text)
            status = {"status": "in_progress", "by": "li", "note": text}
            told.append(client.post(f"/v1/feedback/a{i}/status", json=status).text)
            told.append(client.get(f"/v1/feedback/a{i}").text)
            told.append(client.get("/v1/feedback", params={"customer_ref": phone}).text)
            assert len(json.loads(told[-1])["items"]) == 1
            told.append(client.get("/v1/feedback", params={"cursor": phone}).text)
            for path in (phone, f"{phone}/original"):
                told.append(client.get(f"/v1/feedback/{path}").text)
            told.append(client.delete(f"/v1/feedback/{phone}").text)
            told.append(client.get("/v1/labels", headers={"X-Api-Key": phone}).text)
            if raw:  # what admins are for
                assert phone in client.get(f"/v1/feedback/a{i}/original").text
            if i % 5 == 0:
                erased = client.post("/v1/erasures", json={"customer_ref": phone})
                assert erased.json() == {"erased": 1}
                told.append(erased.text)
        for kind in ("csv", "jsonl"):
            told.append(client.get("/v1/export", params={"format": kind}).text)
        told.append(client.get("/metrics").text)
    server.process.terminate()
    server.process.wait(20)
    told.append(server.log.read_text(encoding="utf-8"))
    database = open_database(store_url, timeout=5)
    for table in metadata.sorted_tables:
        told.append(str(database.read(lambda connection, table=table: connection.execute(select(table)).all())))
    database.close()
    if "://" not in store_url:
        told += [path.read_bytes().decode("latin-1") for path in Path(store_url).parent.glob("store.db*")]
    assert len(told) > 600
    # Nor a key, nor what originals are sealed with.
    canaries = [*CANARIES, shown, shown[16:80], base64.b64encode(seal).decode(), seal.decode("latin-1")]
    assert [canary for canary in canaries if any(canary in entry for entry in told)] == []

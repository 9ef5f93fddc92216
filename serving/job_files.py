"""Results of a job as a table: the row's number and id, then the columns of a file that `fankui score` writes."""

import zlib
from pathlib import Path
from typing import Any

import orjson

from models.answer import column_kinds, item_columns
from pipeline.cells import Column
from pipeline.schema import LabelSchema
from pipeline.writers import open_writer
from serving.problems import RequestProblem
from serving.store import jobs

_LISTS = ("flags", "reasons")  # of which none at all is an empty cell


def write_results(connection: Any, path: Path, row: Any, *, schema: LabelSchema) -> None:
    """Write what is scored of a job that has ended, in the format of the path's extension.

    `schema` is that of the model in service: tasks that it lacks are left out, which the lines of jsonl have.
    Raises RequestProblem `results_expired`, DataError `write_failed`.
    """
    kinds: list[tuple[str, Any]] = [("row", "integer"), ("id", "text"), *column_kinds(schema, routed=True)]
    columns = [Column(name, "notes" if name in _LISTS else kind) for name, kind in kinds]
    with open_writer(path, columns=columns) as writer:
        for number in range(row.chunks_done):
            packed = jobs.results_of(connection, row.id, number)
            if packed is None:  # their time was over while they were read
                raise results_expired()
            lines = [orjson.loads(line) for line in zlib.decompress(packed).splitlines()]
            writer.write([_cells(line, schema) for line in lines])


def results_expired() -> RequestProblem:
    """The problem of results that are not there any more."""
    return RequestProblem("results_expired", "the results of this job are deleted, for their time is over")


def _cells(line: dict[str, Any], schema: LabelSchema) -> dict[str, Any]:
    cells = item_columns(schema, line, model_version=line["model_version"])
    return {"row": line["row"], "id": line["id"], **cells}

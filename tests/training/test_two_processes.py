"""Two processes, started by torchrun, train what one trains: the same steps on the same rows, to rounding.

Without dropout, which every process draws for itself, and in float32.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from pipeline.feedback import Example

ROOT = Path(__file__).parents[2]

SCRIPT = """
import json, sys
from pathlib import Path
import torch
from accelerate import Accelerator
from safetensors.torch import save_file
from transformers import BertConfig
from models.network import new_classifier
from models.tokenization import build_tokenizer
from pipeline.feedback import Example, Feedback
from pipeline.schema import load_schema
from training.config import NetworkSettings
from training.dataset import tokenize_rows
from training.loop import Trainer
from training.progress import Silent

folder, rows, changes = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()), json.loads(sys.argv[3])
examples = [Example(Feedback(text=row.pop("text")), row) for row in rows]
texts = [example.text for example in examples]
schema, tokenizer = load_schema(), build_tokenizer(texts, max_tokens=32, min_count=1)
tokens = tokenize_rows(texts, examples, schema=schema, tokenizer=tokenizer)
torch.manual_seed(11)
config = BertConfig(
    vocab_size=tokenizer.backend.get_vocab_size(), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
    intermediate_size=64, max_position_embeddings=32, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)
settings = NetworkSettings(
    epochs=4, batch_size=7, learning_rate=1e-3, max_tokens=32, patience=4, precision="fp32", dropout=0.0, **changes
)
accelerator = Accelerator(cpu=True)
trainer = Trainer(
    accelerator=accelerator, classifier=new_classifier(config, schema, dropout=0.0), tokenizer=tokenizer, schema=schema,
    settings=settings, train=tokens, dev=tokens, folder=folder / "run", key="k", seed=5, progress=Silent(),
)
result = trainer.fit(resume=False)
if accelerator.is_main_process:
    save_file({k: v.contiguous() for k, v in trainer.classifier.state_dict().items()}, folder / "weights.safetensors")
    told = {"processes": accelerator.num_processes, "steps": result.steps, "history": result.history}
    (folder / "told.json").write_text(json.dumps(told))
if accelerator.num_processes > 1:
    torch.distributed.destroy_process_group()
"""


def train(folder: Path, rows: Path, *, processes: int, changes: dict[str, Any]) -> dict[str, Any]:
    folder.mkdir()
    script = folder / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)] * (processes > 1)
    done = subprocess.run(
        [sys.executable, *launch, str(script), str(folder), str(rows), json.dumps(changes)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads((folder / "told.json").read_text(encoding="utf-8")))


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [{}, {"class_weight": "balanced", "averaging": 0.9, "adversarial": 0.5, "consistency": 1.0, "layer_decay": 0.9}],
    ids=["plain", "regularized"],
)
def test_two_processes_train_what_one_trains(tmp_path: Path, examples: list[Example], changes: dict[str, Any]) -> None:
    # 22 rows in batches of 7: one of a single row, at which one process has none. Labels missing here and there, so
    # that the processes hold unequal numbers of them.
    lines = []
    for i, example in enumerate(examples[:22]):
        labels = {name: gold for j, (name, gold) in enumerate(sorted(example.labels.items())) if (i * 7 + j) % 3}
        lines.append({"text": example.text, **labels})
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps(lines), encoding="utf-8")
    one = train(tmp_path / "one", rows, processes=1, changes=changes)
    two = train(tmp_path / "two", rows, processes=2, changes=changes)
    assert (one["processes"], two["processes"]) == (1, 2)
    assert one["steps"] == two["steps"] == 16
    for first, second in zip(one["history"], two["history"], strict=True):
        assert second == pytest.approx(first, rel=1e-4)
    weights, others = (load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    for name, values in weights.items():
        # A key's bias shifts all scores of a row alike: its gradient is rounding alone, which AdamW blows up.
        if not name.endswith("key.bias"):
            torch.testing.assert_close(
                others[name], values, rtol=1e-3, atol=2e-5, msg=lambda told, n=name: f"{n}: {told}"
            )

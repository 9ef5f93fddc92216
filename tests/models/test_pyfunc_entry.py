"""models/pyfunc_entry.py: a table of texts in, a table of answers out, and a failing model costs one row."""

from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from models.bundle import ModelBundle
from models.linear import LinearModel
from models.predictor import Outputs

pd = pytest.importorskip("pandas")
pytest.importorskip("mlflow")


@pytest.mark.filterwarnings("ignore:.*AnyType:UserWarning")  # mlflow looks at PythonModel's own signature
def test_a_text_at_which_the_model_fails_has_its_error(
    tiny_bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models.pyfunc_entry import FeedbackModel

    original = LinearModel.logits

    def logits(self: LinearModel, texts: Sequence[str]) -> Outputs:
        if any("毒" in text for text in texts):
            raise RuntimeError(texts[0])
        return original(self, texts)

    monkeypatch.setattr(LinearModel, "logits", logits)
    model = FeedbackModel()
    model.load_context(SimpleNamespace(artifacts={"bundle": str(tiny_bundle.path)}))
    table = model.predict(pd.DataFrame({"text": ["很慢", "毒", ""]}))
    assert table["mood"].tolist() == ["bad", "", ""]
    assert table["truncated"].tolist() == [False, False, False]
    assert table["error"].tolist() == [
        "",
        "model_failed: the model failed at this comment; try again, and report it if it stays so",
        "empty_text: expected a comment; found no visible characters; leave empty rows out",
    ]

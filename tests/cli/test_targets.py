"""A finished model is not replaced without a word."""

import pytest

from pfungst.cli._targets import ModelTarget
from pfungst.contract.storage import DESCRIPTION_FILE
from pfungst.errors import ModelError


@pytest.fixture
def finished(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / DESCRIPTION_FILE).write_text("{}", encoding="utf-8")
    return tmp_path / "model"


def test_a_finished_model_stays_unless_it_is_to_be_replaced(finished):
    with pytest.raises(ModelError, match=r"there is a finished model\. Try: --overwrite, or another --out"):
        ModelTarget(out=finished).check()
    ModelTarget(out=finished, overwrite=True).check()


def test_a_stopped_training_goes_on(finished):
    """Killed when the model was written but what it was made from was still there."""
    ModelTarget(out=finished).unfinished.mkdir()
    ModelTarget(out=finished).check()


def test_what_is_no_model_is_never_replaced(tmp_path):
    (tmp_path / "letters").write_text("dear", encoding="utf-8")
    for path in (tmp_path, tmp_path / "letters"):
        with pytest.raises(ModelError, match="not a Pfungst model"):
            ModelTarget(out=path, overwrite=True).check()
    ModelTarget(out=tmp_path / "new").check()

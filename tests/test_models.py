import sys

import pytest

from pfungst import models
from pfungst.contract.storage import ModelFolder, write_model_folder
from pfungst.errors import ModelError
from pfungst.models import load


def test_unknown_kind_lists_the_known_ones(tmp_path):
    write_model_folder(tmp_path / "m", ModelFolder(kind="oracle", config={}, arrays={}))
    with pytest.raises(
        ModelError, match=r"m: is a model of unknown kind 'oracle'\. Allowed: fisher, network\."
    ):
        load(tmp_path / "m")


def test_no_model(tmp_path):
    with pytest.raises(ModelError, match="no such model folder"):
        load(tmp_path / "absent")


def test_kind_decides_the_class(tmp_path, monkeypatch):
    class Oracle:
        @classmethod
        def load(cls, path):
            return cls, path

    module = type(sys)("pfungst_test_oracle")
    module.Oracle = Oracle
    monkeypatch.setitem(sys.modules, "pfungst_test_oracle", module)
    monkeypatch.setitem(models._LOADERS, "oracle", ("pfungst_test_oracle", "Oracle"))
    target = write_model_folder(tmp_path / "m", ModelFolder(kind="oracle", config={}, arrays={}))
    assert load(target) == (Oracle, target)

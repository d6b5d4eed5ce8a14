import pytest

from pfungst.errors import ConfigError
from pfungst.paper.stages import run_stage


def test_a_finished_stage_is_not_repeated(tmp_path):
    calls = []

    def work():
        calls.append(1)
        return {"value": float("nan"), "n": 3}

    first = run_stage(tmp_path / "stage", {"seed": 1}, work, workers=2)
    again = run_stage(tmp_path / "stage", {"seed": 1}, work, workers=1)
    assert calls == [1]
    assert first == again
    assert first["result"] == {"value": None, "n": 3}
    assert first["workers"] == 2


def test_an_interrupted_stage_is_done_again(tmp_path):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(tmp_path / "stage", {"seed": 1}, interrupted)
    assert run_stage(tmp_path / "stage", {"seed": 1}, lambda: {"n": 1})["result"] == {"n": 1}


def test_another_configuration_is_refused(tmp_path):
    run_stage(tmp_path / "stage", {"seed": 1}, dict)
    with pytest.raises(ConfigError, match="seed was 1, is now 2"):
        run_stage(tmp_path / "stage", {"seed": 2}, dict)

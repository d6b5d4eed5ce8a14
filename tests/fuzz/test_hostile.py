"""A bounded number of hostile files for every reader; ``benchmarks/hostile.py`` runs them by the 100,000."""

from __future__ import annotations

import warnings

import pytest
from fuzzing import TARGETS
from fuzzing.campaign import campaign

CASES = {
    "voc": 300, "coco": 250, "prototxt": 120, "caffemodel": 200, "models": 120, "images": 300, "scenes": 200,
    "folders": 100, "yolo": 250, "table": 250, "trees": 250, "lists": 250, "audits": 150, "journals": 200,
    "runs": 200, "attributions": 200, "exported": 250, "onnx": 300, "hugging-face": 60,
}  # fmt: skip
SEED = 2016


@pytest.fixture(params=sorted(TARGETS))
def target(request, tmp_path):
    return TARGETS[request.param](tmp_path)


def test_readers_accept_or_refuse_and_nothing_else(target):
    """A file is read, or refused by an error of the family; a warning is an error here too."""
    outcomes = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for index in range(CASES[target.name]):
            case = target.case(SEED, index)
            try:
                outcomes.append(target.accepts(case))
            except Exception as error:
                raise AssertionError(f"case {index} of {target.name}: {error!r}") from error
    assert outcomes.count(False) > 10, "hostile files are refused"
    assert outcomes.count(True) > 2, "and some of them are good enough to get past the first check"


def test_the_same_seed_makes_the_same_cases(target):
    assert [target.case(7, index) for index in range(5)] == [target.case(7, index) for index in range(5)]
    assert target.case(7, 0) != target.case(7, 1)


class TestCampaign:
    """The campaign must notice what it is there for."""

    @pytest.mark.parametrize(
        ("action", "count"),
        [
            ("raise KeyError(3)", "exceptions"),
            ("import os; os.kill(os.getpid(), 11)", "crashes"),
            ("import time; time.sleep(60)", "hangs"),
            ("while True: pass", "hangs"),
            ("self.kept = bytearray(2**26)", "memory"),
        ],
    )
    def test_each_kind_of_failure_is_counted_and_the_rest_goes_on(self, monkeypatch, action, count):
        import fuzzing.campaign as module

        class Bad(TARGETS["scenes"]):
            def case(self, seed, index):
                if index == 3:
                    exec(action, {"self": self})
                return super().case(seed, index)

        monkeypatch.setitem(TARGETS, "bad", Bad)
        monkeypatch.setattr(module, "SECONDS", 1.0)
        monkeypatch.setattr(module, "PATIENCE", 20.0)
        monkeypatch.setattr(module, "MEMORY", 2**25)
        outcome = campaign("bad", cases=8)
        assert (outcome.cases, getattr(outcome, count)) == (8, 1)
        assert sum((outcome.exceptions, outcome.crashes, outcome.hangs, outcome.memory)) == 1
        assert outcome.accepted + outcome.refused == (8 if count == "memory" else 7)
        assert not outcome.clean

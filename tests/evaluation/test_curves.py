import numpy as np
import pytest

from pfungst.errors import ConfigError
from pfungst.evaluation.curves import Traces, abpc, aopc, mean_drop

TRACES = Traces(
    start=2.0, scores=np.array([[1.5, 0.6, 0.2], [1.0, 0.4, 0.8], [1.9, 1.8, 1.7]]), threshold=0.5
)


def test_a_is_the_mean_drop_over_the_steps():
    expected = np.mean([2.0 - value for row in TRACES.scores for value in row])
    assert mean_drop(TRACES.drop) == pytest.approx(expected)


def test_aopc_counts_step_zero():
    drop = TRACES.drop
    expected = sum([0.0, *drop]) / (3 + 1)
    assert aopc(drop) == pytest.approx(expected)
    assert aopc(drop) == pytest.approx(mean_drop(drop) * 3 / 4)


def test_v_counts_traces_that_ever_changed_and_changed_counts_each_step():
    # trace 0 changes at step 3, trace 1 at step 2 and back at step 3, trace 2 never
    assert TRACES.switched == pytest.approx(2 / 3)
    assert TRACES.changed == pytest.approx([0, 1 / 3, 1 / 3])


def test_change_is_relative_to_the_threshold_on_either_side():
    below = Traces(start=0.2, scores=np.array([[0.3, 0.9]]), threshold=0.5)
    assert below.changed.tolist() == [0.0, 1.0]
    assert below.switched == 1.0


def test_abpc_is_the_area_between_the_curves():
    morf, lerf = np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.2, 0.4])
    scores_morf, scores_lerf = 5 - morf, 5 - lerf
    expected = (0 + np.sum(scores_lerf - scores_morf)) / 4
    assert abpc(morf, lerf) == pytest.approx(expected)
    with pytest.raises(ConfigError, match="MoRF curve of 3 steps and a LeRF curve of 2"):
        abpc(morf, lerf[:2])


def test_traces_need_steps():
    with pytest.raises(ConfigError, match=r"shape \(2, 0\)"):
        Traces(start=1.0, scores=np.empty((2, 0)), threshold=0.0)

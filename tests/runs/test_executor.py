import functools
import math
import operator
import os
import time
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from pfungst.errors import ConfigError, ImageError, PfungstError
from pfungst.images import decode, image_size
from pfungst.runs.executor import Outcome, default_workers, map_items, single_thread

# tasks that workers can import: functions of libraries and of this package


def photos(folder, number):
    from PIL import Image

    for index in range(number):
        pixels = np.random.default_rng(index).integers(0, 256, (20, 30 + index, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return [folder / f"{index}.png" for index in range(number)]


def test_one_and_two_workers_give_the_same_outcomes_in_order(tmp_path):
    files = photos(tmp_path, 7)
    files[2].write_bytes(b"no photo")
    files[5] = tmp_path / "absent.png"
    results = {}
    for workers in (1, 2):
        seen = []
        outcomes = list(
            map_items(decode, files, workers=workers, progress=lambda *a, s=seen: s.append(a), stage="photos")
        )
        assert seen == [("photos", done, 7) for done in range(8)]
        assert [outcome.item for outcome in outcomes] == files
        assert [outcome.ok for outcome in outcomes] == [number not in {2, 5} for number in range(7)]
        results[workers] = outcomes
    for one, two in zip(results[1], results[2], strict=True):
        np.testing.assert_array_equal(one.value, two.value)
        assert type(one.error) is type(two.error)
        assert str(one.error) == str(two.error)
    assert isinstance(results[2][2].error, ImageError)
    assert results[2][5].error.path == str(tmp_path / "absent.png")


def test_linear_algebra_gives_the_same_bits_with_any_number_of_workers():
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=(300, 300))
    items = [generator.normal(size=(300, 200)) for _ in range(4)]
    task = functools.partial(operator.matmul, matrix)
    one, two = (
        [outcome.unwrap() for outcome in map_items(task, items, workers=workers)] for workers in (1, 2)
    )
    for first, second in zip(one, two, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("workers", [1, 2])
def test_tasks_run_with_one_thread(workers):
    ask = "__import__('numpy') and __import__('threadpoolctl').threadpool_info()"
    with threadpool_limits(limits=2):
        infos = [outcome.unwrap() for outcome in map_items(eval, [ask] * 2, workers=workers)]
    assert all(infos)
    assert all(info["num_threads"] == 1 for pools in infos for info in pools)


def test_faults_of_the_program_are_raised():
    for workers in (1, 2):
        outcomes = map_items(math.sqrt, [4.0, -1.0, 9.0], workers=workers)
        assert next(outcomes).unwrap() == 2.0
        with pytest.raises(ValueError, match=r"math domain error|nonnegative"):
            next(outcomes)


def test_an_item_that_kills_its_worker_is_named_and_the_run_goes_on():
    """``os._exit`` of a number ends the worker, of a text it does not."""
    code = "__import__('os')._exit(3)"
    items = ["1", "2", code, "4", "5", "6", "7", "8", "9"]
    outcomes = list(map_items(eval, items, workers=2, name=lambda item: f"item {item[:10]}"))
    assert [outcome.value for outcome in outcomes] == [1, 2, None, 4, 5, 6, 7, 8, 9]
    assert str(outcomes[2].error).startswith(
        "item __import__: its worker process died each time it was tried."
    )


def test_a_worker_killed_from_outside_costs_nothing(tmp_path):
    """The first try of one item kills its worker, as someone else might; the second does not."""
    mark = tmp_path / "mark"
    killed = f"import os; os.path.exists({str(mark)!r}) or (open({str(mark)!r}, 'w').close(), os.abort())"
    outcomes = list(map_items(exec, ["1", killed, "3", "4"], workers=2))
    assert all(outcome.ok for outcome in outcomes)


def test_it_gives_up_if_every_item_kills_its_worker():
    with pytest.raises(PfungstError, match=r"5 items in a row ended their worker .* Try: --workers 1"):
        list(map_items(os._exit, [3] * 9, workers=2))


def test_work_that_cannot_travel_says_so():
    with pytest.raises(
        ConfigError, match=r"the work cannot be sent to other processes \(.* Try: workers = 1"
    ):
        list(map_items(lambda item: item, [1, 2, 3], workers=2))


class Treacherous:
    """It can be packed but not unpacked."""

    def __reduce__(self):
        return math.sqrt, (-1,)


def test_work_that_cannot_be_unpacked_says_so():
    with pytest.raises(ConfigError, match=r"cannot be sent to other processes \(ValueError"):
        list(map_items(Treacherous(), [1, 2, 3], workers=2))


def test_no_more_items_are_taken_than_are_under_way(tmp_path):
    """A caller that stops early does not pay for the rest."""
    outcomes = map_items(time.sleep, [0.0] * 3 + [1.0] * 50, workers=2, in_flight=2)
    start = time.monotonic()
    assert next(outcomes).ok
    assert next(outcomes).ok
    outcomes.close()
    assert time.monotonic() - start < 20


def test_a_task_may_return_none(tmp_path):
    outcomes = list(map_items(time.sleep, [0, 0]))
    assert [outcome.unwrap() for outcome in outcomes] == [None, None]


def test_unwrap_raises_the_items_error():
    outcome = Outcome("x", None, PfungstError("It broke"))
    assert not outcome.ok
    with pytest.raises(PfungstError, match="It broke"):
        outcome.unwrap()


def test_no_items_and_wrong_workers():
    assert list(map_items(image_size, [], workers=2)) == []
    with pytest.raises(ConfigError, match=r"workers = 0\. Allowed: 1 or more"):
        list(map_items(image_size, [], workers=0))
    assert default_workers() >= 1


def test_single_thread_is_undone():
    with threadpool_limits(limits=2):
        with single_thread():
            assert {pool["num_threads"] for pool in threadpool_info()} == {1}
        assert {pool["num_threads"] for pool in threadpool_info()} == {2}


def test_environment_is_left_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    files = photos(tmp_path, 2)
    assert all(outcome.ok for outcome in map_items(image_size, files, workers=2))
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ
    assert isinstance(files[0], Path)

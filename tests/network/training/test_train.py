"""Retraining: the loss and its gradient, what is learnt, what is kept after a kill, and what goes wrong."""

import errno
import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from pfungst.contract.ranking import average_precision, equal_error_threshold, mean_average_precision
from pfungst.errors import ConfigError, DataError, FileError
from pfungst.images import open_dataset
from pfungst.images.decode import decode
from pfungst.network.preprocess import Preprocess
from pfungst.network.training.backbone import Backbone
from pfungst.network.training.epochs import Epoch, State, hinge_loss
from pfungst.network.training.initial import initial_network
from pfungst.network.training.sources import CanvasSource
from pfungst.network.training.train import NetworkTraining, train_network
from pfungst.network.training.view_store import CanvasTask, store_views
from pfungst.network.views import training_views
from pfungst.runs.lock import locked

INPUT = Preprocess(input_size=(24, 24), resize_length=32, mean=(127, 127, 127), std=(64, 64, 64))


@pytest.fixture
def start(colour_photos):
    network = initial_network("small-cnn", colour_photos.classes, random_state=1)
    network.preprocess = INPUT
    return network


def sets(data):
    return data.split("train"), data.split("val")


def weights(trained):
    return {name: value.clone() for name, value in trained.classifier.module.state_dict().items()}


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_hinge_loss_masks_difficult_labels(rng):
    scores, labels = rng.normal(size=(5, 4)) * 2, rng.integers(-1, 2, (5, 4))
    expected = np.mean([
        sum(max(0.0, 1 - y * f) for y, f in zip(ys, fs, strict=True) if y != 0)
        for ys, fs in zip(labels, scores, strict=True)
    ])  # fmt: skip
    assert hinge_loss(torch.tensor(scores), torch.tensor(labels)).item() == pytest.approx(expected)


def test_best_epoch_is_the_first_of_the_best():
    history = [Epoch(loss=1, mean_ap=value) for value in (0.2, None, 0.7, 0.7)]
    assert State({}, history=history).best_epoch == 2
    assert State({}, history=[Epoch(loss=1), Epoch(loss=0.5)]).best_epoch == 1
    labels = np.array([[1, -1], [-1, -1], [1, -1]], np.int8)
    scores = np.array([[3.0, 1], [2, 2], [1, 3]])
    assert mean_average_precision(labels, scores) == average_precision(labels[:, 0], scores[:, 0])
    assert mean_average_precision(labels[:, 1:], scores[:, 1:]) is None


def twin_descent(features, labels, layer, config):
    """The frozen training in plain NumPy, float64: order, schedule, momentum, decay as documented."""
    w, b = layer.weight.detach().double().numpy().copy(), layer.bias.detach().double().numpy().copy()
    settings, vw, vb, first = config.descent(), 0.0, 0.0, True
    scale = 10 / np.sqrt(np.mean([np.sum(photo[4].astype(float) ** 2) for photo in features]))
    features, w = features * scale, w / scale
    for epoch in range(settings.epochs):
        rate = settings.learning_rate * settings.step_factor ** (epoch // settings.step_epochs)
        order = np.random.default_rng([config.random_state, epoch]).permutation(len(labels) * 10)
        for begin in range(0, len(order), settings.batch_size):
            batch = order[begin : begin + settings.batch_size]
            x, y = features[batch // 10, batch % 10].astype(float), labels[batch // 10].astype(float)
            active = (1 - y * (x @ w.T + b) > 0) * -y
            gw = active.T @ x / len(batch) + settings.weight_decay * w
            gb = active.mean(axis=0)
            vw = gw if first else settings.momentum * vw + gw
            vb = gb if first else settings.momentum * vb + gb
            first = False
            w, b = w - rate * vw, b - rate * vb
    return w * scale, b


def test_frozen_training_is_the_descent_of_the_twin(colour_photos, start):
    config = NetworkTraining(epochs=4, batch_size=32, learning_rate=0.02, weight_decay=0.01, step_epochs=2)
    train, _ = sets(colour_photos)
    trained = train_network(start, train, None, config)
    backbone = Backbone(start.module, INPUT)
    features = np.stack([backbone.features(training_views(decode(r.path), INPUT)) for r in train])
    w, b = twin_descent(features, train.labels(), start.module.head, config)
    head = trained.classifier.module.head
    np.testing.assert_allclose(head.weight.detach(), w, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(head.bias.detach(), b, rtol=1e-3, atol=1e-5)
    frozen = {k: v for k, v in weights(trained).items() if not k.startswith("head.")}
    assert_same(frozen, {k: v for k, v in start.module.state_dict().items() if not k.startswith("head.")})
    np.testing.assert_array_equal(trained.classifier.thresholds, np.zeros(3))
    assert trained.best_epoch == 3


def test_training_all_layers_learns_colours(colour_photos, start):
    config = NetworkTraining(freeze=False, epochs=6, learning_rate=0.02, batch_size=30, refit=False)
    train, val = sets(colour_photos)
    trained = train_network(start, train, val, config)
    assert trained.history[trained.best_epoch].mean_ap > 0.85
    scores = trained.classifier.scores(decode(record.path) for record in val)
    assert mean_average_precision(val.labels(), scores) == pytest.approx(
        trained.history[trained.best_epoch].mean_ap
    )
    for c in range(3):
        threshold = equal_error_threshold(val.labels()[:, c], scores[:, c])
        assert trained.classifier.thresholds[c] == pytest.approx(threshold, abs=1e-4)
    assert not torch.equal(trained.classifier.module.stem[0].weight, start.module.stem[0].weight)


def test_refit_trains_on_all_photos_for_the_best_epochs(colour_photos, start):
    train, val = sets(colour_photos)
    config = NetworkTraining(epochs=5, learning_rate=0.02, step_epochs=2)
    trained = train_network(start, train, val, config)
    joined = replace(train, records=train.records + val.records)
    schedule = replace(config, epochs=trained.best_epoch + 1)
    again = train_network(start, joined, None, schedule)
    assert_same(weights(trained), weights(again))
    only = train_network(start, train, val, replace(config, refit=False))
    np.testing.assert_allclose(only.classifier.thresholds, trained.classifier.thresholds, rtol=1e-5)
    assert not torch.equal(only.classifier.module.head.weight, trained.classifier.module.head.weight)


def test_workers_do_not_change_the_numbers(colour_photos, start):
    config = NetworkTraining(epochs=2)
    one = train_network(start, *sets(colour_photos), config)
    two = train_network(start, *sets(colour_photos), config, workers=2)
    assert_same(weights(one), weights(two))


class StoppedError(Exception):
    pass


def stopper(stage, done):
    def progress(name, count, _total):
        if (name, count) == (stage, done):
            raise StoppedError

    return progress


@pytest.mark.parametrize("freeze", [True, False])
def test_a_stopped_training_goes_on_to_the_same_numbers(colour_photos, start, tmp_path, freeze):
    config = NetworkTraining(freeze=freeze, epochs=4, batch_size=60, learning_rate=0.01)
    # dropout's draws must be the same after a resume, too
    start.module.head = nn.Sequential(nn.Dropout(0.3), start.module.head)
    start.architecture = None
    whole = train_network(start, *sets(colour_photos), config)
    folder = tmp_path / "work"
    for stage, done in [
        ("features" if freeze else "canvases", 9),
        ("epochs (select)", 3),
        ("epochs (refit)", 1),
    ]:
        with pytest.raises(StoppedError):
            train_network(start, *sets(colour_photos), config, out=folder, progress=stopper(stage, done))
    resumed = train_network(start, *sets(colour_photos), config, out=folder)
    assert_same(weights(whole), weights(resumed))
    assert whole.history == resumed.history
    np.testing.assert_array_equal(whole.classifier.thresholds, resumed.classifier.thresholds)
    assert len(list((folder / "select").glob("epoch-*"))) == 1


KILLED = """
import os, signal, sys
import torch
from pfungst.images import open_dataset
from pfungst.network.training.initial import initial_network
from pfungst.network.training.train import NetworkTraining, train_network

def progress(stage, done, total):
    if stage == "epochs (select)" and done == 3:
        os.kill(os.getpid(), signal.SIGKILL)

torch.set_num_threads(1)
data = open_dataset(sys.argv[1], format="folders").with_random_splits({"train": 0.6, "val": 0.4})
start = initial_network("small-cnn", data.classes)
train_network(start, data.split("train"), data.split("val"), NetworkTraining(epochs=5),
              out=sys.argv[2], progress=progress)
"""


def test_killed_in_the_middle(colour_photos, tmp_path):
    for record in colour_photos:
        name = sorted(record.positive)[0]
        (tmp_path / "data" / name).mkdir(parents=True, exist_ok=True)
        record.path.rename(tmp_path / "data" / name / record.path.name)
    command = [sys.executable, "-c", KILLED, str(tmp_path / "data"), str(tmp_path / "work")]
    killed = subprocess.run(command, check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    data = open_dataset(tmp_path / "data", format="folders").with_random_splits({"train": 0.6, "val": 0.4})
    network = initial_network("small-cnn", data.classes)
    config = NetworkTraining(epochs=5)
    resumed = train_network(network, *sets(data), config, out=tmp_path / "work")
    assert_same(weights(resumed), weights(train_network(network, *sets(data), config)))


def test_another_training_does_not_go_on(colour_photos, start, tmp_path, monkeypatch):
    train, val = sets(colour_photos)
    folder = tmp_path / "work"
    train_network(start, train, val, NetworkTraining(epochs=1), out=folder)
    with pytest.raises(
        ConfigError, match=r"begun with another configuration: settings.epochs was 1, is now 2"
    ):
        train_network(start, train, val, NetworkTraining(epochs=2), out=folder)
    with pytest.raises(ConfigError, match=r"training.ids_sha256 was"):
        train_network(start, val, train, NetworkTraining(epochs=1), out=folder)
    other = initial_network("small-cnn", colour_photos.classes, random_state=2)
    other.preprocess = INPUT
    with pytest.raises(ConfigError, match=r"first_weights_sha256 was"):
        train_network(other, train, val, NetworkTraining(epochs=1), out=folder)
    monkeypatch.setattr("pfungst.runs.photos.__version__", "9.9.9")
    with pytest.raises(ConfigError, match=r"version was .*, is now .9.9.9"):
        train_network(start, train, val, NetworkTraining(epochs=1), out=folder)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("Dear all")
    with pytest.raises(FileError, match=r"holds 'letter.txt', which is no part of a training"):
        train_network(start, train, val, out=tmp_path / "other")


def stopped(*arguments, stage="epochs (select)", done=2, **options):
    with pytest.raises(StoppedError):
        train_network(*arguments, progress=stopper(stage, done), **options)


@pytest.mark.parametrize("freeze", [True, False])
def test_photos_replaced_after_a_kill_are_refused(colour_photos, start, tmp_path, freeze):
    train, val = sets(colour_photos)
    config = NetworkTraining(freeze=freeze, epochs=3)
    stopped(start, train, val, config, out=tmp_path / "work")
    for record in train.records[::2]:
        record.path.write_bytes(val.records[0].path.read_bytes())
    with pytest.raises(DataError, match=r"has changed since this run measured it \(and 7 more\)"):
        train_network(start, train, val, config, out=tmp_path / "work")


@pytest.mark.parametrize("freeze", [True, False])
def test_a_mended_photo_is_tried_again_and_the_descent_begins_anew(colour_photos, start, tmp_path, freeze):
    train, val = sets(colour_photos)
    config = NetworkTraining(freeze=freeze, epochs=3, batch_size=32)
    clean = train_network(start, train, val, config)
    photo = train.records[3].path
    content = photo.read_bytes()
    photo.write_bytes(b"no photo")
    stopped(start, train, val, config, out=tmp_path / "work")
    photo.write_bytes(content)
    mended = train_network(start, train, val, config, out=tmp_path / "work")
    assert mended.failures == ()
    assert mended.history == clean.history
    assert_same(weights(mended), weights(clean))
    checkpoints = list((tmp_path / "work" / "select").iterdir())
    assert [folder.name for folder in checkpoints] == ["epoch-00003"]


def test_a_moved_data_set_goes_on(colour_photos, start, tmp_path):
    config = NetworkTraining(epochs=4)
    whole = train_network(start, *sets(colour_photos), config)
    stopped(start, *sets(colour_photos), config, out=tmp_path / "work")
    (tmp_path / "photos").rename(tmp_path / "moved")
    records = tuple(
        replace(record, path=tmp_path / "moved" / record.path.name) for record in colour_photos.records
    )
    moved = replace(colour_photos, records=records, root=tmp_path / "moved")
    seen = []
    resumed = train_network(
        start, *sets(moved), config, out=tmp_path / "work", progress=lambda *told: seen.append(told)
    )
    assert ("epochs (select)", 2, 4) in seen
    assert ("epochs (select)", 1, 4) not in seen
    assert_same(weights(resumed), weights(whole))


def test_a_whole_network_is_trained_with_the_stated_threads(colour_photos, start, tmp_path):
    seen = []
    config = NetworkTraining(freeze=False, epochs=1, refit=False, threads=2)
    start.module.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    trained = train_network(start, *sets(colour_photos), config, workers=1)
    assert set(seen[1:]) == {2}
    assert trained.classifier.info["settings"]["threads"] == 2
    one = replace(config, threads=1)
    first = train_network(start, *sets(colour_photos), one, workers=1, out=tmp_path / "work")
    second = train_network(start, *sets(colour_photos), one, workers=2)
    assert_same(weights(first), weights(second))
    with pytest.raises(ConfigError, match=r"settings.threads was 1, is now 2"):
        train_network(start, *sets(colour_photos), config, out=tmp_path / "work")


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system cannot reserve space")
def test_a_full_disk_is_an_error_and_not_a_signal(colour_photos, start, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(FileError, match=r"features.dat: cannot be written \(No space left on device\)"):
        train_network(start, *sets(colour_photos), NetworkTraining(epochs=1), out=tmp_path / "work")


def test_two_trainings_in_one_folder_are_refused(colour_photos, start, tmp_path):
    train, val = sets(colour_photos)
    folder, once = tmp_path / "work", NetworkTraining(epochs=1)
    with locked(folder), pytest.raises(FileError, match="another process is at work"):
        train_network(start, train, val, once, out=folder)
    train_network(start, train, val, once, out=folder)


def test_unreadable_photos_are_skipped_and_listed(colour_photos, start, tmp_path):
    train, val = sets(colour_photos)
    clean = train_network(
        start, replace(train, records=train.records[:4] + train.records[5:]), val, NetworkTraining(epochs=2)
    )
    train.records[4].path.write_bytes(b"no photo")
    trained = train_network(start, train, val, NetworkTraining(epochs=2))
    assert next(str(error) for error in trained.failures).startswith(str(train.records[4].path))
    assert_same(weights(trained), weights(clean))
    for record in train:
        record.path.unlink()
    with pytest.raises(DataError, match="no photo of 'discs:train' can be read"):
        train_network(start, train, val, NetworkTraining(epochs=2))


def test_what_cannot_work_is_said_first(colour_photos, start):
    train, val = sets(colour_photos)
    with pytest.raises(ConfigError, match=r"has the classes red, blue. Allowed: those of the network: red"):
        train_network(start, train.select(["red", "blue"]))
    with pytest.raises(DataError, match="photos are both in 'discs:train' and in 'discs:train'"):
        train_network(start, train, train)
    none = [replace(record, positive=record.positive - {"green"}) for record in train]
    with pytest.raises(DataError, match="no training photo of 'discs:train' shows green"):
        train_network(start, replace(train, records=tuple(none)), val)
    with pytest.raises(ConfigError, match=r"need 0.0 GiB on disk. Allowed: at most 0.0 GiB"):
        train_network(start, train, val, NetworkTraining(max_cache_bytes=1000))
    with pytest.raises(
        ConfigError, match=r"the loss became \w+ in epoch \d.* smaller learning rate than 1e\+30"
    ):
        train_network(start, train, val, NetworkTraining(learning_rate=1e30, freeze=False))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"geometry": "square"}, "unknown geometry 'square'"),
        ({"epochs": 0}, "epochs 0"),
        ({"momentum": 1.0}, "0 ≤ momentum < 1"),
        ({"learning_rate": -1.0}, "learning_rate > 0"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ConfigError, match=message):
        NetworkTraining(**settings)


def test_classes_without_a_threshold_are_named(colour_photos, start):
    train, val = sets(colour_photos)
    none = [replace(record, positive=record.positive - {"green"}) for record in val]
    trained = train_network(start, train, replace(val, records=tuple(none)), NetworkTraining(epochs=1))
    assert trained.undefined_thresholds == ("green",)
    assert trained.classifier.thresholds[1] == 0


def test_warped_geometry_becomes_the_models(colour_photos, start):
    trained = train_network(start, *sets(colour_photos), NetworkTraining(epochs=1, geometry="warp"))
    assert trained.classifier.preprocess.resize == "warp"
    assert start.preprocess.resize == "longest+pad"


def test_canvases_give_the_ten_training_views(colour_photos, tmp_path):
    records = colour_photos.records[:3]
    three = replace(colour_photos, records=records)
    stored = store_views(tmp_path / "c", three, CanvasTask(INPUT), (32, 32, 3), np.uint8, settings={})
    source = CanvasSource(stored.array, INPUT)
    for row, record in enumerate(records):
        views = source.inputs(np.full(10, row), np.arange(10)).numpy()
        np.testing.assert_array_equal(views, INPUT.values(training_views(decode(record.path), INPUT)))

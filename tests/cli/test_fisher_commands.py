"""Train, evaluate and explain on the command line, as a user runs them, on small generated photos."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

from pfungst.cli.main import app
from pfungst.models import load

TRAIN_OPTIONS = ["--components", "4", "--dims", "12", "--step", "5", "--samples", "3000", "--workers", "1"]


def texture(kind, generator, height=60, width=72):
    """Stripes or blobs."""
    rows, columns = np.mgrid[:height, :width]
    stripes = np.sin((columns + 0.2 * rows) * generator.uniform(0.7, 0.9))
    blobs = 6 * gaussian_filter(generator.normal(size=(height, width)), 3)
    noisy = 128 + 50 * (stripes if kind == "stripes" else blobs) + generator.normal(size=(height, width)) * 4
    return np.repeat(np.uint8(np.clip(noisy, 0, 255))[..., None], 3, axis=2)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """One folder per class, split into train, val and test."""
    root = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 4), ("test", 4)):
        for kind in ("stripes", "blobs"):
            folder = root / split / kind
            folder.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(texture(kind, generator)).save(folder / f"{split}-{kind}-{number}.png")
    return root


@pytest.fixture(scope="module")
def model(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "fv"
    result = run("train", "fisher", photos, "--out", out, *TRAIN_OPTIONS, "--json", "-")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["classes"] == ["blobs", "stripes"]
    assert set(summary["validation_map"]) == {"0.1", "1", "10", "100"}
    assert summary["failed"] == []
    return out


def test_evaluate_prints_a_table_or_json(model, photos):
    result = run("evaluate", model, photos, "--workers", "1", "--json", "-")
    assert result.exit_code == 0, result.output
    table = json.loads(result.stdout)
    assert set(table["classes"]) == {"blobs", "stripes"}
    assert table["classes"]["blobs"]["positives"] == 4
    assert table["classes"]["blobs"]["ap"] == table["map"] == table["map_11pt"] == 1.0
    assert table["classes"]["blobs"]["eer_threshold"] == load(model).thresholds[0]
    shown = run("evaluate", model, photos, "--workers", "1").stdout
    assert "100.00" in shown
    assert "stripes" in shown


def test_evaluate_says_which_classes_and_splits_are_missing(model, photos, tmp_path):
    result = run("evaluate", model, photos, "--split", "minival")
    assert "no split 'minival'" in str(result.exception)
    assert "test, train, val" in str(result.exception)
    shutil.copytree(photos / "test" / "blobs", tmp_path / "other" / "blobs")
    shutil.copytree(photos / "test" / "stripes", tmp_path / "other" / "waves")
    result = run("evaluate", model, tmp_path / "other", "--split", "all")
    assert result.exit_code == 0
    assert "that no model knows: waves" in result.stderr
    assert "does not have: stripes" in result.stderr


def test_evaluate_lists_bad_photos_and_ends_with_3(model, photos, tmp_path):
    shutil.copytree(photos / "test", tmp_path / "set")
    broken = tmp_path / "set" / "blobs" / "test-blobs-0.png"
    broken.write_bytes(broken.read_bytes()[:200])
    result = run("evaluate", model, tmp_path / "set", "--split", "all", "--workers", "2")
    assert result.exit_code == 3
    assert "1 problem:" in result.stderr
    assert str(broken) in result.stderr


def test_explain_writes_pictures_numbers_and_arrays(model, photos, tmp_path):
    picture = photos / "test" / "stripes" / "test-stripes-1.png"
    result = run(
        "explain", model, picture, "--class", "stripes,blobs", "--rule", "epsilon", "--epsilon", "0.4",
        "--relative", "--absorbed", "spread", "--arrays", "--out", tmp_path, "--workers", "1", "--json", "-",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["explanations"]
    assert [row["class"] for row in rows] == ["stripes", "blobs"]
    for row in rows:
        assert row["rule"] == "epsilon=0.4*sqrt(L),spread"
        assert row["ledger"]["pixels"] == pytest.approx(row["score"], rel=1e-5)
        with Image.open(row["picture"]) as drawn:
            assert drawn.width > 3 * 72
        relevance = load_file(row["arrays"])["relevance"]
        assert relevance.shape == (60, 72)
        assert relevance.sum() == pytest.approx(row["ledger"]["pixels"], rel=1e-9)


def test_explain_takes_the_top_class_or_all_predicted_ones(model, photos, tmp_path):
    picture = photos / "test" / "blobs" / "test-blobs-1.png"
    for wanted in ("top", "predicted"):
        result = run("explain", model, picture, "--class", wanted, "--out", tmp_path, "--json", "-")
        assert [row["class"] for row in json.loads(result.stdout)["explanations"]] == ["blobs"]


def test_photos_of_the_same_name_do_not_overwrite_each_other(model, photos, tmp_path):
    (tmp_path / "a").mkdir()
    source = photos / "test" / "blobs" / "test-blobs-1.png"
    shutil.copy(source, tmp_path / "a")
    result = run(
        "explain", model, source, tmp_path / "a" / source.name, "--out", tmp_path / "o", "--json", "-"
    )
    pictures = [row["picture"] for row in json.loads(result.stdout)["explanations"]]
    assert len(set(pictures)) == 2


def test_explain_goes_on_after_a_bad_photo(model, photos, tmp_path):
    tiny = tmp_path / "tiny.png"
    Image.new("RGB", (1, 1)).save(tiny)
    good = photos / "test" / "blobs" / "test-blobs-1.png"
    result = run("explain", model, tiny, good, "--out", tmp_path / "o", "--json", "-")
    assert result.exit_code == 3
    numbers = json.loads(result.stdout)
    assert len(numbers["explanations"]) == 1
    assert "tiny.png" in numbers["failures"][0]["reason"]
    assert "1 x 1 pixels is too small" in numbers["failures"][0]["reason"]
    alone = run("explain", model, tiny, "--out", tmp_path / "o")
    assert "tiny.png" in str(alone.exception)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--class", "dots"], "unknown class 'dots'"),
        (["--rule", "best"], "unknown rule 'best'"),
        (["--rule", "naive", "--epsilon", "3"], "rule naive has no option epsilon"),
    ],
)
def test_wrong_options_stop_at_once(model, photos, tmp_path, options, message):
    two = [photos / "test" / "blobs" / f"test-blobs-{n}.png" for n in (0, 1)]
    result = run("explain", model, *two, "--out", tmp_path, *options)
    assert message in str(result.exception)
    assert not list(tmp_path.glob("*.png"))


def test_training_refuses_a_class_with_one_example(photos, tmp_path):
    shutil.copytree(photos, tmp_path / "set")
    for extra in list((tmp_path / "set" / "train" / "blobs").iterdir())[1:]:
        extra.unlink()
    result = run("train", "fisher", tmp_path / "set", "--out", tmp_path / "m", *TRAIN_OPTIONS)
    assert "class 'blobs' has 1 positive and 8 negative training images" in str(result.exception)
    assert not (tmp_path / "m").exists()


def test_a_folder_that_is_no_model_is_refused_before_training(photos, tmp_path):
    (tmp_path / "holiday.txt").write_text("keep me")
    result = run("train", "fisher", photos, "--out", tmp_path, *TRAIN_OPTIONS)
    assert "is not overwritten" in str(result.exception)
    assert (tmp_path / "holiday.txt").read_text() == "keep me"


def test_views_are_for_networks(model, photos):
    result = run("evaluate", model, photos, "--views", "sliding")
    assert "--views sliding for a model that sees the whole photo" in str(result.exception)


def test_fisher_work_never_loads_torch(model, photos, tmp_path):
    code = (
        "import sys; from pfungst.cli.main import app;"
        f"app(['explain', {str(model)!r}, {str(photos / 'test' / 'blobs' / 'test-blobs-0.png')!r},"
        f" '--out', {str(tmp_path)!r}, '--workers', '1'], standalone_mode=False);"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


def test_every_setting_of_the_pipeline_is_an_option(photos, tmp_path):
    out = tmp_path / "fv"
    result = run(
        "train", "fisher", photos, "--out", out, *TRAIN_OPTIONS, "--bin-sizes", "3,5", "--contrast", "0.001",
        "--max-height", "50", "--mixture-start", "random", "--iterations", "3", "--c", "2", "--seed", "4",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    model = load(out)
    sift = model.pipeline.descriptor
    assert (sift.bin_sizes, sift.contrast_threshold, sift.max_height) == ((3, 5), 0.001, 50)
    assert model.training["config"]["mixture_init"] == "random"
    assert model.training["config"]["random_state"] == 4
    assert len(model.pipeline.mixture.history) <= 3
    assert model.training["c"] == 2.0


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--bin-sizes", "4,six", "--bin-sizes 4,six.*numbers separated by commas"),
        ("--c", "0", r"c_values = \(0.0,\)"),
        ("--mixture-start", "luck", "mixture_init = 'luck'"),
        ("--descriptor", "hog", "unknown descriptor 'hog'. Allowed: colour, sift"),
    ],
)
def test_settings_that_cannot_work(photos, tmp_path, option, value, message):
    result = run("train", "fisher", photos, "--out", tmp_path / "fv", *TRAIN_OPTIONS, option, value)
    assert re.search(message, str(result.exception))


SPOT = (slice(20, 44), slice(8, 32))


def blobs(spot, generator):
    """Grey blobs, with a reddish spot of unchanged luminance or without: SIFT cannot tell them apart."""
    photo = texture("blobs", generator).astype(np.float64) * 0.6 + 40
    if spot:
        photo[SPOT] += (50, -25.5, 0)  # 0.299 R + 0.587 G + 0.114 B stays
    return Image.fromarray(np.uint8(np.rint(np.clip(photo, 0, 255))))


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """Photos with the spot and photos without."""
    root = tmp_path_factory.mktemp("colours")
    generator = np.random.default_rng(3)
    for kind in ("red", "plain"):
        (root / kind).mkdir()
        for number in range(12):
            blobs(kind == "red", generator).save(root / kind / f"{kind}{number}.png")
    return root


@pytest.fixture(scope="module")
def colour_model(colours, tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "colour"
    options = ["--components", "4", "--dims", "12", "--samples", "3000", "--workers", "1"]
    result = run("train", "fisher", colours, "--descriptor", "colour", "--out", out, *options)
    assert result.exit_code == 0, result.output
    return out


class TestColour:
    """The second descriptor: trained, evaluated, explained, measured and audited."""

    def test_it_tells_what_sift_cannot(self, colours, colour_model):
        settings = json.loads((colour_model / "model.json").read_text())["config"]["descriptor"]
        assert (settings["name"], settings["step"], settings["bin_sizes"]) == ("colour", 4, [4, 6, 8, 12, 16])
        result = run("evaluate", colour_model, colours, "--workers", "1", "--json", "-")
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["map"] == 1.0

    @pytest.mark.parametrize("rule", ["naive", "epsilon=0.38*sqrt(L),spread", "absolute"])
    def test_its_heatmaps_lie_where_the_colour_is(self, colour_model, tmp_path, rule):
        blobs(True, np.random.default_rng(5)).save(tmp_path / "spot.png")
        result = run(
            "explain", colour_model, tmp_path / "spot.png", "--class", "red", "--rule", rule,
            "--arrays", "--out", tmp_path, "--workers", "1", "--json", "-",
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        (row,) = json.loads(result.stdout)["explanations"]
        assert row["ledger"]["pixels"] == pytest.approx(row["score"], abs=1e-5)
        relevance = load_file(row["arrays"])["relevance"]
        elsewhere = np.ones(relevance.shape, bool)
        elsewhere[SPOT] = False
        assert relevance[SPOT].mean() > 2 * relevance[elsewhere].mean()

    def test_its_heatmaps_are_measured(self, colours, colour_model, tmp_path):
        rules = "epsilon=0.38*sqrt(L),spread,naive"
        result = run(
            "quality", colour_model, colours, "--rules", rules, "--descriptors", "200", "--batch", "20",
            "--repetitions", "2", "--workers", "1", "--json", "-",
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        curves = [row for row in json.loads(result.stdout)["curves"] if row["class"] == "all"]
        found = {(row["rule"], row["order"]): row["A"]["mean"] for row in curves}
        assert {rule for rule, order in found if order == "morf"} == {"epsilon=0.38*sqrt(L),spread", "naive"}
        assert found["epsilon=0.38*sqrt(L),spread", "morf"] > 0

    def test_it_is_audited(self, colours, colour_model, tmp_path):
        result = run(
            "strategies", colour_model, colours, "--workers", "1", "--out", tmp_path, "--split", "all"
        )
        assert result.exit_code == 0, result.output
        assert list(tmp_path.iterdir())

    def test_an_option_of_sift_alone(self, colours, tmp_path):
        result = run(
            "train", "fisher", colours, "--descriptor", "colour", "--contrast", "0.1", "--out", tmp_path / "m"
        )
        assert re.search(
            "descriptor colour has no setting 'contrast_threshold'. Allowed: step", str(result.exception)
        )


def test_explaining_goes_on_where_it_was_interrupted(model, photos, tmp_path):
    two = [photos / "test" / "blobs" / f"test-blobs-{n}.png" for n in (0, 1)]
    command = ("explain", model, *two, "--out", tmp_path, "--class", "blobs", "--workers", "1")
    assert run(*command).exit_code == 0
    pictures = sorted(tmp_path.glob("*.png"))
    made = [picture.stat().st_mtime_ns for picture in pictures]
    again = run(*command)
    assert again.exit_code == 0
    assert again.stdout.count("test-blobs-") >= 2
    assert [picture.stat().st_mtime_ns for picture in pictures] == made
    pictures[0].unlink()
    assert run(*command).exit_code == 0
    assert pictures[0].is_file()
    assert run(*command[:-4], "--class", "stripes", "--workers", "1").exit_code == 0
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_scores_are_kept_and_belong_to_one_model(model, photos, tmp_path):
    command = ("evaluate", model, photos, "--workers", "1", "--out", tmp_path / "scores", "--json", "-")
    first, again = run(*command), run(*command)
    assert first.exit_code == 0
    assert again.stdout == first.stdout
    shutil.copytree(model, tmp_path / "other")
    text = (tmp_path / "other" / "model.json").read_text()
    (tmp_path / "other" / "model.json").write_text(text.replace('"difficult"', '"Difficult"') + " ")
    other = run("evaluate", tmp_path / "other", *command[2:])
    assert "model.description_sha256 was" in str(other.exception)


def test_a_model_that_is_exchanged_during_the_run_is_noticed(model, photos, tmp_path, monkeypatch):
    from pfungst.evaluation import scoring

    shutil.copytree(model, tmp_path / "model")
    score = scoring.score_dataset

    def exchanging(*arguments, **options):
        (tmp_path / "model" / "arrays.safetensors").write_bytes(b"another")
        return score(*arguments, **options)

    monkeypatch.setattr(scoring, "score_dataset", exchanging)
    result = run("evaluate", tmp_path / "model", photos, "--workers", "1")
    assert "blobs" in result.stdout  # the numbers are those of the model that was loaded
    assert "was changed while it was in use (arrays_sha256 differ)" in str(result.exception)


def test_ctrl_c_ends_command_and_workers_at_once(model, photos, tmp_path):
    out = tmp_path / "scores"
    code = "from pfungst.cli.main import run; run()"
    command = ["evaluate", str(model), str(photos), "--split", "all", "--workers", "2", "--out", str(out)]
    with (tmp_path / "errors").open("w") as errors:
        process = subprocess.Popen([sys.executable, "-c", code, *command], stderr=errors, stdout=errors)
        while not (out / "manifest.json").exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        start = time.monotonic()
        assert process.wait() == 130
    assert time.monotonic() - start < 10
    assert (tmp_path / "errors").read_text().strip().endswith("pfungst: interrupted")
    assert json.loads((out / "manifest.json").read_text())["state"] == "stopped"
    assert run(*command[:4], "all", "--workers", "1", "--out", out).exit_code == 0

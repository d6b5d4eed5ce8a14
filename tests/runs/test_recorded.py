import dataclasses
import json
import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from pfungst.contract.storage import ModelFolder, model_identity, write_model_folder
from pfungst.errors import ConfigError, DataError, ModelError, PfungstError
from pfungst.images import Box, DataSet, Record
from pfungst.runs.identity import data_identity, unchanged_model
from pfungst.runs.machine import machine_kind
from pfungst.runs.manifest import library_versions, read_manifest
from pfungst.runs.recorded import Finished, open_run, run_items


def length(path):
    text = path.read_text()
    if text == "bad":
        raise PfungstError("a bad file")
    arrays = {"letters": np.frombuffer(text.encode(), np.uint8), "none": np.zeros((0, 2))}
    return Finished(record={"image": path.stem, "length": len(text)}, arrays=arrays)


@pytest.fixture
def texts(tmp_path):
    paths = [tmp_path / f"{name}.txt" for name in "abcd"]
    for position, path in enumerate(paths):
        path.write_text("x" * (position + 1))
    return paths


def go(texts, out=None, seed=1, **options):
    keys = [path.stem for path in texts]
    return run_items(length, texts, keys=keys, files=texts, configuration={"seed": seed}, out=out, **options)


def test_the_manifest_says_what_was_run_and_what_failed(texts, tmp_path):
    texts[1].write_text("bad")
    run = go(texts, tmp_path / "run", problems=["e.txt: no such file"])
    manifest = read_manifest(run.folder)
    assert manifest["counts"] == {"items": 4, "finished": 3, "failures": 1, "problems": 1}
    assert manifest["failures"] == [{"item": "b", "reason": "a bad file."}]
    assert manifest["problems"] == ["e.txt: no such file"]
    assert manifest["configuration"] == {"seed": 1, "machines": [machine_kind()]}
    assert manifest["versions"] == library_versions()
    assert {"python", "pfungst", "numpy", "torch"} <= manifest["versions"].keys()
    assert run.records() == [{"image": name, "length": n} for name, n in (("a", 1), ("c", 3), ("d", 4))]
    assert run.arrays("c")["letters"].tobytes() == b"xxx"
    assert run.arrays("c")["none"].shape == (0, 2)
    assert run.arrays("b") == {}


def test_what_failed_is_tried_again_and_what_is_finished_is_not(texts, tmp_path):
    texts[1].write_text("bad")
    go(texts, tmp_path / "run")
    texts[1].write_text("mended")
    told = []
    run = go(texts, tmp_path / "run", progress=lambda *step: told.append(step[1:]))
    assert told == [(3, 4), (4, 4)]
    assert [record["image"] for record in run.records()] == list("abcd")
    assert read_manifest(run.folder)["counts"]["failures"] == 0
    assert [record["length"] for record in open_run(run.folder).records()] == [1, 3, 4, 6]


def test_a_photo_that_has_changed_since_is_refused(texts, tmp_path):
    go(texts, tmp_path / "run")
    state = texts[0].stat()
    os.utime(texts[0], ns=(0, 0))  # a copy of the same content: only its time differs
    go(texts, tmp_path / "run")
    texts[0].write_text("y")  # the same size
    texts[2].write_text("longer than before")
    texts[3].unlink()
    with pytest.raises(DataError, match=r"a\.txt: has changed since this run .*\(and 2 more\)\. Allowed"):
        go(texts, tmp_path / "run")
    assert state.st_size == 1


def test_another_configuration_is_refused_and_nothing_changes(texts, tmp_path):
    go(texts, tmp_path / "run")
    before = (tmp_path / "run" / "manifest.json").read_bytes()
    with pytest.raises(ConfigError, match="seed was 1, is now 2"):
        go(texts, tmp_path / "run", seed=2)
    assert (tmp_path / "run" / "manifest.json").read_bytes() == before
    with pytest.raises(ConfigError, match="the same name"):
        run_items(length, texts, keys=list("aabc"), configuration={})


def test_numbers_of_another_kind_of_machine_are_not_mixed_in(texts, tmp_path):
    """The same computer, told to compute as an older one does."""
    code = "from pfungst.runs.machine import machine_kind; print(machine_kind())"
    seen = {}
    for kernel in ("Nehalem", "Haswell"):
        environment = os.environ | {"OPENBLAS_CORETYPE": kernel}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        seen[kernel] = done.stdout
    if "openblas" not in seen["Haswell"] or platform.machine() != "x86_64":
        pytest.skip("no OpenBLAS for this processor")
    assert seen["Nehalem"] != seen["Haswell"]
    go(texts, tmp_path / "run")
    other = "x86_64 X86_V2, openblas Nehalem"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("pfungst.runs.executor.machine_kind", lambda: other)
        with pytest.raises(
            ConfigError,
            match=r"is now \[\"x86_64 X86_V2, openblas Nehalem\"\].* Try: a machine of the same kind",
        ):
            go(texts, tmp_path / "run")


def refused(path):
    raise ConfigError("a wrong option")


def test_a_wrong_option_stops_the_run(texts, tmp_path):
    with pytest.raises(ConfigError, match="a wrong option"):
        run_items(refused, texts, keys=list("abcd"), configuration={}, out=tmp_path / "run")
    assert read_manifest(tmp_path / "run")["state"] == "stopped"


def test_a_temporary_run_leaves_nothing(texts, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with go(texts) as run:
        assert run.arrays("d")["letters"].size == 4
    with pytest.raises(ConfigError):
        run_items(refused, texts, keys=list("abcd"), configuration={})
    assert not list((tmp_path / "temporary").iterdir())


def test_manifests_are_checked(tmp_path):
    with pytest.raises(DataError, match="is no run: it has no manifest"):
        read_manifest(tmp_path)
    for content, message in (
        ("{", "cannot be read"),
        ("[]", "is not the manifest of a run"),
        (json.dumps({"format": "pfungst-run", "version": 9}), "format version 9. Allowed: 1"),
    ):
        (tmp_path / "manifest.json").write_text(content)
        with pytest.raises(DataError, match=message):
            read_manifest(tmp_path)


def dataset(tmp_path, **changes):
    box = Box(class_name="cat", left=1, top=2, right=3, bottom=4)
    record = Record(id="a", path=tmp_path / "a.png", positive=frozenset({"cat"}), boxes=(box,))
    record = dataclasses.replace(record, **changes)
    return DataSet(name="one", root=tmp_path, classes=("cat", "dog"), records=(record,))


def test_data_are_the_same_wherever_they_lie_and_others_with_any_other_label(tmp_path):
    same = data_identity(dataset(tmp_path))
    assert data_identity(dataset(tmp_path / "elsewhere")) == same
    moved = Box(class_name="cat", left=1, top=2, right=3, bottom=5)
    for changes, field in (
        ({"id": "b"}, "ids_sha256"),
        ({"positive": frozenset({"dog"})}, "annotations_sha256"),
        ({"difficult": frozenset({"dog"})}, "annotations_sha256"),
        ({"boxes": (moved,)}, "annotations_sha256"),
    ):
        other = data_identity(dataset(tmp_path, **changes))
        assert {name for name in same if same[name] != other[name]} == {field}


def test_a_model_that_is_exchanged_while_in_use_is_noticed(tmp_path):
    def write(value, **config):
        arrays = {"weights": np.full(3, value, np.float32)}
        return write_model_folder(tmp_path / "model", ModelFolder(kind="own", config=config, arrays=arrays))

    folder = write(1.0)
    before = model_identity(folder)
    with unchanged_model(folder):
        assert model_identity(folder) == before
    with (
        pytest.raises(ModelError, match=r"in use \(description_sha256, arrays_sha256 differ"),
        unchanged_model(folder),
    ):
        write(2.0)
    with pytest.raises(ModelError, match=r"\(description_sha256 differ\)"), unchanged_model(folder):
        write(2.0, threshold=3)
    with (
        pytest.raises(ModelError, match=r"in use: .*has no model\.json"),
        unchanged_model(folder),
    ):
        (folder / "model.json").unlink()

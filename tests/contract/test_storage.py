import json
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from pfungst import __version__
from pfungst.contract import storage
from pfungst.contract.storage import (
    ModelFolder,
    file_sha256,
    is_model_folder,
    read_description,
    read_model_folder,
    require_arrays,
    write_model_folder,
)
from pfungst.errors import FileError, ModelError

CONTENT = ModelFolder(
    kind="fisher",
    config={"classes": ["cat", "Katze äöü"], "step": 3, "scale": 0.1},
    arrays={
        "w": np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32),
        "n": np.arange(4),
        "transposed": np.arange(6.0).reshape(2, 3).T,
    },
)


@pytest.fixture
def folder(tmp_path):
    return write_model_folder(tmp_path / "model", CONTENT)


def change(folder, **fields):
    file = folder / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def replace_arrays(folder, arrays):
    """New arrays under a checksum that fits."""
    save_file(arrays, folder / "arrays.safetensors")
    change(folder, arrays_sha256=file_sha256(folder / "arrays.safetensors"))


def test_what_was_written_is_read(folder):
    found = read_model_folder(folder, kind="fisher")
    assert (found.kind, found.config) == (CONTENT.kind, CONTENT.config)
    assert found.arrays.keys() == CONTENT.arrays.keys()
    for name, array in CONTENT.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)
    assert sorted(path.name for path in folder.iterdir()) == ["arrays.safetensors", "model.json"]
    assert is_model_folder(folder)
    assert not is_model_folder(folder.parent)


def test_an_old_model_is_replaced(folder):
    write_model_folder(folder, ModelFolder(kind="network", config={}, arrays={"b": np.ones(2)}))
    assert read_model_folder(folder).kind == "network"
    assert [path.name for path in folder.parent.iterdir()] == ["model"], "no leftovers"


def test_the_old_model_stays_if_the_new_one_cannot_be_put_in_place(folder, monkeypatch):
    real = Path.rename

    def failing(source, target):
        if target == folder and source.name.endswith("new"):
            raise PermissionError(13, "no")
        return real(source, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(FileError, match=r"cannot be written \(no\)"):
        write_model_folder(folder, ModelFolder(kind="network", config={}, arrays={}))
    assert read_model_folder(folder).kind == "fisher"
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("move", range(3))
def test_killed_at_any_move_there_is_a_whole_model(folder, monkeypatch, move, before):
    real, moves = Path.rename, []

    def killing(source, target):
        moves.append(target)
        killed = len(moves) == move + 1
        if killed and before:
            raise Killed
        real(source, target)
        if killed:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", killing)
        patched.setattr("shutil.rmtree", lambda *_, **__: None)  # who is killed does not tidy up
        with pytest.raises(Killed):
            write_model_folder(folder, ModelFolder(kind="network", config={}, arrays={}))
    assert read_model_folder(folder).kind == (
        "network" if move == 2 or (move == 1 and not before) else "fisher"
    )
    write_model_folder(folder, ModelFolder(kind="again", config={}, arrays={}))
    assert read_model_folder(folder).kind == "again"
    left = [path.name for path in folder.parent.iterdir() if f"part-{os.getpid()}" not in path.name]
    assert left == ["model"]


def test_what_killed_processes_left_is_swept(folder):
    dead = folder.parent / ".model.part-999999999"
    dead.mkdir()
    alive = folder.parent / ".model.part-1"
    alive.mkdir()
    write_model_folder(folder, CONTENT)
    assert not dead.exists()
    assert alive.exists()


def test_a_model_that_another_process_puts_in_place(folder, monkeypatch):
    """A reader between the two moves; the writer goes on."""
    real = Path.rename

    def reading(source, target):
        if source.name.endswith("new"):
            patched.undo()
            assert read_model_folder(folder).kind == "network"
        return real(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", reading)
        write_model_folder(folder, ModelFolder(kind="network", config={}, arrays={}))
    assert read_model_folder(folder).kind == "network"


def test_everyone_may_read_what_the_umask_lets_them(tmp_path):
    before = os.umask(0o022)
    try:
        folder = write_model_folder(tmp_path / "model", CONTENT)
        modes = {path.name: path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())}
        os.umask(0o077)
        private = write_model_folder(tmp_path / "private", CONTENT)
        assert {path.stat().st_mode & 0o077 for path in (private, *private.iterdir())} == {0}
    finally:
        os.umask(before)
    assert modes == {"model": 0o755, "arrays.safetensors": 0o644, "model.json": 0o644}


def test_a_link_goes_on_pointing_to_the_model(folder, tmp_path):
    link = tmp_path / "sub" / "link"
    link.parent.mkdir()
    link.symlink_to(folder)
    write_model_folder(link, ModelFolder(kind="network", config={}, arrays={}))
    assert link.is_symlink()
    assert read_model_folder(folder).kind == "network"


def test_nothing_else_is_overwritten(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("")
    (tmp_path / "file").write_text("")
    for name in ("photos", "file"):
        with pytest.raises(ModelError, match=r"exists and is not a Pfungst model, so it is not overwritten"):
            write_model_folder(tmp_path / name, CONTENT)
    (tmp_path / "empty").mkdir()
    write_model_folder(tmp_path / "empty", CONTENT)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite_content_is_not_written(tmp_path, bad):
    with pytest.raises(ModelError, match="array 'w' holds NaN or infinity"):
        write_model_folder(tmp_path / "m", ModelFolder(kind="x", config={}, arrays={"w": np.array([bad])}))
    for value in (bad, np.float32(1), object()):
        with pytest.raises(ModelError, match="the model's config is not plain, finite JSON"):
            write_model_folder(tmp_path / "m", ModelFolder(kind="x", config={"a": value}, arrays={}))
    assert list(tmp_path.iterdir()) == []


def test_missing_folder_or_files(folder, tmp_path):
    with pytest.raises(ModelError, match=r"absent: no such model folder\. Try: a folder that"):
        read_model_folder(tmp_path / "absent")
    with pytest.raises(ModelError, match=r"has no model\.json"):
        read_model_folder(tmp_path)
    (folder / "arrays.safetensors").unlink()
    with pytest.raises(ModelError, match=r"model: has no arrays\.safetensors"):
        read_model_folder(folder)


def test_wrong_kind(folder):
    with pytest.raises(ModelError, match=r"is a model of kind 'fisher'\. Allowed: network\."):
        read_model_folder(folder, kind="network")


def test_damaged_array_file(folder):
    file = folder / "arrays.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        read_model_folder(folder)
    assert str(caught.value) == (
        f"{file}: is damaged: its SHA-256 is not the one that model.json states. Try: the model's original "
        "copy, or train again."
    )


@pytest.mark.parametrize("content", [b"", b"12345678", b"\xff" * 100, b"\x02\0\0\0\0\0\0\0{}" + b"x"])
def test_array_file_that_is_none(folder, content):
    (folder / "arrays.safetensors").write_bytes(content)
    change(folder, arrays_sha256=file_sha256(folder / "arrays.safetensors"))
    with pytest.raises(ModelError, match="is not a readable safetensors file"):
        read_model_folder(folder)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_not_finite_arrays_are_refused(folder, bad, dtype):
    replace_arrays(folder, {"fine": np.ones(2), "w": np.array([1, bad], dtype=dtype)})
    with pytest.raises(ModelError, match=r"arrays\.safetensors: array 'w' holds NaN or infinity\. Try: the"):
        read_model_folder(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not readable JSON ("),
        ("[" * 100_000, "is not readable JSON ("),
        ('{"format": "pfungst-model", "config": {"a": NaN}}', "is not readable JSON (it holds NaN)"),
        ("[]", 'is not the description of a Pfungst model. Allowed: "format": "pfungst-model"'),
        ('{"format": "other"}', "is not the description of a Pfungst model"),
        ('{"format": "pfungst-model"}', "has format version None. Allowed: 1 to 1"),
        ('{"format": "pfungst-model", "version": 0}', "has format version 0. Allowed: 1 to 1"),
        ('{"format": "pfungst-model", "version": "1"}', "has format version '1'. Allowed: 1 to 1"),
        ('{"format": "pfungst-model", "version": true}', "has format version True. Allowed: 1 to 1"),
        ('{"format": "pfungst-model", "version": 1, "kind": "x"}', "lacks its kind or its config"),
    ],
)
def test_broken_description(folder, text, message):
    (folder / "model.json").write_text(text)
    with pytest.raises(ModelError) as caught:
        read_description(folder)
    assert f"{folder}/model.json: {message}" in str(caught.value)


def test_description_that_is_no_text(folder):
    (folder / "model.json").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ModelError, match="is not readable JSON"):
        read_description(folder)


def test_newer_version_says_so(folder):
    change(folder, version=2)
    with pytest.raises(ModelError) as caught:
        read_model_folder(folder)
    assert f"has format version 2, newer than this pfungst {__version__} reads. Allowed: 1 to 1." in str(
        caught.value
    )
    assert str(caught.value).endswith("Try: a newer release of pfungst.")


def test_huge_description_is_not_loaded(folder, monkeypatch):
    monkeypatch.setattr(storage, "_MAX_DESCRIPTION_BYTES", 10)
    with pytest.raises(ModelError, match="too large for a model description"):
        read_description(folder)


def test_required_arrays():
    require_arrays("m", {"a": np.ones(1)}, ["a"])
    with pytest.raises(ModelError, match=r"m: lacks the arrays b, c\."):
        require_arrays("m", {"a": np.ones(1)}, ["a", "b", "c"])

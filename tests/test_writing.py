import errno
import os
import stat

import numpy as np
import pytest

from pfungst import writing
from pfungst.errors import FileError
from pfungst.writing import remove_folder, reserve, whole_file, write_whole, write_with


def test_a_file_is_written_with_its_folder(tmp_path):
    target = write_whole(tmp_path / "new" / "folder" / "a.txt", "ä\n")
    assert target.read_bytes() == "ä\n".encode()
    assert write_whole(target, b"bytes").read_bytes() == b"bytes"
    assert write_with(target, lambda stream: stream.write(b"stream")).read_bytes() == b"stream"
    assert [path.name for path in target.parent.iterdir()] == ["a.txt"]


def test_half_a_file_is_never_seen(tmp_path, monkeypatch):
    target = write_whole(tmp_path / "a.txt", "before")

    def full(stream, content):
        stream.write(content[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing, "write_all", full)
    with pytest.raises(FileError, match=r"a\.txt: cannot be written \(No space left .*Try: more free space"):
        write_whole(target, "after")
    assert target.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_what_fails_in_the_block_leaves_nothing(tmp_path):
    def interrupted():
        with whole_file(tmp_path / "a.bin") as part:
            part.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
    with whole_file(tmp_path / "a.bin") as part:
        part.write_bytes(b"whole")
    assert (tmp_path / "a.bin").read_bytes() == b"whole"


def test_modes_are_those_of_any_new_file(tmp_path):
    from safetensors.numpy import save_file

    before = os.umask(0o027)
    try:
        with whole_file(tmp_path / "a") as part:
            save_file({"x": np.ones(2)}, part)  # writes files that nobody else may read
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_names_as_long_as_any_and_of_any_bytes(tmp_path):
    for name in ("x" * 255, os.fsdecode(b"\xff\xe9" * 120)):
        assert write_whole(tmp_path / name, b"1").read_bytes() == b"1"
    with pytest.raises(FileError, match="File name too long"):
        write_whole(tmp_path / ("x" * 256), b"1")


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "a", tmp_path):
        with pytest.raises(FileError, match="cannot be written"):
            write_whole(place, b"1")


def test_a_folder_is_renamed_before_it_is_emptied(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a").write_text("1")

    class Killed(BaseException):
        pass

    def killed(_folder):
        raise Killed

    monkeypatch.setattr("shutil.rmtree", killed)
    with pytest.raises(Killed):
        remove_folder(folder)
    assert not folder.exists()
    monkeypatch.undo()
    (folder / "again").mkdir(parents=True)
    remove_folder(folder)
    remove_folder(folder)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fallback", [False, True])
def test_space_is_taken_at_once(tmp_path, monkeypatch, fallback):
    if fallback:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    file = tmp_path / "new" / "a"
    reserve(file, 3 * 2**20 + 5)
    assert file.stat().st_size == 3 * 2**20 + 5
    assert file.stat().st_blocks * 512 >= file.stat().st_size
    reserve(file, 0)
    assert file.stat().st_size == 0


def test_no_room_is_said_and_nothing_is_left(small_disk):
    file = small_disk / "a"
    with pytest.raises(
        FileError, match=r"cannot be written \(No space left on device\)\. Try: more free space"
    ):
        reserve(file, 2**20)
    assert not file.exists()

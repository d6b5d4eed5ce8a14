"""Space on the disk is reserved before a file is written through a memory map."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import numpy as np
import pytest
from pfungst.runs.files import reserve_space

from pfungst.errors import FileError
from pfungst.runs import files


def sparse(path, length=3 * 2**20):
    with path.open("wb") as stream:
        stream.write(b"head")
        stream.truncate(length)
    return path


def blocks(path):
    return path.stat().st_blocks * 512


@pytest.fixture
def own_disk(tmp_path):
    """A file system of 2 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no right to mount a file system")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.parametrize("has_call", [True, False])
def test_the_space_is_taken_and_the_content_stays(tmp_path, monkeypatch, has_call):
    if not has_call:
        monkeypatch.delattr(os, "posix_fallocate")
    path = sparse(tmp_path / "array")
    assert blocks(path) < 2**20
    reserve_space(path)
    assert blocks(path) >= 3 * 2**20
    assert path.stat().st_size == 3 * 2**20
    assert path.read_bytes()[:5] == b"head\0"


def test_a_file_system_without_the_call(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(os, "posix_fallocate", refused)
    path = sparse(tmp_path / "array")
    reserve_space(path)
    assert blocks(path) >= 3 * 2**20


@pytest.mark.parametrize("has_call", [True, False])
def test_a_full_disk_is_the_usual_error_and_leaves_no_file(tmp_path, monkeypatch, has_call):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if has_call:
        monkeypatch.setattr(os, "posix_fallocate", full)
    else:
        monkeypatch.delattr(os, "posix_fallocate")
        monkeypatch.setattr(files, "write_all", full)
    path = sparse(tmp_path / "array")
    with pytest.raises(
        FileError, match=r"array: cannot be written \(No space.*more free space, then the same"
    ):
        reserve_space(path)
    assert not path.exists()


@pytest.mark.parametrize("has_call", [True, False])
def test_on_a_disk_that_is_too_small(own_disk, monkeypatch, has_call):
    if not has_call:
        monkeypatch.delattr(os, "posix_fallocate")
    with pytest.raises(FileError, match="more free space"):
        reserve_space(sparse(own_disk / "array"))
    assert not list(own_disk.iterdir())


def test_a_training_on_a_full_disk_says_so_and_is_not_killed(own_disk, tmp_path):
    """The photos' own records fit, the one array of all descriptors does not."""
    from PIL import Image

    generator = np.random.default_rng(0)
    for split in ("train", "val"):
        for kind in ("a", "b"):
            (tmp_path / "set" / split / kind).mkdir(parents=True)
            for number in range(2):
                noise = generator.integers(0, 256, (60, 60, 3), dtype=np.uint8)
                Image.fromarray(noise).save(tmp_path / "set" / split / kind / f"{split}{kind}{number}.png")
    command = [
        sys.executable, "-c", "from pfungst.cli.main import run; run()",
        "train", "fisher", tmp_path / "set", "--out", own_disk / "m",
        "--components", "2", "--dims", "4", "--step", "3", "--samples", "2200", "--workers", "1",
    ]  # fmt: skip
    done = subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True)
    assert done.returncode > 0, done.stderr  # not by a signal
    assert "more free space, then the same command again" in " ".join(done.stderr.split())

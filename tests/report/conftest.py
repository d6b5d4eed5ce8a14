"""One example audit for all tests of pages."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pfungst.audit.schema import Audit
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

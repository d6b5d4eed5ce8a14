"""``import pfungst as pf``: few names, loaded when they are used."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import pfungst


def printed_by(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_importing_is_quick_and_loads_nothing_heavy():
    seconds, *heavy = printed_by(
        "import sys, time; start = time.process_time(); import pfungst; used = time.process_time() - start; "
        "print(used, *[name for name in ('numpy', 'torch', 'scipy', 'PIL') if name in sys.modules])"
    ).split()
    assert not heavy
    assert float(seconds) < 0.3


def test_photos_and_fisher_vectors_do_without_torch():
    code = (
        "import sys, pfungst as pf; pf.open_dataset, pf.train_fisher, pf.load; print('torch' in sys.modules)"
    )
    assert printed_by(code).strip() == "False"


@pytest.mark.parametrize("name", sorted(pfungst._HOMES))
def test_every_name_can_be_had_and_has_a_docstring(name):
    assert getattr(pfungst, name).__doc__


def test_the_stub_says_what_the_door_does():
    stub = Path(pfungst.__file__).with_name("__init__.pyi").read_text(encoding="utf-8")
    stated = {
        name: home
        for home, name, again in re.findall(r"from (\S+) import (\w+) as (\w+)", stub)
        if name == again
    }
    assert stated == pfungst._HOMES


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = pfungst.nothing

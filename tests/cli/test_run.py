import json
import math
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from pfungst import __version__
from pfungst.cli import _run
from pfungst.cli.main import app
from pfungst.errors import FileError, PfungstError


def command(*arguments, code="from pfungst.cli.main import run; run()"):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments], capture_output=True, text=True, check=False
    )


def test_an_error_is_one_message_and_exit_code_1(tmp_path):
    result = command("data", "check", str(tmp_path / "absent"))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"pfungst: {tmp_path}/absent: no such folder or file.\n"


def test_debug_shows_the_traceback(tmp_path):
    result = command("--debug", "data", "check", str(tmp_path / "absent"))
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "DataError" in result.stderr


def test_wrong_usage_is_exit_code_2():
    for arguments in (["nonsense"], ["data", "check"], ["--nonsense"]):
        assert command(*arguments).returncode == 2


def test_interrupt_is_exit_code_130():
    interrupted = "\n".join(
        [
            "from pfungst.cli import main",
            "@main.app.command('stop')",
            "def stop(): raise KeyboardInterrupt",
            "main.run()",
        ]
    )
    result = command("stop", code=interrupted)
    assert result.returncode == 130
    assert result.stderr.strip() == "pfungst: interrupted"


def test_a_request_to_end_is_exit_code_143():
    ending = "\n".join(
        [
            "import os, signal, time",
            "from pfungst.cli import main",
            "@main.app.command('stop')",
            "def stop():",
            "    os.kill(os.getpid(), signal.SIGTERM)",
            "    time.sleep(5)",
            "main.run()",
        ]
    )
    result = command("stop", code=ending)
    assert result.returncode == 143
    assert result.stderr.strip() == "pfungst: stopped"


def test_help_loads_no_heavy_library():
    code = (
        "import sys, contextlib, io\n"
        "from pfungst.cli.main import app\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit): app(['--help'])\n"
        "print([name for name in ('torch', 'scipy', 'sklearn', 'skimage', 'matplotlib', 'numpy', 'PIL')"
        " if name in sys.modules])"
    )
    result = command(code=code)
    assert result.stdout.strip() == "[]", result.stderr


def test_version_and_help():
    runner = CliRunner()
    assert runner.invoke(app, ["--version"]).output == f"pfungst {__version__}\n"
    text = runner.invoke(app, ["data", "--help"]).output
    for name in ("check", "voc2007", "scenes"):
        assert name in text


def test_json_goes_to_a_file_or_to_standard_output(tmp_path, capsys):
    target = tmp_path / "new" / "numbers.json"
    _run.write_json(str(target), {"ä": 1})
    assert target.read_text(encoding="utf-8") == '{\n  "ä": 1\n}\n'
    _run.write_json("-", {"a": math.nan})
    assert json.loads(capsys.readouterr().out) == {"a": None}


def test_json_that_cannot_be_written(tmp_path):
    with pytest.raises(FileError, match=r"cannot be written \(Is a directory\)"):
        _run.write_json(str(tmp_path), {})
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be written"):
        _run.write_json(str(tmp_path / "file" / "x.json"), {})


def test_failures_are_listed_at_the_end(capsys):
    _run.finish([])
    assert capsys.readouterr().err == ""
    with pytest.raises(typer.Exit) as caught:
        _run.finish([PfungstError("It broke", hint="b"), "and that"])
    assert caught.value.exit_code == 3
    assert capsys.readouterr().err == "2 problems:\n  It broke. Try: b.\n  and that\n"


def test_lists_with_commas():
    assert _run.comma_list(None) is None
    assert _run.comma_list("horse, person ,,dog") == ("horse", "person", "dog")
    assert _run.comma_list("") == ()


def test_of_many_failures_the_first_are_listed(capsys):
    with pytest.raises(typer.Exit) as ended:
        _run.finish([f"photo {number}" for number in range(1, 31)])
    assert ended.value.exit_code == _run.EXIT_INCOMPLETE
    lines = capsys.readouterr().err.splitlines()
    assert (lines[0], lines[1], lines[20]) == ("30 problems:", "  photo 1", "  photo 20")
    assert lines[21:] == ["  and 10 more (--json lists all)"]

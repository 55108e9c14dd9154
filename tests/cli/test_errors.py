"""Errors become one message and one exit code; with --json one document."""

from __future__ import annotations

import errno

import pytest

from vla_cli import errors
from vla_cli.errors import translate
from vla_data.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    MissingDependencyError,
    SimError,
    UnknownNameError,
    VlaError,
)

CODES = [
    (VlaError("x"), 1),
    (SimError("x"), 1),
    (RuntimeError("x"), 1),
    (ConfigError("x"), 2),
    (UnknownNameError("task", "reech", ["reach"]), 2),
    (DataError("x"), 3),
    (CheckpointError("x"), 3),
    (MissingDependencyError("x"), 4),
    (ModuleNotFoundError("no", name="metaworld"), 4),
    (OSError(errno.ENOSPC, "No space left on device", "runs/x/y.bin"), 4),
    (KeyboardInterrupt(), 130),
]


@pytest.fixture
def failing(monkeypatch):
    """Make every command raise."""

    def arrange(error: BaseException) -> None:
        def call(_: object) -> int:
            raise error

        monkeypatch.setattr(errors, "_call", call)

    return arrange


@pytest.mark.parametrize(("error", "code"), CODES, ids=[f"{type(e).__name__}-{c}" for e, c in CODES])
def test_exit_codes(vla, failing, error, code):
    failing(error)
    ran = vla("report", "x")
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith("interrupted" if code == 130 else "error: ")
    assert "Traceback" not in ran.err
    assert "\x1b" not in ran.err


@pytest.mark.parametrize(("error", "code"), CODES, ids=[f"{type(e).__name__}-{c}" for e, c in CODES])
def test_errors_as_one_json_document(vla, failing, error, code):
    failing(error)
    ran = vla("report", "x", "--json")
    assert ran.code == code
    assert ran.document["error"]["exit_code"] == code
    assert set(ran.document["error"]) == {"type", "message", "where", "expected", "got", "next", "exit_code"}
    assert "error" not in ran.err


def test_an_unexpected_error_is_one_line_and_a_hint(vla, failing):
    failing(ZeroDivisionError("division by zero"))
    assert vla("report", "x").err.splitlines() == [
        "error: unexpected ZeroDivisionError: division by zero",
        "  next: run the command again with --debug to see where it happened",
    ]


@pytest.mark.parametrize("arguments", [["--debug", "report", "x"], ["report", "x", "--debug"]])
def test_debug_shows_the_traceback_wherever_it_stands(vla, failing, arguments):
    failing(ZeroDivisionError("division by zero"))
    ran = vla(*arguments)
    assert ran.code == 1
    assert "Traceback (most recent call last)" in ran.err


def test_debug_by_the_environment(vla, failing, monkeypatch):
    failing(DataError("broken"))
    monkeypatch.setenv("VLA_DEBUG", "1")
    assert "Traceback" in vla("report", "x").err
    monkeypatch.setenv("VLA_DEBUG", "0")
    assert "Traceback" not in vla("report", "x").err


def test_a_full_disk_names_the_file_and_says_what_to_do(vla, failing):
    failing(OSError(errno.ENOSPC, "No space left on device", "runs/x/y.bin"))
    ran = vla("report", "x")
    assert "no space is left on the disk" in ran.err
    assert "runs/x/y.bin" in ran.err
    assert "run the same command again" in ran.err


def test_a_file_that_cannot_be_written_is_named(vla, tmp_path):
    (tmp_path / "file").touch()
    ran = vla("eval", "metaworld", "--policy", "random", "--preset", "debug", "--out", tmp_path / "file")
    assert ran.code == 1
    assert str(tmp_path / "file") in ran.err
    assert "unexpected" not in ran.err


def test_a_missing_module_of_our_own_is_not_blamed_on_the_environment():
    assert translate(ModuleNotFoundError("no", name="vla_data.nothing")).exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["dta"], "did you mean 'data'?"),
        (["data", "inspct", "x"], "did you mean 'inspect'"),
        (["finetune"], "did you mean 'vla model finetune'?"),
        (["fit-vqvea"], "did you mean 'vla ts fit-vqvae'?"),
        (["qwertyuiop"], "choose one of: "),
        (["--debgu"], "did you mean '--debug'?"),
        (["report", "x", "--jsn"], "did you mean '--json'?"),
        (["data", "generate", "metaworld", "--out", "x", "--worker", "2"], "did you mean '--workers'?"),
        (["data", "inspect", "x", "--zzzz"], "vla data inspect --help"),
    ],
)
def test_the_nearest_name_is_offered(vla, arguments, said):
    ran = vla(*arguments)
    assert ran.code == 2
    assert said in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["report"], "missing argument 'RUN'"),
        (["data", "generate", "metaworld"], "missing option '--out'"),
        (["data", "generate", "metaworld", "--out", "x", "--episodes", "0"], "'--episodes'"),
        (["data", "generate", "metaworld", "--out", "x", "--episodes", "many"], "'--episodes'"),
        (["model", "finetune", "--data", "x", "--out", "y", "--head", "coeds"], "'codes'"),
        (["report", "a", "b"], "unexpected extra argument"),
    ],
)
def test_usage_errors_point_to_the_help(vla, arguments, said):
    ran = vla(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert " --help" in ran.err


def test_every_command_answers_a_wrong_option_with_one_json_document(vla, command_paths):
    assert len(command_paths) >= 10
    for words in command_paths:
        ran = vla(*words, "--no-such-option", "--json")
        assert ran.code == 2
        assert ran.document["error"]["where"] == " ".join(["vla", *words])


def test_json_after_a_double_dash_is_a_word(vla):
    ran = vla("report", "--", "--json")
    assert (ran.code, ran.out) == (3, "")

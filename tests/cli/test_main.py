"""The entry point: cached help, version, groups, streams."""

from __future__ import annotations

import io
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from vla_cli import __version__, help_cache
from vla_cli.main import EXIT_PIPE_CLOSED, HELP_DIRECTORY, cached_help, emphasise, main

GROUPS = ("data", "vision", "ts", "model", "prompt", "eval", "experiment", "serve", "sim")
HEAVY = ("torch", "tensorflow", "lightning", "pydantic", "numpy", "rich", "jaxtyping")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_every_shipped_help_text_equals_the_live_one():
    assert help_cache.stale(help_cache.live_texts(), Path(HELP_DIRECTORY)) == []


def test_a_changed_missing_or_left_over_help_text_is_named(tmp_path):
    (tmp_path / "vla.old.txt").write_text("left over")
    (tmp_path / "vla.txt").write_text("changed")
    assert help_cache.stale({"vla.txt": "live", "vla.data.txt": "x"}, tmp_path) == [
        "vla.data.txt",
        "vla.old.txt",
        "vla.txt",
    ]


def test_the_live_help_prints_what_the_cached_one_does(vla, monkeypatch):
    for words in ([], ["data"], ["data", "inspect"]):
        cached = vla(*words, "--help")
        with monkeypatch.context() as patch:
            patch.setattr("vla_cli.main.cached_help", lambda _: None)
            live = vla(*words, "--help")
        assert (live.code, live.out, live.err) == (0, cached.out, "")


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_group_has_help_on_standard_output(vla, flag):
    for group in GROUPS:
        ran = vla(group, flag)
        assert ran.code == 0
        assert ran.out.startswith(f"Usage: vla {group} ")
        assert ran.err == ""


def test_the_exit_codes_are_part_of_the_help(vla):
    for words in ("0 done", "1 failed", "2 usage", "3 data", "4 environment", "130 interrupted"):
        assert words in vla("--help").out


@pytest.mark.parametrize("words", [[], ["data"], ["vision"]])
def test_a_group_alone_is_a_usage_error_that_shows_the_help(vla, words):
    ran = vla(*words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("Usage: vla")


@pytest.mark.parametrize("words", [["..", "vla"], ["../help/vla"], [""], ["-x"], ["data.inspect"]])
def test_the_help_cache_reads_nothing_but_command_paths(words):
    assert cached_help(words) is None


def test_version(vla):
    assert vla("--version").out == f"vla {__version__}\n"
    assert vla("--version", "--json").document == {
        name: metadata.version(name) for name in ("vla-data", "vla-vision", "vla-ts", "vla-model", "vla-cli")
    }


def test_headings_are_bold_on_a_terminal_only(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    text = "Usage: vla\n\nOptions:\n  --x  a thing:\n"
    assert emphasise(text, io.StringIO()) == text
    bold = emphasise(text, Terminal())
    assert "\x1b[1mOptions:\x1b[0m" in bold
    assert bold.replace("\x1b[1m", "").replace("\x1b[0m", "") == text
    monkeypatch.setenv("NO_COLOR", "1")
    assert emphasise(text, Terminal()) == text


def test_help_and_version_import_nothing_heavy_cached_or_live():
    code = f"""
import sys
from vla_cli.main import main
from vla_cli.errors import run_live
groups = {GROUPS!r}
main(["--version"])
for words in ([], *([g] for g in groups), ["data", "inspect"], ["quickstart"]):
    assert main([*words, "--help"]) == 0
    assert "typer" not in sys.modules, words
for words in ([], *([g] for g in groups), ["data", "inspect"], ["quickstart"]):
    assert run_live([*words, "--help"]) == 0
assert "typer" in sys.modules
print(sorted(m for m in {HEAVY!r} if m in sys.modules), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "[]")


def test_a_reader_that_leaves_early_is_no_error():
    code = "import sys; from vla_cli.main import main; sys.exit(main(['--help']))"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.close()
    complaints = child.stderr.read()
    assert child.wait() == EXIT_PIPE_CLOSED
    assert complaints == b""
    child.stderr.close()


@pytest.mark.parametrize(
    ("shell", "sign"), [("bash", "COMPREPLY"), ("zsh", "#compdef vla"), ("fish", "complete")]
)
def test_completion_scripts(monkeypatch, capsys, shell, sign):
    monkeypatch.setenv("_VLA_COMPLETE", f"source_{shell}")
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 0
    assert sign in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "word", "offered"),
    [("vla da", 1, "data"), ("vla data insp", 2, "inspect"), ("vla data generate --ep", 3, "--episodes")],
)
def test_completion_offers_groups_commands_and_options(monkeypatch, capsys, line, word, offered):
    monkeypatch.setenv("_VLA_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(word))
    with pytest.raises(SystemExit):
        main([])
    assert capsys.readouterr().out.split() == [offered]

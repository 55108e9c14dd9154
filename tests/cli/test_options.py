"""Presets, files, `--set` and options: which wins, and the nearest name for a wrong one."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from vla_cli.options import given, locate, make_config, split_names
from vla_data.errors import MissingDependencyError


@dataclass(frozen=True)
class Fit:
    steps: int = 100
    device: str = "auto"


@dataclass(frozen=True)
class Config:
    tasks: tuple[str, ...] = ("reach",)
    fit: Fit = field(default_factory=Fit)


PRESETS = {"default": Config, "debug": lambda: Config(fit=Fit(steps=1))}


def test_from_weakest_to_strongest(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text("[fit]\nsteps = 2\ndevice = 'file'\n")
    assert make_config(PRESETS, "debug", None, None).fit == Fit(1)
    assert make_config(PRESETS, "debug", file, None).fit == Fit(2, "file")
    assert make_config(PRESETS, "debug", file, ["fit.steps=3"]).fit == Fit(3, "file")
    options = given(steps=4, device=None)
    assert make_config(PRESETS, "debug", file, ["fit.steps=3"], fit=options).fit == Fit(4, "file")


def test_options_that_were_not_used_change_nothing():
    assert make_config(PRESETS, "default", None, None, tasks=None, fit=given(device=None)) == Config()


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (None, None),
        ([], None),
        (["a,b"], ("a", "b")),
        (["a", "b , c"], ("a", "b", "c")),
        (["a,,b,"], ("a", "b")),
    ],
)
def test_names_by_comma_or_repeated(values, names):
    assert split_names(values) == names


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--preset", "debgu"], "did you mean 'debug'?"),
        (["--set", "episods=2"], "did you mean 'episodes'"),
        (["--set", "episodes=many"], "where: episodes"),
        (["--set", "episodes"], "key=value"),
        (["--config", "nowhere.toml"], "nowhere.toml"),
        (["--tasks", "reech"], "did you mean 'reach'?"),
    ],
)
def test_a_wrong_value_ends_with_2_and_leaves_nothing_behind(vla, tmp_path, arguments, said):
    out = tmp_path / "run"
    ran = vla("data", "generate", "metaworld", "--out", out, *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert not out.exists() or list(out.iterdir()) == []


def test_a_config_file_is_named_beside_its_wrong_key(vla, tmp_path):
    file = tmp_path / "c.toml"
    file.write_text("[policy]\nhaed = 'codes'\n")
    ran = vla("model", "finetune", "--data", "x", "--out", tmp_path / "run", "--config", file, "--json")
    assert ran.code == 2
    assert ran.document["error"]["message"] == "unknown key 'policy.haed'"
    assert ran.document["error"]["where"] == str(file)


def test_exactly_one_driver_is_evaluated(vla, tmp_path):
    for arguments in ([], ["--policy", "expert", "--checkpoint", tmp_path]):
        ran = vla("eval", "metaworld", "--out", tmp_path / "run", *arguments)
        assert ran.code == 2
        assert "exactly one of --checkpoint and --policy" in ran.err
    ran = vla("eval", "metaworld", "--out", tmp_path / "run", "--checkpoint", tmp_path / "absent")
    assert ran.code == 3


def test_a_simulator_that_is_not_installed_does_not_hide_the_others(vla, monkeypatch):
    def absent():
        raise MissingDependencyError("LIBERO is not installed", next_step="install vla-data[libero]")

    monkeypatch.setattr("vla_data.sim.libero_names.package_folder", absent)
    ran = vla("sim", "list", "--json")
    assert ran.code == 0
    assert {row["sim"] for row in ran.document} == {"metaworld", "tabletop"}
    assert "install vla-data[libero]" in ran.err
    assert vla("sim", "list", "libero").code == 4


def test_a_data_set_by_path_or_by_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "bridge").mkdir(parents=True)
    (tmp_path / "elsewhere" / "kuka").mkdir(parents=True)
    monkeypatch.delenv("VLA_DATA", raising=False)
    assert locate("bridge") == "data/bridge"
    assert locate("data/bridge") == "data/bridge"
    assert locate("kuka") == "kuka"
    monkeypatch.setenv("VLA_DATA", str(tmp_path / "elsewhere"))
    assert locate("kuka") == str(tmp_path / "elsewhere" / "kuka")


def test_the_tasks_of_a_simulator(vla):
    rows = vla("sim", "list", "metaworld", "--json").document
    assert len(rows) == 50
    assert {"sim", "task", "instruction"} == set(rows[0])
    assert "reach" in vla("sim", "list", "metaworld").out
    ran = vla("sim", "list", "metaworl")
    assert ran.code == 2
    assert "did you mean 'metaworld'?" in ran.err

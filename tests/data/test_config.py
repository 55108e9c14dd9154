"""Config: through JSON and back, changed by files and dotted keys, refused with the nearest names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_data.config import config_hash, from_dict, merge, read_config_file, resolve, to_dict
from vla_data.errors import ConfigError, UnknownNameError
from vla_data.normalize import NormStats
from vla_data.report import Section
from vla_data.runs import Manifest
from vla_data.types import Camera, InputSpec, RobotSpec, SubStep, Trial

PLAIN = st.dictionaries(st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.text(max_size=5))
SPECS: dict[type, dict[str, st.SearchStrategy]] = {
    RobotSpec: {},
    InputSpec: {},
    Camera: {},
    SubStep: {},
    Trial: {},
    NormStats: {},
    Section: {},
    Manifest: {"config": PLAIN, "summary": PLAIN},
}
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@dataclass(frozen=True)
class Optim:
    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.95)
    name: Literal["adamw", "sgd"] = "adamw"


@dataclass(frozen=True)
class Train:
    optim: Optim = field(default_factory=Optim)
    warm: Optim | None = None
    steps: int = 100
    tasks: tuple[str, ...] = ("reach",)
    out: Path | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    ema: bool = True


PRESETS = {"default": Train, "debug": lambda: Train(steps=2)}


@pytest.mark.parametrize("kind", SPECS)
def test_every_spec_survives_json(kind: type):
    @given(st.builds(kind, **SPECS[kind]))
    def check(value: object):
        # By their text, in which a NaN equals itself.
        assert repr(from_dict(kind, json.loads(json.dumps(to_dict(value))))) == repr(value)

    check()


@given(st.builds(Train, out=st.none() | st.text("abc/", min_size=1).map(Path)))
def test_configs_survive_json_and_keep_their_hash(config: Train):
    copy = from_dict(Train, json.loads(json.dumps(to_dict(config))))
    assert repr(copy) == repr(config)
    assert config_hash(copy) == config_hash(config)


def test_hash_tells_configs_apart_and_ignores_key_order():
    assert config_hash(Train(steps=1)) != config_hash(Train(steps=2))
    assert config_hash({"a": 1, "b": 2}) == config_hash({"b": 2, "a": 1})


@given(
    lr=FINITE,
    steps=st.integers(-(2**62), 2**62),
    ema=st.booleans(),
    tasks=st.lists(st.text("abc-", max_size=5)),
)
def test_overrides_set_what_they_name_and_nothing_else(lr: float, steps: int, ema: bool, tasks: list[str]):
    pairs = [
        f"optim.lr={lr!r}",
        f"steps={steps}",
        f"ema={str(ema).lower()}",
        f"tasks={json.dumps(tasks)}",
    ]
    expected = Train(optim=Optim(lr=lr), steps=steps, ema=ema, tasks=tuple(tasks))
    assert resolve(PRESETS, "default", overrides=pairs) == expected


def test_later_overrides_win_and_the_file_comes_between(tmp_path: Path):
    file = tmp_path / "c.toml"
    file.write_text('steps = 7\ntasks = ["a", "b"]\n[optim]\nlr = 1\n')
    config = resolve(PRESETS, "debug", file, ["steps=8", "steps=9", "optim.betas=[0.5, 1]"])
    assert config == Train(steps=9, tasks=("a", "b"), optim=Optim(lr=1.0, betas=(0.5, 1.0)))


def test_text_needs_no_quotes_where_text_is_wanted():
    assert resolve(PRESETS, "debug", overrides=["optim.name=sgd", "out=runs/a b"]) == Train(
        steps=2, optim=Optim(name="sgd"), out=Path("runs/a b")
    )


def test_a_nested_config_that_is_none_can_be_set():
    assert merge(Train(), {"warm": {"lr": 2}}).warm == Optim(lr=2.0)


@pytest.mark.parametrize(
    ("pair", "match"),
    [("optim.lrr=1", "optim.lr"), ("setps=1", "steps"), ("optim.name=adamv", "adamw")],
)
def test_unknown_keys_and_choices_name_the_nearest(pair: str, match: str):
    with pytest.raises(UnknownNameError) as caught:
        resolve(PRESETS, "default", overrides=[pair])
    assert caught.value.matches[0] == match


def test_unknown_preset_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'debug'"):
        resolve(PRESETS, "debgu")


@pytest.mark.parametrize(
    ("pair", "where"),
    [
        ("steps=1.5", "steps"),
        ("steps=true", "steps"),
        ("ema=1", "ema"),
        ("optim.lr=fast", "optim.lr"),
        ("optim.lr=true", "optim.lr"),
        ("optim.betas=[1]", "optim.betas"),
        ("tasks=reach", "tasks"),
        ("tasks=[1]", "tasks[0]"),
        ("weights.a=x", "weights.a"),
        ("optim=3", "optim"),
        ("steps", "--set"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(pair: str, where: str):
    with pytest.raises(ConfigError) as caught:
        resolve(PRESETS, "default", overrides=[pair])
    assert caught.value.where == where
    assert caught.value.got is not None


def test_a_choice_comes_back_as_declared():
    action = {"dims": [], "control_hz": 5, "gripper_closes": True}
    robot = from_dict(RobotSpec, {"name": "arm", "action": action})
    assert robot.action.gripper_closes is not True


def test_a_missing_required_key_is_named():
    with pytest.raises(ConfigError) as caught:
        from_dict(Trial, {"task": "reach", "seed": 1}, where="trials[3]")
    assert caught.value.where == "trials[3].instruction"


@pytest.mark.parametrize("data", [None, [], ["stage"], "stage", 3])
def test_what_is_not_a_mapping_is_refused(data: Any):
    with pytest.raises(ConfigError):
        from_dict(Trial, data, where="file.json")


def test_mapping_keys_are_checked_too():
    with pytest.raises(ConfigError):
        from_dict(Train, {"weights": {3: 1.0}})


@pytest.mark.parametrize("text", ["steps = ", "{", "\x00"])
@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_a_broken_config_file_is_named(tmp_path: Path, text: str, suffix: str):
    file = tmp_path / f"c{suffix}"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_config_file(file)
    assert caught.value.where == str(file)


def test_an_absent_config_file_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config_file(tmp_path / "none.toml")


@pytest.mark.parametrize("content", ["[1, 2]", "3", "null"])
def test_a_config_file_must_hold_a_mapping(tmp_path: Path, content: str):
    file = tmp_path / "c.json"
    file.write_text(content)
    with pytest.raises(ConfigError):
        resolve(PRESETS, "default", file)

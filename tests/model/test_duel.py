"""Two policies until they can be told apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vla_data.errors import ConfigError
from vla_model.driving import BLOCK
from vla_model.duel import duel
from vla_model.eval_config import Arm, EvalConfig
from vla_model.statistics import anytime_p

CONFIG = EvalConfig(tasks=("reach",), trials=40, max_steps=80)
EXPERT, RANDOM = Arm("first", "expert"), Arm("second", "random")


def test_what_differs_much_is_told_apart_by_few(tmp_path: Path):
    summary, sections = duel(EXPERT, RANDOM, CONFIG, tmp_path, workers=1)
    assert summary["better"] == "first"
    assert summary["p"] <= 0.05
    assert summary["placements"] < 40
    assert summary["placements"] % BLOCK == 0
    assert sections[0].title == "Duel"
    tried = summary["placements"]
    assert summary["p"] == anytime_p([1] * summary["first"] + [0] * (tried - summary["first"]), [0] * tried)
    again, _ = duel(EXPERT, RANDOM, CONFIG, tmp_path, workers=1)
    assert again == summary


def test_what_is_alike_is_tried_to_the_end(tmp_path: Path):
    few = replace(CONFIG, trials=7)
    summary, _ = duel(Arm("first", "random"), RANDOM, few, tmp_path, workers=1)
    assert summary["better"] is None
    assert (summary["placements"], summary["p"]) == (7, 1.0)


def test_nothing_is_that_sure(tmp_path: Path):
    for sure in (0.0, 1.0, -1.0):
        with pytest.raises(ConfigError):
            duel(EXPERT, RANDOM, CONFIG, tmp_path, sure=sure)

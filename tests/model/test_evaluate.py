"""The evaluation's bookkeeping, driven by policies that need no training."""

import json
from collections import Counter
from pathlib import Path

import pytest

from vla_data.errors import ConfigError, UnknownNameError
from vla_data.report import Table, Text
from vla_data.sim import instructions, sub_tasks
from vla_data.sim.placements import split_of
from vla_model.driving import trials_of
from vla_model.eval_config import WAYS, Arm, EvalConfig, differing
from vla_model.eval_report import describe, run_evaluation
from vla_model.evaluate import evaluate
from vla_model.prompt.episodes import split_instruction

TASKS = ("reach", "window-open", "drawer-open")
CONFIG = EvalConfig(tasks=("reach",), trials=7, max_steps=80)
ARMS = (Arm("expert", "expert"), Arm("random", "random"))


def test_placements_are_of_the_eval_split_and_shared_by_all_arms():
    config = EvalConfig(tasks=TASKS, trials=4)
    arms = [Arm(w, "expert", w) for w in ("train", "unseen", "permuted")]
    seeds = [[t.seed for t in trials_of(arm, config, "reach", 0, 4)] for arm in arms]
    assert seeds[0] == seeds[1] == seeds[2]
    assert {split_of(s) for s in seeds[0]} == {"eval"}


def test_wordings_say_what_their_names_promise():
    config = EvalConfig(tasks=TASKS, trials=8)
    for task in TASKS:
        trained = set(instructions("metaworld", task, "train"))
        unseen = {t.instruction for t in trials_of(Arm("a", "expert", "unseen"), config, task, 0, 8)}
        assert unseen
        assert not unseen & trained
        told = Counter(t.instruction for t in trials_of(Arm("a", "expert", "permuted"), config, task, 0, 8))
        others = {instructions("metaworld", t, "train")[0] for t in TASKS if t != task}
        assert set(told) == others


def test_checklists_are_those_of_the_task_that_is_told():
    config = EvalConfig(tasks=TASKS, trials=2, checklists=True)
    (first, _) = trials_of(Arm("a", "expert"), config, "window-open", 0, 2)
    task, listed = split_instruction(first.instruction)
    assert task == instructions("metaworld", "window-open", "train")[0]
    assert [t.text for t in listed] == list(sub_tasks("metaworld", "window-open"))
    assert not any(t.done for t in listed)
    (other, _) = trials_of(Arm("a", "expert", "permuted"), config, "window-open", 0, 2)
    assert "window" not in other.instruction
    assert sub_tasks("tabletop", "watch") == ()


def test_outcomes_do_not_depend_on_workers_and_survive_an_interruption(tmp_path: Path):
    one = evaluate(ARMS, CONFIG, tmp_path / "one", workers=1)
    two = evaluate(ARMS, CONFIG, tmp_path / "two", workers=2)
    assert one == two
    assert one.rate("expert") > one.rate("random")
    kept = tmp_path / "two" / "records" / "expert" / "reach-0000.json"
    kept_at = kept.stat().st_mtime_ns
    (tmp_path / "two" / "records" / "random" / "reach-0005.json").unlink()
    assert evaluate(ARMS, CONFIG, tmp_path / "two", workers=1) == one
    assert kept.stat().st_mtime_ns == kept_at


def test_the_table_carries_counts_and_intervals(tmp_path: Path):
    summary, sections = run_evaluation(ARMS, CONFIG, tmp_path, workers=1)
    assert summary["expert"]["reach"].endswith("/7")
    table = json.loads((tmp_path / "results.json").read_text())["table"]
    for row in table:
        assert row["low"] <= row["successes"] / row["trials"] <= row["high"]
    assert [s.title for s in sections] == ["Closed-loop success"]
    shown = next(b for b in sections[0].blocks if isinstance(b, Table))
    assert shown.columns == ("", "expert", "random")
    assert [row[0] for row in shown.rows] == ["reach", "all"]
    assert shown.rows[0][1].startswith(summary["expert"]["reach"])
    assert describe(ARMS, CONFIG, evaluate(ARMS, CONFIG, tmp_path), [], tmp_path) == sections


def test_unknown_tasks_and_arms_of_one_name_are_refused(tmp_path: Path):
    with pytest.raises(UnknownNameError, match="windw-open"):
        evaluate(ARMS, EvalConfig(tasks=("windw-open",), trials=1), tmp_path, workers=1)
    with pytest.raises(ConfigError, match="distinct names"):
        evaluate((ARMS[0], ARMS[0]), CONFIG, tmp_path)


def test_one_thing_at_a_time_differs(tmp_path: Path):
    arms = differing(Arm("random", "random"), ["start", "blank"])
    assert [(a.name, a.axis, a.wording) for a in arms] == [
        ("random", "", "train"), ("random, start", "start", "train"), ("random, blank", "", "blank"),
    ]  # fmt: skip
    assert [a.name for a in differing(arms[0], ["all"])] == ["random", *(f"random, {w}" for w in WAYS)]
    with pytest.raises(UnknownNameError, match="camera"):
        differing(arms[0], ["camra"])
    with pytest.raises(UnknownNameError, match="way to differ"):
        Arm("a", "random", axis="weather")
    config = EvalConfig(tasks=("reach",), trials=2, max_steps=5)
    assert {t.instruction for t in trials_of(arms[2], config, "reach", 0, 2)} == {""}
    _, sections = run_evaluation(differing(arms[0], ["all"]), config, tmp_path, workers=1)
    (table,) = [b for b in sections[0].blocks if isinstance(b, Table)]
    assert table.columns == ("", "reach", "all")
    assert [row[0] for row in table.rows][:2] == ["random", "random, camera"]
    (said,) = [b.text for b in sections[0].blocks if isinstance(b, Text)]
    assert "random, start: the hand begins" in said
    assert "random, blank: nothing" in said

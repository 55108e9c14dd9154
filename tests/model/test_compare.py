"""Two evaluations beside each other."""

from dataclasses import replace
from pathlib import Path

import pytest

from vla_data.config import to_dict
from vla_data.errors import ConfigError, DataError, SpecMismatchError
from vla_data.files import write_json
from vla_model.compare import compare
from vla_model.eval_config import EvalConfig, TrialRecord
from vla_model.evaluate import TaskResult
from vla_model.statistics import Pairs, mcnemar, newcombe_interval

PROTOCOL = EvalConfig(tasks=("reach", "push"), trials=20)


def evaluation(path: Path, config: EvalConfig, **arms: dict[str, list[bool]]) -> Path:
    """What `evaluate` leaves: arm → task → outcomes by placement."""
    table = []
    for arm, tasks in arms.items():
        for task, outcomes in tasks.items():
            rows = [TrialRecord(task, i, 500 + i, "do it", ok, 10) for i, ok in enumerate(outcomes)]
            for start in range(0, len(rows), 5):
                block = [to_dict(r) for r in rows[start : start + 5]]
                write_json(path / "records" / arm / f"{task}-{start:04d}.json", block)
            table.append(TaskResult(arm, task, sum(outcomes), len(outcomes), 0.0, 1.0))
    write_json(path / "results.json", {"config": to_dict(config), "table": to_dict(tuple(table))})
    return path


def test_pairs_are_matched_by_task_and_placement(tmp_path):
    good, bad = [True] * 18 + [False] * 2, [True, False] * 10
    a = evaluation(tmp_path / "a", PROTOCOL, policy={"reach": good, "push": bad})
    b = evaluation(tmp_path / "b", PROTOCOL, policy={"push": good, "reach": bad[:15]})
    found = compare(a, b)
    assert [r.task for r in found.rows] == ["push", "reach", "all"]
    push, reach, total = found.rows
    assert (push.first, push.second, push.trials) == (10, 18, 20)
    assert (reach.first, reach.second, reach.trials) == (15, 8, 15)
    assert found.left_out == 5
    pairs = Pairs.of([*bad, *good[:15]], [*good, *bad[:15]])
    assert (total.low, total.high) == newcombe_interval(pairs)
    assert total.p == mcnemar(pairs)
    assert total.difference == pytest.approx((25 - 26) / 35)
    assert (found.first, found.second) == ("a: policy", "b: policy")
    assert "cannot be told apart" in found.verdict()
    assert "5 trials" in found.verdict()


def test_the_better_one_is_named_and_a_run_is_compared_with_its_own_baseline(tmp_path):
    run = evaluation(
        tmp_path / "run", PROTOCOL, policy={"reach": [True] * 20}, random={"reach": [False] * 20}
    )
    found = compare(run, run, ("random", "policy"))
    assert found.total.difference == -1
    assert found.verdict().startswith("On 20 placements that both tried, policy is better: -100.0 points")
    assert found.summary()["rows"][-1]["trials"] == 20
    assert len(found.section().blocks) == 2


def test_protocols_arms_and_places_that_do_not_fit_are_named(tmp_path):
    outcomes = {"reach": [True] * 5}
    a = evaluation(tmp_path / "a", PROTOCOL, policy=outcomes)
    b = evaluation(tmp_path / "b", replace(PROTOCOL, max_steps=50, trials=5), policy=outcomes)
    with pytest.raises(SpecMismatchError) as caught:
        compare(a, b)
    assert "max_steps None" in str(caught.value)
    assert "max_steps 50" in str(caught.value)
    two = evaluation(tmp_path / "two", PROTOCOL, one=outcomes, other=outcomes)
    with pytest.raises(ConfigError, match="one or other"):
        compare(a, two)
    with pytest.raises(ConfigError, match="two names"):
        compare(a, two, ("one",))
    with pytest.raises(DataError, match="no finished evaluation"):
        compare(a, tmp_path / "nothing")
    elsewhere = evaluation(tmp_path / "c", PROTOCOL, policy={"push": [True]})
    with pytest.raises(DataError, match="share no placement"):
        compare(a, elsewhere)

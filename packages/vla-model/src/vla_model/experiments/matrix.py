"""What an experiment varies, from a TOML file.

name = "how many demonstrations"
preset = "default"                      # of RecipeConfig

[set]                                   # for every run
"generate.tasks" = ["reach", "drawer-open"]

[axes]                                  # every combination is a run
"generate.episodes" = [5, 20, 80]
"policy.policy.head" = ["continuous", "flow"]
"policy.fit.seed" = [0, 1, 2]
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vla_data.config import from_dict, merge, read_config_file, resolve
from vla_data.errors import ConfigError
from vla_model.experiments.recipe import PRESETS, RecipeConfig

MOST_RUNS = 1000


@dataclass(frozen=True)
class Experiment:
    """A matrix of runs.

    Args:
        name: of its page.
        preset: of `RecipeConfig`.
        set: dotted key → value, for every run.
        axes: dotted key → values; every combination is a run.

    Raises:
        ConfigError: an axis has no value, or there are too many runs.
    """

    name: str
    preset: str = "default"
    set: dict[str, Any] = field(default_factory=dict)
    axes: dict[str, list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = 1
        for key, values in self.axes.items():
            if not values:
                raise ConfigError("an axis has no value", where=f"axes.{key}", expected="one at least")
            count *= len(values)
        if count > MOST_RUNS:
            raise ConfigError(
                "an experiment has too many runs",
                where="axes",
                expected=f"at most {MOST_RUNS}",
                got=str(count),
            )


@dataclass(frozen=True)
class Run:
    """One combination: its number, the values of the axes, and the whole configuration."""

    number: int
    values: Mapping[str, Any]
    recipe: RecipeConfig


def read_experiment(path: Path) -> Experiment:
    """An experiment from a TOML or JSON file.

    Raises:
        ConfigError: it cannot be read, or a value is of the wrong type.
        UnknownNameError: a key does not exist.
    """
    return from_dict(Experiment, read_config_file(path), where=str(path))


def runs_of(experiment: Experiment) -> list[Run]:
    """Every combination of the axes' values, the last axis turning fastest.

    Raises:
        ConfigError: a value is of the wrong type.
        UnknownNameError: a key does not exist.
    """
    base = _with(resolve(PRESETS, experiment.preset), experiment.set)
    found = []
    for number, chosen in enumerate(itertools.product(*experiment.axes.values())):
        values = dict(zip(experiment.axes, chosen, strict=True))
        found.append(Run(number, values, _with(base, values)))
    return found


def _with(recipe: RecipeConfig, changes: Mapping[str, Any]) -> RecipeConfig:
    for key, value in changes.items():
        nested: Any = value
        for part in reversed(key.split(".")):
            nested = {part: nested}
        recipe = merge(recipe, nested)
    return recipe

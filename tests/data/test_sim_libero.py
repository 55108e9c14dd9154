"""The LIBERO adapter, where it is LIBERO's own: names, files, states and imports."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from vla_data.errors import DataError, MissingDependencyError, UnknownNameError
from vla_data.sim import instructions, libero_names, make_env
from vla_data.sim.libero_setup import seeded

SOUP = "libero_object/pick_up_the_alphabet_soup_and_place_it_in_the_basket"


def test_all_tasks_are_listed_with_their_language() -> None:
    names = libero_names.task_names()
    assert len(names) == len(set(names)) == 130
    assert libero_names.language(SOUP) == "pick up the alphabet soup and place it in the basket"
    kitchen = next(n for n in names if "KITCHEN_SCENE10" in n)
    assert libero_names.language(kitchen)[0].islower()
    for task in names:
        train, unseen = instructions("libero", task, "train"), instructions("libero", task, "eval")
        assert train[0] == libero_names.language(task)
        assert len(train) >= 5
        assert len(unseen) >= 3
        assert not set(train) & set(unseen)


def test_a_mistyped_task_brings_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        libero_names.task_file(SOUP.replace("soup", "soop"))
    assert caught.value.matches[0] == SOUP
    for bad in (
        "../" + SOUP,
        "libero_object",
        "libero_object/../libero_goal/open_the_middle_drawer_of_the_cabinet",
    ):
        with pytest.raises(UnknownNameError):
            libero_names.task_file(bad)


def test_initial_states_are_read_without_running_what_is_in_the_file() -> None:
    states = libero_names.initial_states(SOUP)
    assert states.ndim == 2
    assert len(states) == 50
    assert states.dtype == np.float64
    assert np.isfinite(states).all()
    assert np.ptp(states, axis=0).max() > 0.01


class Attack:
    def __reduce__(self) -> tuple:
        return os.getenv, ("HOME",)


def test_an_initial_state_file_that_would_run_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bddl_files" / "libero_goal").mkdir(parents=True)
    (tmp_path / "init_files" / "libero_goal").mkdir(parents=True)
    (tmp_path / "bddl_files" / "libero_goal" / "t.bddl").touch()
    path = tmp_path / "init_files" / "libero_goal" / "t.pruned_init"
    monkeypatch.setattr(libero_names, "package_folder", lambda: tmp_path)
    content = io.BytesIO()
    pickle.dump(Attack(), content)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content.getvalue())
    with pytest.raises(DataError, match="is not part of an array"):
        libero_names.initial_states("libero_goal/t")
    path.write_bytes(b"not a zip archive")
    with pytest.raises(DataError, match="initial states cannot be read"):
        libero_names.initial_states("libero_goal/t")


def test_missing_assets_name_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(libero_names.ASSETS_VARIABLE, str(tmp_path))
    with pytest.raises(MissingDependencyError, match="VLA_LIBERO_ASSETS"):
        make_env("libero", [SOUP])


def test_the_global_generator_is_put_back() -> None:
    np.random.seed(3)
    expected = np.random.uniform(size=4)
    np.random.seed(3)
    with seeded(7):
        first = np.random.uniform()
    np.testing.assert_array_equal(np.random.uniform(size=4), expected)
    with seeded(7):
        assert np.random.uniform() == first


def test_importing_asks_nothing_and_writes_nothing_lasting(shared: Path, tmp_path: Path) -> None:
    env = {k: v for k, v in os.environ.items() if k not in ("LIBERO_CONFIG_PATH", "CUDA_VISIBLE_DEVICES")}
    env |= {
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "CUDA_VISIBLE_DEVICES": "",
        "VLA_LIBERO_ASSETS": str(shared / "libero-assets"),
    }
    code = "from vla_data.sim.libero_setup import libero_envs; print(libero_envs().__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "libero.libero.envs.env_wrapper"
    assert [p.name for p in tmp_path.iterdir() if "libero" in p.name or "robosuite" in p.name] == []

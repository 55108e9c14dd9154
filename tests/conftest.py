"""What every test shares: shape checks on, fixed seeds, and the way to the data that is not committed."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

ROOT = Path(__file__).resolve().parents[1]

# Small models gain nothing from a second thread, and two test workers on two cores lose a lot by it.
# Read when torch is imported, here and in the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

PACKAGES = ("vla_data", "vla_vision", "vla_ts", "vla_model")  # vla_cli takes no arrays

# The shape annotations of the packages are checked here and nowhere else. An int may stand for a float, as
# it may for the type checker, and `Self` for anything: the checker sees methods without their class.
CHECKER = (
    "beartype.beartype(conf=__import__('beartype').BeartypeConf(is_pep484_tower=True, "
    "hint_overrides=__import__('beartype').BeartypeHintOverrides("
    "{__import__('typing').Self: __import__('typing').Any})))"
)
install_import_hook(PACKAGES, CHECKER)

settings.register_profile(
    "house", deadline=None, derandomize=True, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data and assets beside the repository; the test is skipped where it is absent."""
    path = (ROOT / ".." / "shared").resolve()
    if not path.is_dir():
        pytest.skip("no ../shared folder with data and assets beside this checkout")
    return path


@pytest.fixture
def unchecked_shapes() -> Iterator[None]:
    """No shape checks in this test: it hands over arrays that the product has to refuse by itself."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(autouse=True)
def fixed_seeds() -> None:
    """Every test starts from the same random state, whichever ran before it."""
    random.seed(0)
    np.random.seed(0)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(0)

"""Who may import what: the table of docs/architecture.md as data, held against every import of every package.

An import counts wherever it stands: at the top, inside a function or under TYPE_CHECKING.
`scripts/check-imports` runs this file alone.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from tests.cross.import_scan import Import, imports_of, unsafe_loads

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("vla_data", "vla_vision", "vla_ts", "vla_model", "vla_cli")

GROUND_FILES = (
    "types", "protocols", "errors", "config", "registry", "normalize",
    "files", "runs", "pool", "report", "charts", "chunks", "usable", "objects",
)  # fmt: skip
GROUND = tuple(f"vla_data.{name}" for name in GROUND_FILES)
FIT = ("vla_data.fit",)
DRAWING = ("typer", "rich")
TRAINING = ("torch", "torchvision", "lightning", "transformers", "safetensors")
SIMULATORS = ("mujoco", "metaworld", "libero", "robosuite", "gymnasium")
ROS = ("rclpy", "sensor_msgs", "std_msgs", "std_srvs", "trajectory_msgs", "diagnostic_msgs")
HEAVY = (*TRAINING, *SIMULATORS, "tensorflow", "tensorflow_datasets", "ultralytics", "pandas", "scipy", "av")
NOWHERE = ("tensorflow", "click", "cloudpickle", "dill", "joblib")


@dataclass(frozen=True)
class Room:
    """A group of modules: those whose name starts with one of `holds` and that no earlier room holds.

    `suite` is what it may import of the suite, `libraries` (where given) all else it may import, `never`
    what it may not although its package declares it.
    """

    holds: tuple[str, ...]
    suite: tuple[str, ...]
    libraries: tuple[str, ...] | None = None
    never: tuple[str, ...] = ()
    light: bool = False


ROOMS = {
    "ground": Room(GROUND, GROUND, ("numpy", "jaxtyping")),
    "fit": Room(FIT, GROUND + FIT, ("numpy", "jaxtyping", "torch", "lightning", "safetensors")),
    "data upstairs": Room(("vla_data",), ("vla_data",), never=(*TRAINING, *DRAWING, *FIT)),
    "ts": Room(("vla_ts",), (*GROUND, *FIT, "vla_ts"), never=DRAWING),
    "vision": Room(("vla_vision",), (*GROUND, *FIT, "vla_vision"), never=DRAWING),
    "model": Room(("vla_model",), ("vla_data", "vla_ts", "vla_vision", "vla_model"), never=DRAWING),
    "cli": Room(("vla_cli",), PACKAGES, light=True),
}
# Each of these belongs to one place, so that it can be replaced there.
ONE_PLACE = {
    "ultralytics": ("vla_vision.detection.yolo",),
    **dict.fromkeys(SIMULATORS, ("vla_data.sim",)),
    **dict.fromkeys(ROS, ("vla_data.robots",)),
    "typer": ("vla_cli",),
    "rich": ("vla_cli",),
}
# Import names whose distribution the installed metadata does not tell apart.
DISTRIBUTIONS = {"google.protobuf": "protobuf"}


def within(name: str, roots: tuple[str, ...]) -> bool:
    return any(name == root or name.startswith(root + ".") for root in roots)


def room_of(module: str) -> Room:
    return next(room for room in ROOMS.values() if within(module, room.holds))


def modules() -> dict[str, Path]:
    """Module name → file, over the five packages."""
    found = {}
    for package in PACKAGES:
        source = ROOT / "packages" / package.replace("_", "-") / "src"
        for path in sorted(source.rglob("*.py")):
            parts = path.relative_to(source).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def offences(
    module: str, source: str, *, is_package: bool = False, known: frozenset[str] = frozenset()
) -> list[str]:
    """What a module imports or loads against the table, one sentence each."""
    tree, room = ast.parse(source), room_of(module)
    found = []
    for item in imports_of(tree, module, known, is_package=is_package):
        complaint = (
            suite_offence(module, room, item)
            if within(item.target, PACKAGES)
            else library_offence(module, room, item)
        )
        if complaint:
            found.append(f"{module}:{item.line} imports {item.target}: {complaint}")
    return found + [f"{module}:{line} {what}" for line, what in unsafe_loads(tree)]


def suite_offence(module: str, room: Room, item: Import) -> str | None:
    if within(item.target, room.never) or not within(item.target, room.suite):
        return "its room may not"
    private = re.search(r"^(.*?)\._", item.target)
    if private and not within(module, (private[1],)):
        return f"private to {private[1]}"
    return None


def library_offence(module: str, room: Room, item: Import) -> str | None:
    target = item.target
    if target.partition(".")[0] in sys.stdlib_module_names:
        return None
    if within(target, NOWHERE):
        return "nothing may"
    if within(target, room.never) or (room.libraries and not within(target, room.libraries)):
        return "its room may not"
    for name, places in ONE_PLACE.items():
        if within(target, (name,)) and not within(module, places):
            return f"only {' or '.join(places)} may"
    if room.light and item.top and within(target, (*HEAVY, "numpy")):
        return "not at import time"
    if not declared(module, target):
        return f"not declared in the pyproject.toml of {module.partition('.')[0]}"
    return None


@cache
def requirements(package: str) -> frozenset[str]:
    """Distributions a package declares, as dependency or in an extra."""
    path = ROOT / "packages" / package.replace("_", "-") / "pyproject.toml"
    project = tomllib.loads(path.read_text())["project"]
    extras = project.get("optional-dependencies", {}).values()
    lines = [*project["dependencies"], *(line for extra in extras for line in extra)]
    return frozenset(normal(re.split(r"[\[<>=!~;\s]", line)[0]) for line in lines)


def declared(module: str, target: str) -> bool:
    named = [d for name, d in DISTRIBUTIONS.items() if within(target, (name,))]
    candidates = named or installed().get(target.partition(".")[0], [target.partition(".")[0]])
    return any(normal(c) in requirements(module.partition(".")[0]) for c in candidates)


@cache
def installed() -> dict[str, list[str]]:
    return dict(packages_distributions())


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("package", PACKAGES)
def test_no_import_breaks_the_table(package: str):
    files = modules()
    known = frozenset(files)
    found = [
        offence
        for name, path in files.items()
        if within(name, (package,))
        for offence in offences(name, path.read_text(), is_package=path.name == "__init__.py", known=known)
    ]
    assert not found, "\n".join(found)


def test_every_ground_file_exists_and_every_folder_is_a_package():
    files = modules()
    assert set(GROUND) <= set(files)
    folders = {path.parent for path in files.values()}
    assert [f for f in folders if not (f / "__init__.py").is_file()] == []


@pytest.mark.parametrize(
    ("module", "line", "word"),
    [
        ("vla_data.types", "import torch", "room may not"),
        ("vla_data.types", "def f():\n    import pandas", "room may not"),
        ("vla_data.runs", "from vla_data.formats import rlds", "room may not"),
        ("vla_data.runs", "from .formats.rlds import RldsReader", "room may not"),
        ("vla_data.runs", "from . import formats", "room may not"),
        ("vla_data.fit.loop", "from vla_data.formats import rlds", "room may not"),
        ("vla_data.formats.rlds", "import torch", "room may not"),
        ("vla_data.formats.rlds", "import vla_ts", "room may not"),
        ("vla_data.formats.rlds", "from vla_data.fit import fit", "room may not"),
        ("vla_data.formats.rlds", "import tensorflow as tf", "nothing may"),
        ("vla_data.formats.rlds", "import mujoco", "only vla_data.sim may"),
        ("vla_model.serving.x", "import rclpy", "only vla_data.robots may"),
        (
            "vla_data.sim.metaworld",
            "from importlib import import_module\nimport_module('torch')",
            "room may not",
        ),
        ("vla_ts.vqvae", "import vla_vision", "room may not"),
        ("vla_ts.vqvae", "from vla_data import open_episodes", "room may not"),
        ("vla_ts.vqvae", "from vla_data.sim import make_env", "room may not"),
        ("vla_ts.vqvae", "import rich", "room may not"),
        ("vla_ts.vqvae", "import transformers", "not declared"),
        ("vla_vision.depth", "from ultralytics import YOLO", "only vla_vision.detection.yolo may"),
        ("vla_vision.depth", "import vla_model.prompt", "room may not"),
        ("vla_model.evaluate", "import vla_cli", "room may not"),
        ("vla_model.evaluate", "import typer", "room may not"),
        ("vla_model.evaluate", "from vla_data.robots import _so101", "private to vla_data.robots"),
        ("vla_model.evaluate", "import vla_data.robots._so101.bus", "private to vla_data.robots"),
        ("vla_cli.main", "import click", "nothing may"),
        ("vla_cli.main", "import torch", "not at import time"),
        ("vla_cli.main", "try:\n    import numpy\nexcept ImportError: pass", "not at import time"),
        ("vla_model.x", "import pickle\npickle.load(f)", "uses pickle.load"),
        ("vla_model.x", "from pickle import loads", "imports from pickle"),
        ("vla_model.x", "import pickle\nclass U(pickle.Unpickler): pass", "without restricting"),
        ("vla_model.x", "import torch\ntorch.load(f)", "without weights_only"),
        ("vla_model.x", "import torch\ntorch.load(f, weights_only=False)", "without weights_only"),
        ("vla_model.x", "import numpy as np\nnp.load(f, allow_pickle=True)", "unpickle"),
    ],
)
def test_what_breaks_the_table_is_found(module: str, line: str, word: str):
    known = frozenset({"vla_data.formats", "vla_data.robots._so101"})
    found = offences(module, line, known=known)
    assert any(word in offence for offence in found), found


@pytest.mark.parametrize(
    ("module", "line"),
    [
        (
            "vla_data.types",
            "import numpy as np\nfrom jaxtyping import Float32\nfrom vla_data.errors import DataError",
        ),
        ("vla_data.types", "from .errors import DataError\nfrom . import errors"),
        ("vla_data.formats.rlds", "from google.protobuf import message"),
        ("vla_data.sim.metaworld", "def f():\n    import mujoco"),
        ("vla_data.robots", "from vla_data.robots import _so101\nfrom . import _so101"),
        ("vla_data.sim.x", "import pickle\nclass U(pickle.Unpickler):\n    def find_class(self, m, n): ..."),
        ("vla_ts.vqvae", "import torch\nfrom vla_data.fit import fit\nfrom vla_data.chunks import windows"),
        ("vla_model.x", "import torch\ntorch.load(f, weights_only=True)"),
        ("vla_cli.main", "import typer\nfrom vla_model import finetune\ndef f():\n    import torch"),
    ],
)
def test_what_keeps_the_table_is_let_through(module: str, line: str):
    known = frozenset({"vla_data.errors", "vla_data.robots._so101"})
    found = offences(module, line, is_package=module == "vla_data.robots", known=known)
    assert [f for f in found if "not declared" not in f] == []


@pytest.mark.parametrize("names", [*PACKAGES, ", ".join(GROUND), "vla_cli.main", "vla_cli.app"])
def test_importing_it_is_light(names: str):
    program = f"import sys, {names}\nprint(*{{m.partition('.')[0] for m in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) & set(HEAVY) == set()

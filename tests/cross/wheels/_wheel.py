"""What is asked of every installed wheel, whatever it holds."""

from __future__ import annotations

from importlib import import_module, metadata, resources
from importlib.util import find_spec
from pathlib import Path
from pkgutil import walk_packages

REPOSITORY = Path(__file__).resolve().parents[3]


def check_wheel(name: str, *files: str) -> None:
    """It is the wheel and not the source tree, typed, licensed, and holds these data files."""
    package = import_module(name.replace("-", "_"))
    assert package.__file__ is not None
    installed = Path(package.__file__).resolve()
    assert not installed.is_relative_to(REPOSITORY / "packages"), installed
    about = metadata.metadata(name)
    assert about["License-Expression"] == "Apache-2.0"
    assert package.__version__ == about["Version"]
    listed = {str(path) for path in metadata.files(name) or ()}
    assert any(path.endswith("licenses/LICENSE") for path in listed), listed
    for file in ("py.typed", *files):
        assert resources.files(package).joinpath(file).is_file(), f"{name} lacks {file}"


def check_absent(*names: str) -> None:
    """None of these came along."""
    present = [name for name in names if find_spec(name) is not None]
    assert not present, f"installed although not asked for: {present}"


def import_all(name: str, *, but: tuple[str, ...] = ()) -> None:
    """Import every module of a package."""
    package = import_module(name)
    for module in walk_packages(package.__path__, f"{name}."):
        if module.name not in but:
            import_module(module.name)

"""Rules of the house that a look at the tree can hold: sizes, marks, links, licences, the lock."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = sorted(
    p
    for d in ("packages", "tests", "benchmarks", "examples")
    for p in (ROOT / d).rglob("*.py")
    if ".venv" not in p.parts
)
PACKAGES = sorted((ROOT / "packages").iterdir())
SCRIPTS = [p for p in sorted((ROOT / "scripts").iterdir()) if p.suffix == ""] + [ROOT / ".ci" / "run"]
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/*.md"),
    *ROOT.glob("packages/*/*.md"),
    *ROOT.glob("benchmarks/*.md"),
]
HARD_FILE, HARD_FUNCTION, HARD_PARAMETERS = 500, 60, 12
# Assembled, so that this file does not hold what it looks for.
MARKS = re.compile(
    "|".join(["TO" + "DO", "FIX" + "ME", "NotImplemented" + "Error", r"mark\.(skip|xfail)" + r"\("])
)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def length_without_docstring(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    documented = ast.get_docstring(node, clean=False) is not None
    said = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (node.end_lineno or 0) - node.lineno + 1 - said


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text())
    return [n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]


def test_no_file_is_too_long():
    assert [name(p) for p in CODE if len(p.read_text().splitlines()) > HARD_FILE] == []


def test_no_function_is_too_long():
    assert [
        f"{name(p)}:{f.lineno} {f.name}"
        for p in CODE
        for f in functions(p)
        if length_without_docstring(f) > HARD_FUNCTION
    ] == []


def test_no_constructor_takes_too_much():
    found = []
    for path in CODE:
        for f in functions(path):
            count = len(f.args.posonlyargs) + len(f.args.args) + len(f.args.kwonlyargs) - 1
            if f.name == "__init__" and count > HARD_PARAMETERS:
                found.append(f"{name(path)}:{f.lineno}")
    assert found == []


def test_nothing_is_left_for_later():
    assert [name(p) for p in CODE if MARKS.search(p.read_text())] == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.name)
def test_every_package_carries_what_a_package_needs(package: Path):
    module = package / "src" / package.name.replace("-", "_")
    for path in (package / "README.md", package / "CHANGELOG.md", package / "LICENSE"):
        assert path.is_file(), path
    assert (package / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert (module / "py.typed").is_file()
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    assert f'__version__ = "{project["version"]}"' in (module / "__init__.py").read_text()
    siblings = [d for d in project["dependencies"] if d.startswith("vla-")]
    assert all(re.search(r">=\d+\.\d+,<\d+\.\d+$", d) for d in siblings), siblings


def test_no_lazy_export_has_the_name_of_a_module_beside_it():
    """`from package import name` would give the function or the module, by what was imported before."""
    clashes = []
    for init in ROOT.glob("packages/*/src/**/__init__.py"):
        text = init.read_text()
        exported = re.search(r"^__all__ = \[(.*?)\]", text, re.MULTILINE | re.DOTALL)
        if not exported or "def __getattr__" not in text:
            continue
        names = set(re.findall(r'"(\w+)"', exported[1]))
        modules = {p.stem for p in init.parent.glob("*.py")} | {
            p.parent.name for p in init.parent.glob("*/__init__.py")
        }
        clashes += [f"{name(init)}: {n}" for n in sorted(names & modules)]
    assert clashes == []


def test_the_lock_names_no_host():
    assert not re.search(r"https?://", (ROOT / "uv.lock").read_text())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.name)
def test_scripts_are_runnable_and_stop_at_the_first_error(script: Path):
    assert script.stat().st_mode & 0o111
    assert "set -euo pipefail" in script.read_text()
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_the_readme_and_ci_run_the_same_tests():
    assert "\nmake test " in (ROOT / "README.md").read_text()
    assert "\nmake quickstart " in (ROOT / "README.md").read_text()
    assert re.search(r"^stage test +make test$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)


def test_links_between_pages_lead_somewhere():
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if not re.match(r"[a-z]+:|#", target) and not (page.parent / target.partition("#")[0]).exists():
                broken.append(f"{name(page)}: {target}")
    assert broken == []


def resolves(dotted: str) -> bool:
    """Whether `package.module.name` is a module, or a name that the last module on the way mentions."""
    package, *parts = dotted.split(".")
    path = ROOT / "packages" / package.replace("_", "-") / "src" / package
    for depth, part in enumerate(parts):
        if (path / part).is_dir() or (path / part).with_suffix(".py").is_file():
            path /= part
            continue
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        return depth == len(parts) - 1 and re.search(rf"\b{part}\b", file.read_text()) is not None
    return True


def test_pages_name_only_what_exists():
    dotted = {(name(p), d) for p in PAGES for d in re.findall(r"`(vla_[a-z]+(?:\.\w+)+)", p.read_text())}
    assert len(dotted) > 5
    assert sorted(d for d in dotted if not resolves(d[1])) == []

"""Engines: what runs the units of corpus-scale work, such as one shard each.

The process pool needs nothing. Apache Beam (extra `beam`) runs the same units on its local runner or on a
cluster; Ray and others would be one more entry of `ENGINES`.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from vla_data import errors
from vla_data.config import from_dict, to_dict
from vla_data.errors import ConfigError, MissingDependencyError, VlaError
from vla_data.files import read_json, write_json
from vla_data.pool import cpu_count, map_units
from vla_data.registry import lookup

U = TypeVar("U")
Done = Iterator[tuple[U, Any]]
# Beam's usual local runner first tries to download one written in Go; this one is part of the package.
LOCAL_RUNNER = "FnApiRunner"


def run_units(
    work: Callable[[U], Any],
    units: Sequence[U],
    engine: str = "pool",
    *,
    workers: int | None = None,
    options: Sequence[str] = (),
    result: type | None = None,
) -> Iterator[tuple[U, Any]]:
    """Run `work` on each unit; (unit, result) in any order, with "beam" after all have ended.

    Units are picklable and independent, and doing one again does no harm: a cluster may run it twice. What
    is large is written to files by the work itself; results come back as JSON knows them (dataclasses and
    tuples become dicts and lists), the same from every engine.

    Args:
        work: a function at the top of a module.
        engine: a name in `ENGINES`.
        workers: processes on this machine; None for one a core. A cluster counts its own.
        options: of the engine; for "beam" those of its runner, such as "--runner=DataflowRunner" and
            "--temp_location=…" (a place all its machines share, where results pass through).
        result: a dataclass that results are made into again; None leaves them as dicts, lists and values.

    Raises:
        UnknownNameError: no such engine.
        MissingDependencyError: the engine is not installed.
        VlaError: a worker died; errors of `work` pass through.
    """
    done = lookup("engine", ENGINES, engine)(work, units, workers, options)
    return done if result is None else ((unit, from_dict(result, plain)) for unit, plain in done)


def _pool(
    work: Callable[[U], Any], units: Sequence[U], workers: int | None, options: Sequence[str]
) -> Done[U]:
    if options:
        raise ConfigError("the process pool has no options", where="engine options", got=" ".join(options))
    return map_units(partial(_plain_result, work), units, workers)


def _plain_result(work: Callable[[U], Any], unit: U) -> Any:
    try:
        return json.loads(json.dumps(to_dict(work(unit))))
    except TypeError as error:
        raise VlaError(
            "a unit of work gave what cannot be carried back from an engine",
            where=str(unit),
            expected="numbers, texts, lists, mappings and dataclasses of them",
            got=str(error),
        ) from error


def _beam(
    work: Callable[[U], Any], units: Sequence[U], workers: int | None, options: Sequence[str]
) -> Done[U]:
    with _calm_root_logger():
        results = _beam_results(work, units, workers, options)
    yield from zip(units, results, strict=True)


def _beam_results(
    work: Callable[[U], Any], units: Sequence[U], workers: int | None, options: Sequence[str]
) -> list[Any]:
    beam, pipeline_options = _import_beam()
    if not units:
        return []
    count = max(1, min(workers or cpu_count(), len(units)))
    defaults = {
        "runner": LOCAL_RUNNER,
        "direct_running_mode": "multi_processing",
        "direct_num_workers": str(count),
        "default_sdk_harness_log_level": "ERROR",
    }
    given = {option.lstrip("-").partition("=")[0] for option in options}
    flags = [f"--{name}={value}" for name, value in defaults.items() if name not in given] + list(options)
    shared = pipeline_options(flags).get_all_options().get("temp_location")
    if shared is not None:
        Path(shared).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="units-", dir=shared) as directory:
        with beam.Pipeline(options=pipeline_options(flags)) as pipeline:
            numbered = pipeline | beam.Create(list(enumerate(units))) | beam.Reshuffle()
            _ = numbered | beam.Map(partial(_noted_result, work, directory))
        return [_read_result(Path(directory) / f"{i}.json", unit) for i, unit in enumerate(units)]


def _noted_result(work: Callable[[U], Any], directory: str, numbered: tuple[int, U]) -> None:
    """Do a unit and leave its result, or the error it ended with, where the pipeline's owner finds it."""
    number, unit = numbered
    try:
        found = {"result": _plain_result(work, unit)}
    except VlaError as error:
        found = {"error": error.to_dict()}
    write_json(Path(directory) / f"{number}.json", found)


def _read_result(path: Path, unit: Any) -> Any:
    if not path.is_file():
        raise VlaError(
            "a unit of work left no result",
            where=str(unit),
            next_step="give the engine a --temp_location that all its machines share",
        )
    found = read_json(path)
    if "error" in found:
        raise _error(found["error"])
    return found["result"]


def _error(told: dict[str, Any]) -> VlaError:
    """An error of a unit as it was raised there; of a kind this module does not know, as a plain one."""
    kind = getattr(errors, str(told["type"]), VlaError)
    kind = kind if kind in (errors.DataError, errors.ConfigError, errors.SimError) else VlaError
    error = kind(told["message"], where=told["where"], expected=told["expected"], got=told["got"])
    error.next_step, error.exit_code = told["next"], told["exit_code"]
    return error


def _import_beam() -> tuple[Any, Any]:
    try:
        import apache_beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise MissingDependencyError(
            "Apache Beam is not installed",
            where="engine 'beam'",
            expected="the extra vla-data[beam]",
            next_step="pip install 'vla-data[beam]', or use the engine 'pool'",
        ) from error
    return apache_beam, PipelineOptions


@contextmanager
def _calm_root_logger() -> Iterator[None]:
    """Beam remarks on what it did not find by `logging.warning`, which sets the root logger up for good."""
    root = logging.getLogger()
    before = list(root.handlers)
    root.addHandler(logging.NullHandler())
    try:
        yield
    finally:
        for handler in [h for h in root.handlers if h not in before]:
            root.removeHandler(handler)


ENGINES: dict[str, Callable[..., Iterator[tuple[Any, Any]]]] = {"pool": _pool, "beam": _beam}

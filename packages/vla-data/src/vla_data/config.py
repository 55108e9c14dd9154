"""Configuration: frozen dataclasses, presets as functions, overrides by dotted key.

A config lives beside what it builds. `resolve` turns a preset, an optional file and `--set a.b=1` pairs
into one; unknown keys raise with the nearest names; `to_dict`/`from_dict` carry any dataclass of plain
values through JSON.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from vla_data.errors import ConfigError, UnknownNameError
from vla_data.registry import lookup

T = TypeVar("T")


def to_dict(value: Any) -> Any:
    """A dataclass of plain values as JSON-ready dicts and lists."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_dict(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_dict(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_dict(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    return value


def from_dict(kind: type[T], data: Any, where: str = "") -> T:
    """A dataclass `kind` from what `to_dict` gave.

    Raises:
        ConfigError: a value has the wrong type or a required key is missing.
        UnknownNameError: a key does not exist.
    """
    _require_mapping(data, where)
    hints = typing.get_type_hints(kind)
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    for key in data:
        if key not in known:
            raise UnknownNameError("key", _join(where, key), [_join(where, k) for k in known], where=where)
    values = {k: _convert(hints[k], v, _join(where, k)) for k, v in data.items()}
    for name, spec in known.items():
        if name not in values and spec.default is MISSING and spec.default_factory is MISSING:
            raise ConfigError(
                "a required key is missing", where=_join(where, name), expected=str(hints[name])
            )
    return kind(**values)


def config_hash(value: Any) -> str:
    """sha256 of a config's canonical JSON."""
    return hashlib.sha256(json.dumps(to_dict(value), sort_keys=True).encode()).hexdigest()


def resolve(
    presets: Mapping[str, Callable[[], T]],
    preset: str,
    file: Path | None = None,
    overrides: Sequence[str] = (),
) -> T:
    """A preset, changed by a TOML or JSON file, changed by `key=value` overrides.

    Raises:
        UnknownNameError: the preset or a key does not exist.
        ConfigError: the file or a value cannot be read as what it should be.
    """
    config = lookup("preset", presets, preset)()
    if file is not None:
        config = _merge_file(config, file)
    for pair in overrides:
        key, separator, text = pair.partition("=")
        if not separator:
            raise ConfigError("an override is not of the form key=value", where="--set", got=pair)
        nested: dict[str, Any] = {}
        node = nested
        *parents, last = key.strip().split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = _parse_value(text.strip())
        config = merge(config, nested)
    return config


def _merge_file(config: T, file: Path) -> T:
    """`merge` with what a file holds; errors name the file beside the key."""
    changes = read_config_file(file)
    try:
        return merge(config, changes)
    except ConfigError as error:
        error.where = f"{error.where} in {file}" if error.where else str(file)
        raise


def merge(config: T, changes: Any, where: str = "") -> T:
    """`config` with nested `changes` applied; nested dataclasses are changed key by key."""
    hints = typing.get_type_hints(type(config))
    known = [f.name for f in fields(config)]  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    _require_mapping(changes, where)
    for key, change in changes.items():
        name = _join(where, key)
        if key not in known:
            raise UnknownNameError("key", name, [_join(where, k) for k in known])
        current = getattr(config, key)
        if is_dataclass(current) and isinstance(change, Mapping):
            values[key] = merge(current, change, name)
        else:
            values[key] = _convert(hints[key], change, name)
    return replace(config, **values)  # type: ignore[type-var]


def read_config_file(path: Path) -> Any:
    """The content of a TOML or JSON config file; `merge` checks that it is a mapping."""
    try:
        text = path.read_text()
        return json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigError(
            "a config file cannot be read", where=str(path), expected="TOML or JSON", got=str(error)
        ) from error


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _require_mapping(value: Any, where: str) -> None:
    if not isinstance(value, Mapping):
        raise ConfigError(
            "keys and values are wanted here", where=where or None, expected="a mapping", got=repr(value)
        )


def _parse_value(text: str) -> Any:
    """TOML syntax where it parses (numbers, booleans, arrays, quoted strings), else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _convert_union(args, value, where)
    if origin is Literal:
        if value in args:
            return args[args.index(value)]  # True is in (1, -1): give what was declared
        raise UnknownNameError("value", str(value), [str(a) for a in args], where=where)
    if is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, hint):
            return value
        if isinstance(value, Mapping):
            return from_dict(hint, value, where)
    if origin in (tuple, list) and isinstance(value, (list, tuple)):
        variadic = origin is list or (len(args) == 2 and args[1] is Ellipsis)
        inner = [args[0]] * len(value) if variadic else list(args)
        if len(inner) == len(value):
            return origin(
                _convert(h, v, f"{where}[{i}]") for i, (h, v) in enumerate(zip(inner, value, strict=True))
            )
    if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(value, Mapping):
        return {
            _convert(args[0], k, where): _convert(args[1], v, _join(where, str(k))) for k, v in value.items()
        }
    if hint is Path and isinstance(value, (str, Path)):
        return Path(value)
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    expected = hint.__name__ if isinstance(hint, type) else str(hint)
    raise ConfigError("a value has the wrong type", where=where, expected=expected, got=repr(value))


def _convert_union(args: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in args:
        return None
    failure: ConfigError | None = None
    for option in args:
        if option is type(None):
            continue
        try:
            return _convert(option, value, where)
        except ConfigError as error:
            failure = error
    assert failure is not None
    raise failure

"""The one lookup."""

from __future__ import annotations

import pytest

from vla_data.errors import EXIT_USAGE, UnknownNameError
from vla_data.registry import lookup

TABLE = {"metaworld": 1, "libero": 2}


def test_gives_the_entry():
    assert [lookup("simulator", TABLE, name) for name in TABLE] == [1, 2]


def test_an_entry_may_be_falsy():
    assert lookup("preset", {"none": None}, "none") is None


def test_an_unknown_name_raises_with_the_nearest_and_no_chain():
    with pytest.raises(UnknownNameError, match="unknown simulator 'metaworl'") as caught:
        lookup("simulator", TABLE, "metaworl")
    assert caught.value.matches == ["metaworld"]
    assert caught.value.exit_code == EXIT_USAGE
    assert caught.value.__suppress_context__


def test_a_key_error_inside_an_entry_is_not_taken_for_an_unknown_name():
    def factory() -> int:
        raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        lookup("policy", {"a": factory}, "a")()

"""What was there before is left out of garbage collection, and looked through again afterwards."""

from __future__ import annotations

import gc
import weakref

from vla_data.robots.pauses import few_pauses


class Ring:
    """Refers to itself: counting references never frees it."""

    def __init__(self) -> None:
        self.itself = self


def test_what_is_made_meanwhile_is_freed_and_what_was_before_afterwards():
    before = Ring()
    old = weakref.ref(before)
    with few_pauses():
        assert gc.get_freeze_count() > 1000
        assert not any(found is before for found in gc.get_objects())
        new = weakref.ref(Ring())
        del before
        gc.collect()
        assert new() is None
        assert old() is not None
    gc.collect()
    assert old() is None
    assert gc.get_freeze_count() == 0

"""The tests of one machine stay one worker's, in their order: pytest-xdist has to understand this pytest."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("machine")
def test_what_is_marked_as_a_group_is_one_to_the_workers(request: pytest.FixtureRequest) -> None:
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("no --dist loadgroup")
    assert request.node.nodeid.endswith("@machine")

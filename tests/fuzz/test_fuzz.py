"""Hostile inputs of every kind, a few of each and always the same; `make fuzz` tries many more."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from targets import TARGETS, attempt_anywhere


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_an_input_is_read_or_ends_in_one_line(name):
    target = TARGETS[name]

    @settings(
        derandomize=True,
        max_examples=target.few,
        phases=[Phase.generate],  # to find the smallest one may take minutes
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(target.cases)
    def try_some(case):
        attempt_anywhere(target, case)

    try_some()

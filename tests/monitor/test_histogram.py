from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.monitor.histogram import RELATIVE_ERROR, SMALLEST, Histogram

VALUES = st.floats(min_value=0, max_value=1e12, allow_nan=False)
SAMPLES = st.lists(VALUES, min_size=1, max_size=200)
PERCENTS = st.floats(min_value=0, max_value=100)


def of(values: list[float]) -> Histogram:
    histogram = Histogram()
    histogram.add_all(values)
    return histogram


def near(estimate: float, true: float) -> bool:
    return abs(estimate - true) <= max(true * RELATIVE_ERROR * (1 + 1e-9), SMALLEST)


@given(SAMPLES, PERCENTS)
def test_a_percentile_is_within_the_stated_error(values: list[float], percent: float) -> None:
    estimate = of(values).percentile(percent)
    true = sorted(values)[max(1, math.ceil(len(values) * percent / 100)) - 1]
    assert estimate is not None
    assert near(estimate, true)


@given(SAMPLES)
def test_count_and_sum_are_exact(values: list[float]) -> None:
    histogram = of(values)
    assert histogram.count == len(values)
    assert histogram.sum == pytest.approx(math.fsum(values), rel=1e-12)


@given(SAMPLES, SAMPLES)
def test_a_merge_equals_one_histogram_of_all(left: list[float], right: list[float]) -> None:
    merged = of(left)
    merged.merge(of(right))
    together = of(left + right)
    assert merged.count == together.count
    assert merged.percentiles((0, 50, 95, 99, 100)) == together.percentiles((0, 50, 95, 99, 100))


@given(SAMPLES)
def test_one_by_one_equals_all_at_once(values: list[float]) -> None:
    single = Histogram()
    for value in values:
        single.add(value)
    assert single.percentiles((1, 50, 99)) == of(values).percentiles((1, 50, 99))


@given(SAMPLES, st.lists(VALUES, min_size=1, max_size=10))
def test_cumulative_counts_rise_to_the_total(values: list[float], bounds: list[float]) -> None:
    counts = of(values).cumulative([*sorted(bounds), math.inf])
    assert counts == sorted(counts)
    assert counts[-1] == len(values)


@given(SAMPLES, st.floats(min_value=1e-3, max_value=1e12))
def test_a_cumulative_count_is_exact_but_for_values_near_the_bound(values: list[float], bound: float) -> None:
    (count,) = of(values).cumulative([bound])
    margin = bound * RELATIVE_ERROR * 1.1
    assert sum(v < bound - margin for v in values) <= count <= sum(v <= bound + margin for v in values)


@pytest.mark.parametrize("bad", [-1.0, -1e-9, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("beside", [[], [5.0], [0.0]])
def test_refuses_what_is_no_duration_and_counts_nothing(bad: float, beside: list[float]) -> None:
    for values in ([bad, *beside], [*beside, bad]):
        histogram = Histogram()
        with pytest.raises((ValueError, OverflowError)):
            histogram.add_all(values)
        assert (histogram.count, histogram.sum, histogram.percentile(50)) == (0, 0.0, None)


def test_a_sum_beyond_a_float_is_refused() -> None:
    histogram = of([1.7e308])
    for values in ([1.7e308], [1.7e308, 1.7e308]):
        with pytest.raises(OverflowError):
            histogram.add_all(values)
    assert (histogram.count, histogram.sum) == (1, 1.7e308)


def test_empty() -> None:
    histogram = Histogram()
    assert histogram.mean is None
    assert histogram.percentiles((50, 99)) == [None, None]
    assert histogram.cumulative([1.0, math.inf]) == [0, 0]


def test_mean() -> None:
    assert of([1.0, 2.0, 6.0]).mean == 3.0

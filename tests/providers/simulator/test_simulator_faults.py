"""The grammar of faults."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.providers.simulator import Fault, FaultError, parse_fault
from exai_ops.providers.simulator.faults import NAMES, fault_of

seconds = st.floats(0, 600, allow_nan=False)
counts = st.integers(0, 1_000_000)
words = st.from_regex(r"[A-Za-z0-9_.-]{1,64}", fullmatch=True)
faults = st.builds(
    Fault,
    latency=seconds,
    jitter=seconds,
    status=st.none() | st.integers(400, 599),
    code=st.none() | words,
    retry_after=st.none() | seconds,
    reset=st.booleans(),
    stall=seconds,
    at=counts,
    cut=st.none() | counts,
    malformed=st.booleans(),
    truncate=st.booleans(),
    no_done=st.booleans(),
    pace=st.none() | seconds,
    chunks=st.none() | st.integers(1, 1_000_000),
    size=st.none() | counts,
    search_round=st.booleans(),
    first=st.none() | counts,
    counter=st.none() | words,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Fault()),
        (" ; ;", Fault()),
        ("latency=0.2; jitter=0.05", Fault(latency=0.2, jitter=0.05)),
        ("status=429;retry-after=1;code=1302", Fault(status=429, retry_after=1.0, code="1302")),
        ("Retry_After = 0.5", Fault(retry_after=0.5)),
        ("cut=0", Fault(cut=0)),
        ("reset", Fault(reset=True)),
        ("malformed=1; truncate=true; no-done=0", Fault(malformed=True, truncate=True)),
        ("status=503; first=2; counter=mine", Fault(status=503, first=2, counter="mine")),
    ],
)
def test_spells_a_fault(text: str, expected: Fault) -> None:
    assert parse_fault(text) == expected


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("latncy=1", "latncy"),
        ("latency=soon", "latency"),
        ("latency=-1", "latency"),
        ("latency=nan", "latency"),
        ("latency=601", "latency"),
        ("status=200", "status"),
        ("status=4.5", "status"),
        ("retry-after=x", "retry-after"),
        ("cut=-1", "cut"),
        ("chunks=0", "chunks"),
        ("reset=maybe", "reset"),
        ("code=no spaces", "code"),
        ("cut=1; cut=2", "cut"),
        ("=3", ""),
    ],
)
def test_names_the_field_that_is_wrong(text: str, field: str) -> None:
    with pytest.raises(FaultError) as caught:
        parse_fault(text)
    assert caught.value.field == field


@given(faults)
def test_text_and_object_give_the_fault_back(fault: Fault) -> None:
    assert parse_fault(fault.as_text()) == fault
    assert fault_of(msgspec.to_builtins(fault)) == fault


@given(st.text(max_size=80))
def test_any_text_is_a_fault_or_an_error_of_a_field(text: str) -> None:
    with contextlib.suppress(FaultError):
        assert isinstance(parse_fault(text), Fault)


@given(faults)
def test_healing_keeps_the_shape_alone(fault: Fault) -> None:
    healed = fault.healed()
    assert not healed.spoils
    assert (healed.latency, healed.jitter, healed.stall) == (0, 0, 0)
    assert (healed.pace, healed.chunks, healed.size) == (fault.pace, fault.chunks, fault.size)


def test_every_name_is_documented() -> None:
    for name in NAMES:
        assert f"        {name.replace('-', '_')}: " in (Fault.__doc__ or "")

"""Logins and tries, with a clock in the test's hand."""

from __future__ import annotations

import pytest

from exai_ops.daemon.logins import LIFETIME_S, MOST, TRIES, WINDOW_S, Logins, Tries
from exai_ops.settings import Secret


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_login_lives_until_it_ends(clock: Clock) -> None:
    logins, token = Logins(clock=clock), Secret("t")
    one, other = logins.open(token), logins.open(token)
    assert one != other
    assert len(one) >= 43  # 256 bits
    assert logins.valid(one, token)
    assert not any(logins.valid(name, token) for name in ("", None, one[:-1], one + "x", "t", "\ud800"))
    logins.close(one)
    logins.close("unknown")
    logins.close(None)
    assert not logins.valid(one, token)
    clock.now += LIFETIME_S - 1
    assert logins.valid(other, token)
    clock.now += 1
    assert not logins.valid(other, token)


def test_a_new_token_ends_every_login(clock: Clock) -> None:
    logins, token = Logins(clock=clock), Secret("t")
    name = logins.open(token)
    assert not logins.valid(name, Secret("u"))
    assert not logins.valid(name, Secret("t"))  # rotated to the same value: what was given out before is void


def test_logins_are_bounded(clock: Clock) -> None:
    logins, token = Logins(clock=clock), Secret("t")
    names = [logins.open(token) for _ in range(MOST + 1)]
    assert not logins.valid(names[0], token)
    assert all(logins.valid(name, token) for name in names[1:])


def test_no_memory_of_an_id_itself(clock: Clock) -> None:
    logins = Logins(clock=clock)
    name = logins.open(Secret("t"))
    assert name not in repr(vars(logins))


@pytest.mark.parametrize(
    ("address", "same", "other"),
    [
        ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
        ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1"),
        ("fe80::1%eth0", "fe80::2", "fe81::1"),
        ("", "", "::1"),
    ],
)
def test_an_address_may_guess_so_often(clock: Clock, address: str, same: str, other: str) -> None:
    tries = Tries(clock=clock)
    for _ in range(TRIES):
        assert tries.wait_s(address) == 0
        tries.failed(address)
        clock.now += 1
    assert tries.wait_s(same) == WINDOW_S - TRIES
    assert tries.wait_s(other) == 0
    clock.now += WINDOW_S - TRIES
    assert tries.wait_s(same) == 0


def test_many_addresses_are_bounded_together(clock: Clock) -> None:
    tries = Tries(clock=clock)
    for n in range(200):
        tries.failed(f"10.0.{n}.1")
    assert tries.wait_s("192.0.2.9") == WINDOW_S
    clock.now += WINDOW_S
    assert tries.wait_s("192.0.2.9") == 0

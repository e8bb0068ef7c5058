"""The queue in front of the engine: bounded, one at a time, fair between users, and nobody waits for the departed."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from coach.admission import Admission, Cancelled, Ticket
from coach.errors import QueueFull


def start(ticket: Ticket) -> None:
    assert list(ticket.wait()) == []


def run_in_order(admission: Admission, tickets: list[tuple[str, Ticket]]) -> list[str]:
    """Let every ticket take its turn in a thread of its own; the names in the order in which turns came."""
    served: list[str] = []

    def serve(name: str, ticket: Ticket) -> None:
        with ticket:
            for _ in ticket.wait():
                pass
            served.append(name)

    threads = [threading.Thread(target=serve, args=item) for item in tickets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    return served


def test_one_at_a_time() -> None:
    admission = Admission(8, 100)
    at_once = most = 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal at_once, most
        with admission.turn("user"):
            with lock:
                at_once += 1
                most = max(most, at_once)
            with lock:
                at_once -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert most == 1
    assert admission.state.running == admission.state.waiting == 0


def test_a_user_who_floods_delays_the_next_user_by_one_turn_only() -> None:
    admission = Admission(40, 100)
    running = admission.join("A")
    start(running)
    queue = [(f"A{n}", admission.join("A")) for n in range(20)]
    queue.append(("B", admission.join("B")))
    running.__exit__()
    order = run_in_order(admission, queue)
    assert order.index("B") <= 2
    assert sorted(order) == sorted(name for name, _ in queue)


def test_the_position_is_told_and_falls() -> None:
    admission = Admission(8, 100)
    first, second, third = admission.join("A"), admission.join("B"), admission.join("C")
    start(first)
    positions: Iterator[int] = third.wait()
    assert next(positions) == 2
    second.__exit__()
    assert next(positions) == 1
    first.__exit__()
    assert list(positions) == []
    third.__exit__()
    assert admission.state.running == 0


def test_beyond_the_bound_the_asker_is_told_when_to_come_back() -> None:
    admission = Admission(2, 100)
    with admission.join("A") as running:
        start(running)
        waiting = [admission.join("B"), admission.join("C")]
        with pytest.raises(QueueFull, match="2 questions wait") as refused:
            admission.join("D")
        assert refused.value.retry_after_seconds >= 1
        for ticket in waiting:
            ticket.__exit__()
        admission.join("D").__exit__()


def test_who_leaves_while_waiting_frees_the_place() -> None:
    admission = Admission(2, 100)
    cancel = threading.Event()
    with admission.join("A") as running:
        start(running)
        cancel.set()
        with pytest.raises(Cancelled), admission.turn("B", cancel=cancel):
            pytest.fail("the turn came although it was withdrawn")
        assert admission.state.waiting == 0


def test_a_turn_that_fails_frees_the_engine() -> None:
    admission = Admission(2, 100)
    with pytest.raises(ZeroDivisionError), admission.turn("A"):
        raise ZeroDivisionError
    with admission.turn("A"):
        assert admission.state.running == 1


def test_the_rate_is_per_user() -> None:
    admission = Admission(2, per_minute=3)
    for _ in range(3):
        admission.check_rate("A")
    with pytest.raises(QueueFull, match="More than 3 questions in a minute") as refused:
        admission.check_rate("A")
    assert 1 <= refused.value.retry_after_seconds <= 61
    admission.check_rate("B")


def test_nobody_is_admitted_while_shutting_down_but_who_waits_is_served() -> None:
    admission = Admission(4, 100)
    waiting = admission.join("A")
    admission.close()
    with pytest.raises(QueueFull, match="shutting down"):
        admission.join("B")
    start(waiting)
    waiting.__exit__()


def test_a_wider_queue_lets_those_through_who_wait_and_never_narrows() -> None:
    admission = Admission()
    first, second = admission.join("A"), admission.join("B")
    start(first)
    positions = second.wait()
    assert next(positions) == 1
    admission.widen(2)
    assert list(positions) == []
    assert admission.state.running == 2
    admission.widen(1)
    first.__exit__()
    start(admission.join("C"))
    assert admission.state.running == 2

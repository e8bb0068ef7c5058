"""Whatever Discord does, a question gets exactly one answer or one apology."""

from __future__ import annotations

from tests.discord.faults import FAULTS, run


def test_forty_random_fault_schedules_give_one_final_message_each(database: str) -> None:
    verdicts = run(40, 5, database)
    assert verdicts.wrong == []
    assert verdicts.questions == 80
    assert set(verdicts.faults) == set(FAULTS)
    assert verdicts.outcomes["answer"] > 60

"""A file of questions to a file of checked answers: resumable, a bad row never stops it, duplicates asked once."""

from __future__ import annotations

import csv
import dataclasses
import json
import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coach.domain import Answer, Profile, Request, SkillLevel
from coach.engines.huggingface import HuggingFaceEngine
from coach.engines.lanes import default_threads
from coach.errors import CoachError, ConfigError, RequestError
from coach.pipeline import Coach

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
FIELDS = ("id", "question", "skill", "profile", "model")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the input: a request, or why there is none. `id` is its own or its line number."""

    id: str
    request: Request | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a batch did."""

    rows: int
    resumed: int
    answered_once: int
    outcomes: dict[str, int]
    completion_tokens: int
    seconds: float
    per_minute: float
    slowest: tuple[tuple[str, float], ...]


def run_batch(
    coach: Coach,
    questions: Path,
    out: Path,
    *,
    resume: bool = False,
    workers: int = 0,
    progress: Progress = lambda done, total: None,
) -> Summary:
    """Answer every row of `questions` into `out` (JSONL or Parquet).

    Each answer is on disk before the next one is counted, so that a kill loses at most the rows being answered;
    `resume` goes on from there. `workers` rows are asked at a time, 0 for as many as the engine answers together. Raises
    ConfigError when a file cannot be read or `out` is there and not resumed.
    """
    rows = read_rows(questions)
    journal = out if out.suffix == ".jsonl" else out.with_name(out.name + ".partial.jsonl")
    done = _open_journal(journal, out, resume)
    waiting = [row for row in rows if row.id not in done]
    started = time.perf_counter()
    groups = _group(waiting)
    default_threads()  # asked before the rows' threads get one each
    workers = workers or (rows_together(coach) if waiting else 1)
    coach.admission.widen(workers)
    lock = threading.Lock()
    finished = len(rows) - len(waiting)
    times: list[tuple[str, float]] = []
    known = {_key_of_record(record): record for record in done.values() if record.get("outcome") != "error"}
    progress(finished, len(rows))

    initializer = _use_one_thread if workers > 1 else None
    with journal.open("a", encoding="utf-8") as file, ThreadPoolExecutor(workers, initializer=initializer) as pool:

        def work(group: Sequence[Row]) -> None:
            nonlocal finished
            clock = time.perf_counter()
            record = known.get(_key(group[0])) or _answer(coach, group[0])
            seconds = time.perf_counter() - clock
            with lock:
                for row in group:
                    file.write(json.dumps(record | {"id": row.id}, ensure_ascii=False) + "\n")
                    done[row.id] = record | {"id": row.id}
                file.flush()
                finished += len(group)
                times.append((group[0].id, seconds))
                progress(finished, len(rows))

        for future in [pool.submit(work, group) for group in groups]:
            future.result()
    records = [done[row.id] for row in rows]
    if journal != out:
        _write_parquet(records, out)
        journal.unlink()
    seconds = time.perf_counter() - started
    return Summary(
        len(rows),
        len(rows) - len(waiting),
        len(waiting) - len(groups),
        dict(Counter(str(r["outcome"]) for r in records)),
        sum(int(r.get("usage", {}).get("completion_tokens", 0)) for r in records),
        round(seconds, 2),
        round(60 * len(waiting) / seconds, 1) if waiting and seconds else 0.0,
        tuple((id_, round(s, 2)) for id_, s in sorted(times, key=lambda item: -item[1])[:5]),
    )


def rows_together(coach: Coach) -> int:
    """How many questions are asked at a time where nobody waits for one: on transformers they share forward passes."""
    if coach.mode != "write":
        return 1
    engine = coach.engine()
    return engine.most_rows if isinstance(engine, HuggingFaceEngine) else engine.at_once


def _use_one_thread() -> None:
    """What a row's thread embeds is small, and the engine has the other cores."""
    import torch

    torch.set_num_threads(1)


def read_rows(path: Path) -> list[Row]:
    """The rows of a JSONL, CSV or Parquet file; a row that cannot be understood carries its problem."""
    if not path.is_file():
        raise ConfigError(f"{path} does not exist.")
    readers: dict[str, Callable[[Path], Iterator[tuple[int, Any]]]] = {
        ".jsonl": _read_jsonl,
        ".csv": _read_csv,
        ".parquet": _read_parquet,
    }
    if path.suffix not in readers:
        raise ConfigError(f"{path} ends in {path.suffix!r}; .jsonl, .csv and .parquet are read.")
    rows: list[Row] = []
    seen: set[str] = set()
    for number, raw in readers[path.suffix](path):
        row = _row(number, raw)
        if row.id in seen:
            row = dataclasses.replace(row, id=f"{row.id}@{number}")
        seen.add(row.id)
        rows.append(row)
    return rows


def _read_jsonl(path: Path) -> Iterator[tuple[int, Any]]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except ValueError as error:
                    yield number, f"not JSON: {error}"


def _read_csv(path: Path) -> Iterator[tuple[int, Any]]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.DictReader(file)
        if "question" not in (reader.fieldnames or []):
            raise ConfigError(f"{path} has no column `question` (found: {', '.join(reader.fieldnames or [])}).")
        for number, row in enumerate(reader, 2):
            yield number, {name: value for name, value in row.items() if name in FIELDS and value}


def _read_parquet(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError("Parquet files need the extra: pip install 'ml-career-coach[eval]'.") from error
    for number, row in enumerate(parquet.read_table(path).to_pylist(), 1):
        yield number, {name: value for name, value in row.items() if value is not None}


def _row(number: int, raw: Any) -> Row:
    if isinstance(raw, str):
        return Row(f"line-{number}", None, raw)
    if not isinstance(raw, dict):
        return Row(f"line-{number}", None, f"not an object with a question: {str(raw)[:80]}")
    id_ = str(raw.get("id") or f"line-{number}")
    question = raw.get("question")
    if not isinstance(question, str) or not question.strip():
        return Row(id_, None, "no question")
    try:
        profile = _profile(raw.get("profile"))
    except (TypeError, ValueError) as error:
        return Row(id_, None, f"the profile is not understood: {error}")
    return Row(
        id_,
        Request(
            question.strip(),
            skill=str(raw.get("skill") or "ask"),
            profile=profile,
            model=str(raw.get("model") or ""),
            user="batch",
        ),
    )


def _profile(raw: Any) -> Profile:
    if not raw:
        return Profile()
    values = dict(json.loads(raw) if isinstance(raw, str) else raw)
    skills = tuple(
        SkillLevel(**skill) if isinstance(skill, dict) else SkillLevel(str(skill)) for skill in values.pop("skills", ())
    )
    return Profile(skills=skills, **values)


def _open_journal(journal: Path, out: Path, resume: bool) -> dict[str, dict[str, Any]]:
    """The records that are already there. A line torn by a kill is cut off."""
    if not resume:
        if out.exists() or journal.exists():
            raise ConfigError(
                f"{out if out.exists() else journal} is there already. Continue it with --resume, or name another file."
            )
        return {}
    if not journal.is_file():
        return {}
    done: dict[str, dict[str, Any]] = {}
    whole = 0
    content = journal.read_bytes()
    for line in content.splitlines(keepends=True):
        try:
            if not line.endswith(b"\n"):
                break
            record = json.loads(line)
            done[str(record["id"])] = record
        except (ValueError, KeyError, TypeError):
            break
        whole += len(line)
    if whole < len(content):
        with journal.open("r+b") as file:
            file.truncate(whole)
    return done


def _group(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows that ask the same are answered together."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(_key(row), []).append(row)
    return list(groups.values())


def _key(row: Row) -> tuple[str, ...]:
    if row.request is None:
        return ("", row.id)
    request = row.request
    return (request.skill, request.model, repr(request.profile), request.text)


def _key_of_record(record: dict[str, Any]) -> tuple[str, ...]:
    asked = record.get("asked") or {}
    return (asked.get("skill", ""), asked.get("model", ""), asked.get("profile", ""), record.get("question", ""))


def _answer(coach: Coach, row: Row) -> dict[str, Any]:
    if row.request is None:
        return {"id": row.id, "outcome": "error", "question": "", "error": row.problem}
    asked = {"skill": row.request.skill, "model": row.request.model, "profile": repr(row.request.profile)}
    try:
        answer = _ask_patiently(coach, row.request)
    except Exception as error:  # a thousand rows are not lost for one, whatever it was
        if not isinstance(error, CoachError):
            log.exception("row %s failed", row.id)
        return {"id": row.id, "outcome": "error", "question": row.request.text, "error": str(error), "asked": asked}
    return {
        "id": row.id,
        "outcome": answer.outcome,
        "question": row.request.text,
        "text": answer.text,
        "asked": asked,
        **_jsonable(answer),
    }


def _ask_patiently(coach: Coach, request: Request) -> Answer:
    """A full queue is no reason to lose a row: wait and ask again."""
    for attempt in range(6):
        try:
            return coach.ask(request)
        except RequestError as error:
            if not re.search("queue|wait|busy", str(error)) or attempt == 5:
                raise
            time.sleep(2**attempt)
    raise AssertionError  # the loop returns or raises


def _jsonable(answer: Answer) -> dict[str, Any]:
    whole = dataclasses.asdict(answer)
    answer_id = whole.pop("id")
    return dict(json.loads(json.dumps(whole, default=str, ensure_ascii=False))) | {"answer_id": answer_id}


def _write_parquet(records: Sequence[dict[str, Any]], out: Path) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError("Parquet files need the extra: pip install 'ml-career-coach[eval]'.") from error
    flat = [
        {
            "id": r["id"],
            "outcome": r["outcome"],
            "question": r.get("question", ""),
            "text": r.get("text", ""),
            "error": r.get("error", ""),
            "answer": json.dumps(r, ensure_ascii=False),
        }
        for r in records
    ]
    partial = out.with_name(f".{out.name}.partial")
    parquet.write_table(pyarrow.Table.from_pylist(flat), partial)
    partial.replace(out)

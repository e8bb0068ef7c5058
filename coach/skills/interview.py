"""A mock interview: questions of the catalogue, answers scored against rubric points, each point with the words that earned it."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from coach.catalogue.passages import question_passage
from coach.catalogue.tables import Catalogue, Question, RubricPoint
from coach.domain import Citation, Embedder, Passage, Request, Sentence
from coach.errors import RequestError
from coach.skills import base
from coach.skills.base import PracticeRecord, Report, SkillContext, SkillResult, SkillSpec, Slot, SlotValues

if TYPE_CHECKING:
    from fsrs import Card

Refusal = Literal["", "empty", "dont_know", "off_topic"]
DEFAULT_QUESTIONS = 5
MOST_QUESTIONS = 20
LONGEST_ANSWER = 8000
# Logistic weights of cosine, keyword hits and shared words, fitted on evals/cases/interview_answers.jsonl.
WEIGHT_COSINE, WEIGHT_KEYWORDS, WEIGHT_WORDS, BIAS = 2.0, 5.5, 5.5, -4.4
LEXICAL_BIAS = -3.1
AWARD = 0.55
LEAST_COSINE = 0.22
MISTAKE_COSINE = 0.80
OFF_TOPIC_COSINE = 0.25
DENIAL_OVERLAP = 0.6
LEAST_GRAMMAR = 0.12

_STOP = frozenset(
    ["a", "an", "the", "of", "to", "and", "or", "in", "is", "are", "be", "it", "that", "this", "with", "for", "on", "as", "by", "at", "from", "so", "than", "then", "can", "may", "you", "i", "we", "they", "its", "their", "your", "my", "has", "have", "had", "was", "were", "will", "would", "do", "does", "did"]
)
_GRAMMAR = _STOP | frozenset(
    "if when which what not no because while where how there but only also does each every all any more most than them he she "
    "up out into over between after before until without my me one two both other same such until you're i'd i'm it's don't "
    "doesn't isn't can't won't that's".split()
)
_DONT_KNOW = re.compile(
    r"^\W*(?:(?:sorry|hmm+|uh+|well|honestly)\W+)*(?:i (?:really |honestly )?(?:do not|don'?t|dont) (?:know|remember|have (?:an?|any) (?:idea|clue))|"
    r"no (?:idea|clue)|not sure|i have no (?:idea|clue)|i'?m not sure|i am not sure|pass|skip(?: (?:it|this))?|next(?: question)?|"
    r"i (?:can'?t|cannot) answer|idk|dunno|never heard|i forgot)\b",
    re.I,
)
_STOP_WORDS = re.compile(
    r"^\W*(?:stop|end|quit|finish|enough|that'?s (?:it|enough)|let'?s stop|end (?:the )?interview|summary)\W*$", re.I
)
# Rubric points of behavioural questions tell what to do ("Give a measured result"), so words and meaning do not match.
_DEEDS: tuple[tuple[str, str], ...] = (
    (
        r"measured|result|baseline|figures?|numbers?",
        r"\d.*\b(?:from|to|against|than|per cent|before|instead of|%)|\b(?:from|by|cut|reduced|raised|halved|doubled)\b.*\d",
    ),
    (
        r"yourself|decisions?|your own|you did",
        r"\b(?:my (?:part|role|job|task|decision)|I (?:\w+ )?(?:built|decided|chose|wrote|designed|proposed|led|made|changed|implemented|trained|asked|set up|started))\b",
    ),
    (
        r"differently|learn(?:ed|t)|today",
        r"\b(?:differently|next time|today I|learn(?:ed|t)|in hindsight|looking back)\b",
    ),
    (
        r"problem|why it mattered|situation|who had it",
        r"\b(?:because|delayed|lost|cost|problem|complain\w*|didn't know|was too|were leaving|needed|wanted|so that|struggl\w*)\b",
    ),
)
_IMPERATIVE = re.compile(
    r"^(?:State|Say|Give|Name|Tell|Describe|Show|Explain|Admit|Mention|Start|Own|Ask|Listen|Offer|Agree|Keep|Present|Use)\b"
)


@dataclass(frozen=True, slots=True)
class Awarded:
    """A rubric point with the words of the answer that earned it: `answer[start:end] == quote`."""

    index: int
    point: str
    weight: int
    quote: str
    start: int
    end: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Missed:
    """A rubric point that the answer lacks, with the guide that explains it."""

    index: int
    point: str
    weight: int
    guide: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """A wrong statement in the answer and what is right."""

    quote: str
    start: int
    end: int
    statement: str
    correction: str


@dataclass(frozen=True, slots=True)
class Grade:
    """The outcome of one answer. `score` is the share of the rubric's weight; None when nothing could be graded."""

    question: str
    score: float | None
    awarded: tuple[Awarded, ...] = ()
    missed: tuple[Missed, ...] = ()
    wrong: tuple[Wrong, ...] = ()
    refusal: Refusal = ""


@dataclass(frozen=True, slots=True)
class TopicScore:
    """Mean score of a topic over the answers that could be graded."""

    topic: str
    name: str
    score: float
    answers: int


@dataclass(frozen=True, slots=True)
class DueQuestion:
    """A question to repeat, and when."""

    question: str
    due: str


@dataclass(frozen=True, slots=True)
class DayScore:
    """Mean score of a day's answers."""

    day: str
    score: float
    answers: int


@dataclass(frozen=True, slots=True)
class TopicProgress:
    """What was practised of a topic across all interviews: by day, oldest first, and the question to repeat next."""

    topic: str
    name: str
    days: tuple[DayScore, ...]
    repeat: DueQuestion | None = None

    @property
    def answers(self) -> int:
        """How many answers were graded."""
        return sum(day.answers for day in self.days)


@dataclass(frozen=True, slots=True)
class Interview:
    """An interview in progress or finished."""

    questions: tuple[str, ...]
    position: int
    grades: tuple[Grade, ...]
    role: str = ""
    level: str = ""
    finished: bool = False
    topics: tuple[TopicScore, ...] = ()
    repeat: tuple[DueQuestion, ...] = ()


def pick_questions(
    catalogue: Catalogue,
    *,
    role: str = "",
    level: str = "",
    topics: Sequence[str] = (),
    count: int = DEFAULT_QUESTIONS,
    seed: int = 0,
    practice: Sequence[PracticeRecord] = (),
    today: datetime | None = None,
) -> tuple[Question, ...]:
    """Questions for the role, level and topics: those due for repetition or never asked first, then the least practised.

    Raises RequestError when a topic has no question.
    """
    rows = [
        question
        for question in catalogue.questions.values()
        if (not role or role in question.roles) and (not level or question.level == level)
    ]
    if topics:
        named = [question for question in catalogue.questions.values() if question.topic in topics]
        near = [
            question
            for question in catalogue.questions.values()
            if question not in named
            and any(
                topic in catalogue.skills[question.topic].prerequisites
                or question.topic in catalogue.skills[topic].prerequisites
                for topic in topics
            )
        ]
        exact = [question for question in named if not level or question.level == level] or named
        rows = exact + [q for q in named if q not in exact] + (near if len(named) < count else [])
        if not rows:
            raise RequestError(
                f"There is no interview question about {base.join_words(list(topics))} yet. Choose another topic."
            )
    elif not rows:
        rows = [question for question in catalogue.questions.values() if not role or role in question.roles]
    rows = rows or list(catalogue.questions.values())
    times: dict[str, int] = {}
    last: dict[str, PracticeRecord] = {}
    for record in practice:
        times[record.question] = times.get(record.question, 0) + 1
        last[record.question] = record
    now = today or datetime.now(UTC)
    shuffled = random.Random(seed)
    order = {question.id: shuffled.random() for question in rows}
    exact_first = {question.id: int(bool(topics) and question.topic not in topics) for question in rows}
    waits = {q.id: int(q.id in last and bool(last[q.id].card) and _due(last[q.id].card) > now) for q in rows}
    rows.sort(key=lambda q: (waits[q.id], exact_first[q.id], times.get(q.id, 0), order[q.id]))
    return tuple(rows[: max(1, min(count, MOST_QUESTIONS))])


def grade(question: Question, answer: str, embedder: Embedder | None = None) -> Grade:
    """Rubric points that the answer earns, each with its words, points it lacks, and wrong statements.

    A point is awarded when meaning, keywords and shared words of one or two sentences speak for it together. An empty,
    "I don't know" or off-topic answer gets no score.
    """
    answer = answer[:LONGEST_ANSWER]
    refusal = _refusal(answer)
    missed = tuple(Missed(i, p.point, p.weight, p.guide) for i, p in enumerate(question.rubric))
    if refusal:
        return Grade(question.id, None, (), missed, (), refusal)
    windows = _windows(answer)
    evidence = _Evidence(question, windows, embedder)
    if evidence.off_topic():
        return Grade(question.id, None, (), missed, (), "off_topic")
    wrong = evidence.mistakes()
    awarded = []
    for index, point in enumerate(question.rubric):
        best = evidence.best(index, point, blocked=wrong)
        if best is not None and best[1] >= AWARD:
            start, end, text = best[0]
            awarded.append(Awarded(index, point.point, point.weight, text, start, end, round(best[1], 3)))
    got = {item.index for item in awarded}
    total = sum(point.weight for point in question.rubric)
    return Grade(
        question.id,
        round(sum(item.weight for item in awarded) / total, 4),
        tuple(awarded),
        tuple(item for item in missed if item.index not in got),
        wrong,
    )


def review(record: PracticeRecord | None, question: str, score: float, now: datetime) -> PracticeRecord:
    """The practice record of an answer: its spaced-repetition card moved on by the score."""
    from fsrs import Card, Rating, Scheduler

    rating = (
        Rating.Again if score < 0.35 else Rating.Hard if score < 0.6 else Rating.Good if score < 0.85 else Rating.Easy
    )
    card: Card = Card.from_json(record.card) if record and record.card else Card(card_id=1, due=now)
    moved, _ = Scheduler(enable_fuzzing=False).review_card(card, rating, now)
    return PracticeRecord(question, score, now.isoformat(), moved.to_json())


def due_questions(practice: Sequence[PracticeRecord]) -> tuple[DueQuestion, ...]:
    """Practised questions by the day they should be repeated, soonest first."""
    last = {record.question: record for record in practice if record.card}
    found = [DueQuestion(name, _due(record.card).date().isoformat()) for name, record in last.items()]
    return tuple(sorted(found, key=lambda item: (item.due, item.question)))


def track_progress(catalogue: Catalogue, practice: Sequence[PracticeRecord]) -> tuple[TopicProgress, ...]:
    """Practice by topic, the topic to repeat soonest first. Questions that left the catalogue are left out."""
    known = [record for record in practice if record.question in catalogue.questions]
    due = due_questions(known)
    topics: dict[str, dict[str, list[float]]] = {}
    for record in known:
        days = topics.setdefault(catalogue.questions[record.question].topic, {})
        days.setdefault(record.answered_at[:10], []).append(record.score)
    found = [
        TopicProgress(
            topic,
            catalogue.skills[topic].name,
            tuple(DayScore(day, round(sum(s) / len(s), 3), len(s)) for day, s in sorted(days.items())),
            next((item for item in due if catalogue.questions[item.question].topic == topic), None),
        )
        for topic, days in topics.items()
    ]
    return tuple(sorted(found, key=lambda item: (item.repeat.due if item.repeat else "9999", item.days[-1].score)))


def summarise(catalogue: Catalogue, grades: Sequence[Grade]) -> tuple[TopicScore, ...]:
    """Mean score by topic, weakest first."""
    by_topic: dict[str, list[float]] = {}
    for item in grades:
        if item.score is not None or item.refusal == "dont_know":
            by_topic.setdefault(catalogue.questions[item.question].topic, []).append(item.score or 0.0)
    return tuple(
        sorted(
            (
                TopicScore(topic, catalogue.skills[topic].name, round(sum(s) / len(s), 3), len(s))
                for topic, s in by_topic.items()
            ),
            key=lambda item: (item.score, item.topic),
        )
    )


# -- the skill ----------------------------------------------------------------------------------------------------


def run(request: Request, values: SlotValues, context: SkillContext) -> SkillResult:
    """Start an interview, or, while one is open (`context.state`), grade the text as the answer to the open question."""
    if context.state and not values.text("restart"):
        return _continue(_load(context.state, context.catalogue), values.text("answer", request.text), context)
    role = values.text("role", request.profile.target_role)
    role = base.find_role(context.catalogue, role).id if role else ""
    topics = []
    for name in values.items("topic"):
        skill = context.catalogue.find_skill(name)
        if skill is None:
            raise RequestError(
                f"The catalogue has no topic {name!r}. Name a skill such as SQL, statistics or transformers."
            )
        topics.append(skill.id)
    count = values.number("questions")
    if count is not None and not 1 <= count <= MOST_QUESTIONS:
        raise RequestError(f"{count:g} questions are not possible. Give between 1 and {MOST_QUESTIONS}.")
    if not role and not topics:
        return base.ask_for(
            SPEC.slot("topic"), suggestions=("Machine learning engineer", "Statistics", "SQL", "Transformers")
        )
    seed = values.number("seed")
    questions = pick_questions(
        context.catalogue,
        role=role,
        level=values.text("level"),
        topics=topics,
        count=int(count or DEFAULT_QUESTIONS),
        seed=int(seed) if seed is not None else context.today.toordinal(),
        practice=context.practice,
        today=_now(context),
    )
    interview = Interview(tuple(q.id for q in questions), 0, (), role, values.text("level"))
    report = Report()
    report.say(
        f'{base.count_of(len(questions), "question")}. Answer in your own words; "I don\'t know" and "stop" are fine.'
    )
    report.paragraph()
    _ask(report, questions[0], 1, len(questions))
    return report.result(interview, follow_up=questions[0].question, state=base.to_json(interview))


def _continue(interview: Interview, answer: str, context: SkillContext) -> SkillResult:
    report = Report()
    if _STOP_WORDS.match(answer):
        return _finish(interview, report, context, ())
    question = context.catalogue.questions[interview.questions[interview.position]]
    graded = grade(question, answer, context.embedder)
    _say_grade(report, graded, question, answer, context)
    records: tuple[PracticeRecord, ...] = ()
    if graded.refusal in {"empty", "off_topic"}:
        report.paragraph()
        _ask(report, question, interview.position + 1, len(interview.questions))
        return report.result(interview, follow_up=question.question, state=base.to_json(interview))
    before = next((item for item in reversed(context.practice) if item.question == question.id), None)
    records = (review(before, question.id, graded.score or 0.0, _now(context)),)
    moved = Interview(
        interview.questions, interview.position + 1, (*interview.grades, graded), interview.role, interview.level
    )
    if moved.position >= len(moved.questions):
        return _finish(moved, report, context, records)
    following = context.catalogue.questions[moved.questions[moved.position]]
    report.paragraph()
    _ask(report, following, moved.position + 1, len(moved.questions))
    return report.result(moved, follow_up=following.question, state=base.to_json(moved), practice=records)


def _ask(report: Report, question: Question, number: int, total: int) -> None:
    # Without its passage, which holds the rubric: what a good answer says is shown after the answer.
    report.say(f"Question {number} of {total}: {question.question}")


def _say_grade(report: Report, graded: Grade, question: Question, answer: str, context: SkillContext) -> None:
    if graded.refusal == "empty":
        report.say('There is no answer yet. Take your time, or write "I don\'t know" to go on.')
        return
    if graded.refusal == "off_topic":
        report.say("That does not seem to be about the question, so it is not graded. Here it is once more.")
        return
    mine = Passage("resume/answer", "Your answer", answer, "what you wrote", kind="resume", end=len(answer))
    rubric = question_passage(question)
    if graded.refusal == "dont_know":
        report.say("Knowing where a gap is helps: this is what a good answer contains.", rubric)
    else:
        got, total = sum(item.weight for item in graded.awarded), sum(point.weight for point in question.rubric)
        report.say(f"{got} of {total} points.", rubric)
    for item in graded.awarded:
        report.say(
            f'- Earned ({item.weight}): {item.point} You wrote: "{item.quote}"',
            (mine, item.quote),
            (rubric, item.point),
        )
    for gap in graded.missed:
        report.say(f"- Missing ({gap.weight}): {gap.point}", (rubric, gap.point), _guide_for(gap, context))
    for mistake in graded.wrong:
        report.say(
            f'- Not right: "{mistake.quote}" {mistake.correction}', (mine, mistake.quote), (rubric, mistake.correction)
        )
    if question.follow_up and graded.score is not None and graded.score >= 0.5:
        report.say(f"- To think further: {question.follow_up}", rubric)


def _finish(
    interview: Interview, report: Report, context: SkillContext, records: tuple[PracticeRecord, ...]
) -> SkillResult:
    catalogue = context.catalogue
    topics = summarise(catalogue, interview.grades)
    repeat = due_questions((*context.practice, *records))[:5]
    done = Interview(
        interview.questions, interview.position, interview.grades, interview.role, interview.level, True, topics, repeat
    )
    report.paragraph()
    scores = [item.score or 0.0 for item in interview.grades]
    if not scores:
        report.say("The interview ends here, and nothing was graded.")
        return report.result(done, state="")
    report.say(
        f"The interview is over: {sum(scores) / len(scores):.0%} of the points over {base.count_of(len(scores), 'answer')}."
    )
    weak = [item for item in topics if item.score < 0.6]
    if weak:
        report.say("Weakest: " + base.join_words([f"{item.name} ({item.score:.0%})" for item in weak[:3]]) + ".")
    if repeat:
        first = catalogue.questions[repeat[0].question]
        report.say(f"Repeat first, on {repeat[0].due}: {first.question}", question_passage(first))
    names = ", ".join(item.name for item in weak[:3])
    return report.result(
        done,
        state="",
        practice=records,
        suggestions=(f"Make me a roadmap with {names}",) if weak else ("Another interview",),
    )


def _guide_for(gap: Missed, context: SkillContext) -> Passage | None:
    """The section that explains the point, or what the guide says next to it."""
    if "#" in gap.guide:
        return context.guide(gap.guide)
    near = [item for item in context.find_passages(gap.point, 4) if item.document == gap.guide]
    return near[0] if near else context.guide(gap.guide)


def _now(context: SkillContext) -> datetime:
    return datetime.combine(context.today, time(12), tzinfo=UTC)


def _due(card: str) -> datetime:
    return datetime.fromisoformat(json.loads(card)["due"])


def _load(state: str, catalogue: Catalogue) -> Interview:
    """The interview that `to_json` wrote. Raises RequestError when it belongs to another catalogue."""
    try:
        raw = json.loads(state)
        grades = tuple(
            Grade(
                g["question"],
                g["score"],
                tuple(Awarded(**a) for a in g["awarded"]),
                tuple(Missed(**m) for m in g["missed"]),
                tuple(Wrong(**w) for w in g["wrong"]),
                g["refusal"],
            )
            for g in raw["grades"]
        )
        interview = Interview(tuple(raw["questions"]), raw["position"], grades, raw["role"], raw["level"])
        _ = [catalogue.questions[name] for name in interview.questions], interview.questions[interview.position]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise RequestError("The interview cannot be continued. Start a new one.") from error
    return interview


# -- grading --------------------------------------------------------------------------------------------------------

_Window = tuple[int, int, str]


def _refusal(answer: str) -> Refusal:
    words = re.findall(r"\w+", answer)
    if _DONT_KNOW.match(answer) and len(words) <= 14:
        return "dont_know"
    return "empty" if len(words) < 2 else ""


def _windows(answer: str) -> list[_Window]:
    """Spans of the answer: sentences, pairs of neighbouring sentences, and clauses of four words or more."""
    spans = [
        (m.start(), m.end()) for m in re.finditer(r"\S.*?(?:[.!?](?=\s|$)|(?=\n)|$)", answer, re.S) if m[0].strip()
    ]
    pairs = [(a, d) for (a, _), (_, d) in pairwise(spans) if d - a <= 400]
    clauses = []
    for start, end in spans:
        cut = start
        for mark in re.finditer(r"[;:,]\s+", answer[start:end]):
            clauses.append((cut, start + mark.start()))
            cut = start + mark.end()
        if cut > start:
            clauses.append((cut, end))
    kept = [span for span in clauses if len(answer[span[0] : span[1]].split()) >= 4]
    return [(a, b, answer[a:b]) for a, b in dict.fromkeys([*spans, *kept, *pairs])]


class _Evidence:
    """Similarities of the windows of an answer to the rubric and the known mistakes of a question."""

    def __init__(self, question: Question, windows: Sequence[_Window], embedder: Embedder | None) -> None:
        self.question = question
        self.windows = windows
        self.cosines: Any = None
        if embedder is not None:
            points = [
                *(point.point for point in question.rubric),
                *(m.statement for m in question.mistakes),
                question.question,
            ]
            self.cosines = (
                embedder.embed_documents(points) @ embedder.embed_documents([text for _, _, text in windows]).T
            )
        self._asked = set(_stems(question.question))
        self._words = [_stems(text) for _, _, text in windows]

    def off_topic(self) -> bool:
        """Whether nothing in the answer is near to the question or any of its points."""
        hits = sum(self._keywords(point, words) for point in self.question.rubric for words in self._words)
        if hits or any(_IMPERATIVE.match(point.point) for point in self.question.rubric):
            return False
        if self.cosines is not None:
            return bool(self.cosines.max() < OFF_TOPIC_COSINE)
        shared = self._asked.union(*(_stems(point.point) for point in self.question.rubric))
        return not any(shared & set(words) for words in self._words)

    def mistakes(self) -> tuple[Wrong, ...]:
        """Known wrong statements that a window makes: near in meaning and sharing most words, the same way negated."""
        found = []
        count = len(self.question.rubric)
        for number, mistake in enumerate(self.question.mistakes):
            wanted = set(_stems(mistake.statement))
            best: tuple[float, int] | None = None
            for index, (_, _, text) in enumerate(self.windows):
                shared = len(wanted & set(self._words[index])) / max(1, len(wanted))
                cosine = float(self.cosines[count + number][index]) if self.cosines is not None else shared
                if shared >= 0.6 and cosine >= MISTAKE_COSINE and _negations(text) == _negations(mistake.statement):
                    score = shared + cosine - len(text) / 2000
                    best = max(best, (score, index)) if best else (score, index)
            if best:
                start, end, text = self.windows[best[1]]
                found.append(Wrong(text, start, end, mistake.statement, mistake.correction))
        return tuple(found)

    def best(self, index: int, point: RubricPoint, blocked: Sequence[Wrong]) -> tuple[_Window, float] | None:
        """The window that speaks most for a rubric point, with the probability; windows with a mistake do not count."""
        best: tuple[_Window, float] | None = None
        closed = [(wrong.start, wrong.end) for wrong in blocked] + self._denials(point)
        for number, window in enumerate(self.windows):
            if any(window[0] < end and start < window[1] for start, end in closed) or _is_list_of_words(window[2]):
                continue
            probability = self._probability(index, point, number)
            if best is None or probability - len(window[2]) / 20000 > best[1] - len(best[0][2]) / 20000:
                best = (window, probability)
        return best

    def _denials(self, point: RubricPoint) -> list[tuple[int, int]]:
        """Single sentences and clauses that say most of the point's words but negate them."""
        wanted = set(_stems(point.point))
        return [(start, end) for (start, end, text), words in zip(self.windows, self._words, strict=True)
                if len(wanted & set(words)) >= DENIAL_OVERLAP * len(wanted) and _negations(text) != _negations(point.point)
                and not re.search(r"[.!?]\s+\S", text)]

    def _probability(self, index: int, point: RubricPoint, number: int) -> float:
        text, words = self.windows[number][2], self._words[number]
        if _IMPERATIVE.match(point.point):
            for told, shown in _DEEDS:
                if re.search(told, point.point, re.I) and re.search(shown, text):
                    return 0.7
        wanted = set(_stems(point.point)) - self._asked or set(_stems(point.point))
        shared = len(wanted & set(words)) / len(wanted)
        keywords = min(self._keywords(point, words), 3) / 3
        if self.cosines is None:
            return _sigmoid(LEXICAL_BIAS + WEIGHT_KEYWORDS * keywords + WEIGHT_WORDS * shared)
        cosine = float(self.cosines[index][number])
        if cosine < LEAST_COSINE:
            return 0.0
        return _sigmoid(BIAS + WEIGHT_COSINE * cosine + WEIGHT_KEYWORDS * keywords + WEIGHT_WORDS * shared)

    def _keywords(self, point: RubricPoint, words: Sequence[str]) -> int:
        joined = f" {' '.join(words)} "
        return sum(
            1 for stems in {" ".join(_stems(keyword)) for keyword in point.keywords} if stems and f" {stems} " in joined
        )


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    import Stemmer

    return Stemmer.Stemmer("english")


def _stems(text: str) -> list[str]:
    words: list[str] = _stemmer().stemWords(
        [word for word in re.findall(r"[a-z0-9]+", text.lower()) if word not in _STOP]
    )
    return words


def _is_list_of_words(text: str) -> bool:
    """Whether the words name things without saying anything about them: hardly a word of grammar among them."""
    words = re.findall(r"[a-z']+", text.lower())
    return len(words) < 4 or sum(word in _GRAMMAR for word in words) < LEAST_GRAMMAR * len(words)


def _negations(text: str) -> int:
    return len(re.findall(r"\b(?:not|no|never|cannot|without|none)\b|n't\b", text, re.I)) % 2


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def quoted(graded: Grade, answer: str) -> tuple[Sentence, ...]:
    """The awarded spans as quoted sentences, for front ends that mark them in the answer."""
    return tuple(
        Sentence(item.quote, (Citation("resume/answer", item.start, item.end),), 1.0, "quoted")
        for item in graded.awarded
        if answer[item.start : item.end] == item.quote
    )


SPEC = SkillSpec(
    name="interview",
    title="Mock interview",
    summary="Interview questions on your topics, with your answers scored point by point.",
    examples=(
        "grill me on transformers",
        "mock interview for data scientist",
        "quiz me on SQL",
        "ask me three interview questions about statistics",
        "let's do a practice interview",
        "test my knowledge of probability",
        "interview me for a machine learning engineer job",
        "I want to practise interview questions",
        "start an interview with five questions",
        "drill me on deep learning basics",
        "can you simulate an interview for MLOps",
        "give me a question about gradient boosting",
        "ask me something about embeddings",
        "be my interviewer for a senior data engineer position",
        "train with me for my interview next week",
        "pose questions on A/B testing and grade my answers",
        "examine me on linear algebra",
        "let me practise answering behavioural questions",
        "rehearse a technical interview with me",
        "throw some Python questions at me",
        "another question please",
        "next interview question",
        "what should I repeat from the questions I practised",
        "run through ML system design questions with me",
        "quiz on retrieval-augmented generation",
        "interview practice, topic computer vision",
        "check my knowledge with a few questions",
        "challenge me with hard questions on LLMs",
        "play interviewer, role NLP engineer",
        "grade my answers to interview questions",
    ),
    slots=(
        Slot("role", "For which role do you practise?", "role", help="Role of the interview."),
        Slot(
            "level",
            "At which level: junior, mid or senior?",
            "level",
            choices=("junior", "mid", "senior"),
            help="Level of the questions.",
        ),
        Slot(
            "topic",
            "On which topic or for which role shall I ask?",
            "skill",
            required=True,
            help="Topics, e.g. sql,statistics.",
        ),
        Slot("questions", "How many questions?", "number", help="Number of questions, 5 when not given."),
        Slot("answer", "Your answer?", "text", help="The answer to the open question."),
        Slot("seed", "Which order?", "number", help="Same seed, same questions."),
    ),
    run=run,
)

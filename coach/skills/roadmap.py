"""A study plan: what a role still asks for, in prerequisite order, packed into weeks, with what a deadline leaves out."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from graphlib import TopologicalSorter

from coach.catalogue.passages import skill_passage
from coach.catalogue.tables import LEVELS, Catalogue, RoleCard
from coach.domain import Passage, Request, SkillLevel
from coach.errors import RequestError
from coach.skills import base, slots
from coach.skills.base import DoneStep, Report, SkillContext, SkillResult, SkillSpec, Slot, SlotValues

HOURS_RULE = (
    "Hours count from the level you have to the level aimed at: the catalogue's hours lead to working level, "
    "basic takes 0.4 times, strong 2 times and expert 4 times as many."
)
MOST_HOURS_PER_WEEK = 80.0
LONGEST_PLAN_WEEKS = 520


@dataclass(frozen=True, slots=True)
class StepResource:
    """Something to learn a step from."""

    title: str
    url: str
    cost: str
    hours: float


@dataclass(frozen=True, slots=True)
class Step:
    """One skill to bring to a level. Weeks count from 1; `weight` 0 means the role needs it only as a prerequisite."""

    skill: str
    name: str
    have: str
    target: str
    weight: int
    hours: float
    start_week: int
    end_week: int
    starts_on: date
    ends_on: date
    needed_for: tuple[str, ...]
    after: tuple[str, ...]
    milestone: str
    guide: str
    resources: tuple[StepResource, ...]


@dataclass(frozen=True, slots=True)
class Allocation:
    """Minutes of one week spent on one skill."""

    week: int
    skill: str
    minutes: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A step that the deadline leaves no time for, in the order of dropping."""

    skill: str
    name: str
    target: str
    weight: int
    hours: float


@dataclass(frozen=True, slots=True)
class Roadmap:
    """A whole plan. `done` holds every step ever marked done; `assumed` what held skills imply at basic level.

    `calendar` is the plan as an iCalendar file where the person asked for one.
    """

    role: str
    level: str
    hours_per_week: float
    start: date
    deadline: date | None
    steps: tuple[Step, ...]
    weeks: int
    total_hours: float
    allocations: tuple[Allocation, ...]
    left_out: tuple[LeftOut, ...]
    needed_hours_per_week: float | None
    met: tuple[str, ...]
    assumed: tuple[str, ...]
    done: tuple[DoneStep, ...]
    hours_rule: str = HOURS_RULE
    calendar: str = ""

    @property
    def ends_on(self) -> date:
        """The last day of the last week."""
        return self.start + timedelta(weeks=self.weeks) - timedelta(days=1) if self.weeks else self.start


@dataclass(frozen=True, slots=True)
class _Need:
    skill: str
    have: str
    target: str
    weight: int
    minutes: int


def plan(
    catalogue: Catalogue,
    role: str,
    level: str,
    have: Sequence[SkillLevel],
    *,
    hours_per_week: float,
    start: date,
    deadline: date | None = None,
    done: Sequence[DoneStep] = (),
) -> Roadmap:
    """The plan for a level of a role from what a person has and has done.

    A held skill implies its prerequisites at basic level unless a level was stated for them. Raises RequestError for
    an unknown role, hours out of (0, 80], or a deadline less than a week away.
    """
    card = base.find_role(catalogue, role)
    at = card.at(level or "junior")
    minutes_per_week = _minutes_per_week(hours_per_week)
    weeks_left = None if deadline is None else _weeks_until(start, deadline)
    held, assumed = _held(catalogue, have, done)
    needs = _remaining(catalogue, card, at.level, held)
    edges = _edges(catalogue, needs)
    kept, dropped = _fit(needs, edges, None if weeks_left is None else weeks_left * minutes_per_week)
    order = list(_order(catalogue, kept, needs, edges))
    allocations = _pack([needs[name] for name in order], minutes_per_week)
    steps = tuple(_step(catalogue, needs[name], allocations, edges, needs, start) for name in order)
    total = sum(need.minutes for need in needs.values())
    wanted = {need.skill: need.target for need in at.skills}
    return Roadmap(
        role=card.id,
        level=at.level,
        hours_per_week=minutes_per_week / 60,
        start=start,
        deadline=deadline,
        steps=steps,
        weeks=allocations[-1].week if allocations else 0,
        total_hours=total / 60,
        allocations=allocations,
        left_out=tuple(
            LeftOut(n, catalogue.skills[n].name, needs[n].target, needs[n].weight, needs[n].minutes / 60)
            for n in dropped
        ),
        needed_hours_per_week=round(total / 60 / weeks_left + 0.05, 1) if weeks_left and dropped else None,
        met=tuple(name for name, target in wanted.items() if _at_least(held.get(name, "none"), target)),
        assumed=assumed,
        done=_merge_done(done),
    )


def to_markdown(roadmap: Roadmap, catalogue: Catalogue) -> str:
    """The plan as a Markdown document with check boxes."""
    role = catalogue.roles[roadmap.role]
    lines = [
        f"# Roadmap: {roadmap.level} {base.lower_first(role.name)}",
        "",
        f"{roadmap.hours_per_week:g} hours a week from {roadmap.start}, "
        f"{base.count_of(roadmap.weeks, 'week')}, until {roadmap.ends_on}.",
        "",
        roadmap.hours_rule,
        "",
        "## Steps",
        "",
    ]
    lines += [
        f"- [x] {catalogue.skills[item.skill].name} to {item.level} level (done{' ' + item.on if item.on else ''})"
        for item in roadmap.done
        if item.skill in catalogue.skills
    ]
    for number, step in enumerate(roadmap.steps, start=1):
        lines += [
            f"- [ ] {number}. **{step.name}** to {step.target} level: {_when(step)}, {step.hours:g} hours",
            f"  - Milestone: {step.milestone}",
        ]
        lines += [f"  - Learn from: [{item.title}]({item.url}) ({item.cost})" for item in step.resources]
        lines += [f"  - Guide: {step.guide}"]
    if roadmap.left_out:
        lines += ["", f"## Does not fit before {roadmap.deadline}", "", "To drop first:", ""]
        lines += [
            f"{number}. {item.name} ({item.hours:g} hours, importance {item.weight} of 3)"
            for number, item in enumerate(roadmap.left_out, start=1)
        ]
    return "\n".join(lines) + "\n"


def to_json(roadmap: Roadmap) -> str:
    """The plan as JSON text."""
    return base.to_json(roadmap)


def to_ics(roadmap: Roadmap, catalogue: Catalogue, *, stamp: datetime | None = None) -> bytes:
    """The plan as an iCalendar file: an all-day event a step, and one for the deadline. Identifiers are stable."""
    from icalendar import Calendar, Event

    made = stamp or datetime.combine(roadmap.start, time(), tzinfo=UTC)
    calendar = Calendar()
    calendar.add("prodid", "-//ml-career-coach//roadmap//EN")
    calendar.add("version", "2.0")
    role = catalogue.roles[roadmap.role]
    events = [
        (
            f"{step.skill}-{step.target}",
            f"{step.name} to {step.target} level ({step.hours:g} h)",
            "\n".join([step.milestone, *(f"{item.title}: {item.url}" for item in step.resources)]),
            step.starts_on,
            step.ends_on + timedelta(days=1),
        )
        for step in roadmap.steps
    ]
    if roadmap.deadline:
        events.append(
            (
                "deadline",
                f"Deadline: {roadmap.level} {role.name}",
                "",
                roadmap.deadline,
                roadmap.deadline + timedelta(days=1),
            )
        )
    for key, summary, description, first, after_last in events:
        event = Event()
        event.add("uid", f"{roadmap.role}-{roadmap.level}-{key}@ml-career-coach")
        event.add("dtstamp", made)
        event.add("summary", summary)
        event.add("dtstart", first)
        event.add("dtend", after_last)
        if description:
            event.add("description", description)
        calendar.add_component(event)
    return bytes(calendar.to_ical())


# -- the skill ----------------------------------------------------------------------------------------------------


def run(request: Request, values: SlotValues, context: SkillContext) -> SkillResult:
    """Plan from the slots and the profile, or mark steps done (slot `done`) and plan anew."""
    profile = request.profile
    role = values.text("role", profile.target_role)
    if not role:
        return base.ask_for(
            SPEC.slot("role"), suggestions=tuple(card.name for card in list(context.catalogue.roles.values())[:5])
        )
    hours = values.number("hours_per_week") if values.text("hours_per_week") else profile.hours_per_week
    if hours is None:
        return base.ask_for(SPEC.slot("hours_per_week"))
    have = _stated(values, profile.skills, context.catalogue)
    level = values.text("level", profile.target_level) or "junior"
    newly = tuple(
        DoneStep(item.skill, item.level, context.today.isoformat()) for item in _marked(values, role, level, context)
    )
    deadline = _deadline(values, context.today)
    roadmap = plan(
        context.catalogue,
        role,
        level,
        have,
        hours_per_week=hours,
        start=context.today,
        deadline=deadline,
        done=(*context.done, *newly),
    )
    if values.text("export"):
        return _report_calendar(roadmap, have, context)
    return _report(
        roadmap, context, unknown=slots.unknown_skills(values.items("skills"), context.catalogue), newly=newly
    )


def _report(
    roadmap: Roadmap, context: SkillContext, *, unknown: Sequence[str] = (), newly: Sequence[DoneStep] = ()
) -> SkillResult:
    report = Report()
    role = context.catalogue.roles[roadmap.role]
    needs = base.requirements_passage(context.catalogue, role, roadmap.level)
    who = f"{roadmap.level} {base.lower_first(role.name)}"
    if newly:
        report.say(
            f"Marked as done: {base.join_words([_done_name(item, context.catalogue) for item in newly])}; "
            "the plan is made anew."
        )
    if not roadmap.steps and not roadmap.left_out:
        report.say(f"You have every skill that the role of {who} asks for.", needs)
        return report.result(roadmap)
    planned = sum(step.hours for step in roadmap.steps)
    report.say(
        f"From where you stand to {who}: {base.count_of(len(roadmap.steps), 'step')} and {planned:g} hours, which is "
        f"{base.count_of(roadmap.weeks, 'week')} at {roadmap.hours_per_week:g} hours a week, "
        f"until {roadmap.ends_on.isoformat()}.",
        needs,
    )
    if unknown:
        report.say(
            f"The catalogue does not know {base.join_words([repr(name) for name in unknown])}, so it was not counted."
        )
    if roadmap.deadline and not roadmap.left_out:
        report.say(f"That fits before {roadmap.deadline.isoformat()}.")
    if roadmap.left_out:
        _say_left_out(report, roadmap, needs)
    before = [item for item in roadmap.done if item.skill not in {step.skill for step in newly}]
    if before:
        report.say(f"Kept from before: {base.join_words([_done_name(item, context.catalogue) for item in before])}.")
    report.paragraph()
    for number, step in enumerate(roadmap.steps, start=1):
        row = skill_passage(context.catalogue, context.catalogue.skills[step.skill])
        full = context.catalogue.skills[step.skill].hours
        hours = (row, f"{step.name} takes about {full:g} hours from zero to working level.")
        guide = _guide(context, step)
        report.say(
            f"{number}. {step.name} to {step.target} level: {_when(step)}, {step.hours:g} hours{_because(step)}.",
            guide or hours,
            unmarked=(hours,) if guide else (),
        )
    report.paragraph()
    for step in roadmap.steps[:2]:
        row = skill_passage(context.catalogue, context.catalogue.skills[step.skill])
        report.say(f"To prove {step.name}: {step.milestone}", (row, step.milestone))
        for item in step.resources[:1]:
            report.say(
                f"Learn it from {item.title} ({item.cost}, about {item.hours:g} hours): {item.url}",
                _resource_passage(item, context),
            )
    report.paragraph()
    report.say(roadmap.hours_rule)
    if roadmap.assumed:
        names = [context.catalogue.skills[name].name for name in roadmap.assumed]
        report.say(f"Taken as known at basic level, because what you have builds on it: {base.join_words(names)}.")
    return report.result(
        roadmap,
        done=tuple(newly),
        suggestions=("Mark a step done", "Change the hours a week", "Export the plan to my calendar"),
    )


def _report_calendar(roadmap: Roadmap, have: Sequence[SkillLevel], context: SkillContext) -> SkillResult:
    """The plan as a calendar file, and how each front end hands it over."""
    report = Report()
    role = context.catalogue.roles[roadmap.role]
    if not roadmap.steps:
        report.say("There is no step left in the plan, so there is nothing to put into a calendar.")
        return report.result(roadmap)
    report.say(
        f"The calendar of your plan to {roadmap.level} {base.lower_first(role.name)} has an entry for each of the "
        f"{base.count_of(len(roadmap.steps), 'step')}, until {roadmap.ends_on.isoformat()}.",
        base.requirements_passage(context.catalogue, role, roadmap.level),
    )
    report.paragraph()
    report.say("- On Discord: the file roadmap.ics comes with this answer.")
    report.say('- In the browser: on the tab "Plan", press "Make my plan", then "Calendar (.ics)".')
    report.say(f"- On the command line: `{_command(roadmap, have)} --ics plan.ics`")
    report.paragraph()
    report.say("Google Calendar, Outlook and Apple Calendar import the file; importing a later plan updates its entries.")
    return report.result(replace(roadmap, calendar=to_ics(roadmap, context.catalogue).decode()))


def _command(roadmap: Roadmap, have: Sequence[SkillLevel]) -> str:
    words = ["coach", "roadmap", "--role", roadmap.role, "--level", roadmap.level]
    words += ["--hours-per-week", f"{roadmap.hours_per_week:g}"]
    if have:
        words += ["--skills", ",".join(f"{item.skill}:{item.level}" for item in have)]
    return " ".join(words + (["--deadline", roadmap.deadline.isoformat()] if roadmap.deadline else []))


def _say_left_out(report: Report, roadmap: Roadmap, needs: Passage) -> None:
    gone = sum(item.hours for item in roadmap.left_out)
    names = [f"{item.name} ({item.hours:g} h)" for item in roadmap.left_out]
    report.say(
        f"{base.count_of(gone, 'hour')} of work do not fit before {roadmap.deadline}: "
        f"drop first {base.join_words(names[:6])}{f' and {len(names) - 6} more' if len(names) > 6 else ''}.",
        needs,
    )
    required = [item.name for item in roadmap.left_out if item.weight == 3]
    if required:
        report.say(
            f"Among them the role requires {base.join_words(required)}, so the deadline is too early for this role.",
            needs,
        )
    if roadmap.needed_hours_per_week:
        report.say(f"Everything fits with {roadmap.needed_hours_per_week:g} hours a week or a later deadline.")


def _because(step: Step) -> str:
    return f", needed for {base.join_words(step.needed_for[:2])}" if step.weight == 0 and step.needed_for else ""


def _when(step: Step) -> str:
    return (
        f"week {step.start_week}" if step.start_week == step.end_week else f"weeks {step.start_week} to {step.end_week}"
    )


def _done_name(item: DoneStep, catalogue: Catalogue) -> str:
    skill = catalogue.skills.get(item.skill)
    return f"{skill.name if skill else item.skill} at {item.level} level"


def _guide(context: SkillContext, step: Step) -> Passage | None:
    found = context.guide(step.guide)
    if found:
        return found
    near = context.find_passages(f"how to learn {step.name}", 1)
    return near[0] if near else None


def _resource_passage(item: StepResource, context: SkillContext) -> Passage:
    row = next(row for row in context.catalogue.resources.values() if row.url == item.url and row.title == item.title)
    text = (
        f"{row.title} ({row.kind}, {row.cost}, about {row.hours:g} hours): {row.url} {row.summary} {row.not_good_for}"
    )
    return Passage(
        f"catalogue/resources/{row.id}", row.title, text, row.url, row.checked, kind="catalogue", end=len(text)
    )


def _stated(values: SlotValues, profile: Iterable[SkillLevel], catalogue: Catalogue) -> tuple[SkillLevel, ...]:
    """Profile skills, and over them the ones given with the request."""
    merged = {item.skill: item for item in profile if item.skill in catalogue.skills}
    merged |= {item.skill: item for item in slots.skills_in(values.text("skills"), catalogue)}
    return tuple(merged.values())


def _marked(values: SlotValues, role: str, level: str, context: SkillContext) -> tuple[SkillLevel, ...]:
    """Skills to mark done; without a stated level, at the level the role asks for, or the basic one of a prerequisite."""
    card = context.catalogue.find_role(role)
    targets = {need.skill: need.target for need in card.at(level).skills} if card else {}
    marked = []
    for entry in values.items("done"):
        for item in slots.skills_in(entry, context.catalogue):
            stated = re.search(rf"[:=(\s](?:{'|'.join(LEVELS[1:])})\b", entry, re.I)
            marked.append(item if stated else SkillLevel(item.skill, targets.get(item.skill, "basic")))
    return tuple(marked)


def _deadline(values: SlotValues, today: date) -> date | None:
    text = values.text("deadline")
    if not text:
        return None
    found = slots.deadline_in(text, today)
    if found is None:
        raise RequestError(f'The deadline {text!r} is no date. Write it as 2027-06-30 or "in 6 months".')
    return found


# -- the computation ----------------------------------------------------------------------------------------------


def _minutes_per_week(hours: float) -> int:
    if not 0 < hours <= MOST_HOURS_PER_WEEK:
        raise RequestError(
            f"{hours:g} hours a week cannot be planned with. Give between 0.5 and {MOST_HOURS_PER_WEEK:g}."
        )
    minutes = int(hours * 60)
    if minutes < 30:
        raise RequestError(f"{hours:g} hours a week is too little to plan with. Give at least 0.5.")
    return minutes


def _weeks_until(start: date, deadline: date) -> int:
    weeks = (deadline - start).days // 7
    if weeks < 1:
        raise RequestError(f"The deadline {deadline} is less than a week after {start}. Give a later one.")
    return weeks


def _held(
    catalogue: Catalogue, have: Sequence[SkillLevel], done: Sequence[DoneStep]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Level by skill, with implied prerequisites; and the names of the implied ones."""
    held: dict[str, str] = {}
    for name, level in [*((i.skill, i.level) for i in have), *((i.skill, i.level) for i in done)]:
        if name in catalogue.skills and level in LEVELS and not (name in held and _at_least(held[name], level)):
            held[name] = level
    stated = dict(held)
    implied: list[str] = []
    stack = [name for name, level in held.items() if _at_least(level, "working")]
    while stack:
        for before in catalogue.skills[stack.pop()].prerequisites:
            if before not in stated and before not in implied:
                held[before] = "basic"
                implied.append(before)
                stack.append(before)
    return held, tuple(implied)


def _remaining(catalogue: Catalogue, role: RoleCard, level: str, held: Mapping[str, str]) -> dict[str, _Need]:
    """What is still to be learnt: the role's requirements and, at basic level, what they build on."""
    needs: dict[str, _Need] = {}
    stack: list[tuple[str, str, int]] = [(need.skill, need.target, need.weight) for need in role.at(level).skills]
    wanted = {name for name, _, _ in stack}
    while stack:
        name, target, weight = stack.pop()
        have = held.get(name, "none")
        if name in needs or _at_least(have, target):
            continue
        factor = base.LEVEL_FACTOR[target] - base.LEVEL_FACTOR[have]
        needs[name] = _Need(name, have, target, weight, max(1, round(catalogue.skills[name].hours * factor * 60)))
        stack += [(before, "basic", 0) for before in catalogue.skills[name].prerequisites if before not in wanted]
    return needs


def _edges(catalogue: Catalogue, needs: Mapping[str, _Need]) -> dict[str, frozenset[str]]:
    """Each remaining skill with everything remaining that it builds on, directly or through skills already held."""
    closed: dict[str, frozenset[str]] = {}

    def ancestors(name: str) -> frozenset[str]:
        if name not in closed:
            direct = catalogue.skills[name].prerequisites
            closed[name] = frozenset(direct).union(*(ancestors(before) for before in direct))
        return closed[name]

    return {name: ancestors(name) & needs.keys() for name in needs}


def _fit(
    needs: Mapping[str, _Need], edges: Mapping[str, frozenset[str]], capacity: int | None
) -> tuple[set[str], list[str]]:
    """What to keep and what to drop, first dropped first: the lightest step that nothing kept builds on."""
    kept = set(needs)
    dropped: list[str] = []
    while capacity is not None and kept and sum(needs[name].minutes for name in kept) > capacity:
        leaves = [name for name in kept if not any(name in edges[other] for other in kept)]
        name = min(leaves, key=lambda item: (needs[item].weight, -needs[item].minutes, item))
        kept.remove(name)
        dropped.append(name)
    return kept, dropped


def _order(
    catalogue: Catalogue, kept: set[str], needs: Mapping[str, _Need], edges: Mapping[str, frozenset[str]]
) -> Iterable[str]:
    """Prerequisites first; among what is open, what the most weight waits for, then the catalogue's order."""
    sorter = TopologicalSorter({name: edges[name] & kept for name in kept})
    sorter.prepare()
    waiting = {
        name: needs[name].weight + sum(needs[other].weight for other in kept if name in edges[other]) for name in kept
    }
    ready: list[tuple[int, int, str]] = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heapq.heappush(ready, (-waiting[name], catalogue.skill_order[name], name))
        name = heapq.heappop(ready)[2]
        sorter.done(name)
        yield name


def _pack(needs: Sequence[_Need], minutes_per_week: int) -> tuple[Allocation, ...]:
    """One skill after another into weeks of at most that many minutes."""
    allocations: list[Allocation] = []
    week, free = 1, minutes_per_week
    for need in needs:
        left = need.minutes
        while left:
            if not free:
                week, free = week + 1, minutes_per_week
            spent = min(left, free)
            allocations.append(Allocation(week, need.skill, spent))
            left, free = left - spent, free - spent
    return tuple(allocations)


def _step(
    catalogue: Catalogue,
    need: _Need,
    allocations: Sequence[Allocation],
    edges: Mapping[str, frozenset[str]],
    needs: Mapping[str, _Need],
    start: date,
) -> Step:
    skill = catalogue.skills[need.skill]
    weeks = [item.week for item in allocations if item.skill == need.skill]
    needed_for = sorted((name for name in needs if need.skill in edges[name]), key=lambda name: -needs[name].weight)
    return Step(
        skill=need.skill,
        name=skill.name,
        have=need.have,
        target=need.target,
        weight=need.weight,
        hours=round(need.minutes / 60, 2),
        start_week=weeks[0],
        end_week=weeks[-1],
        starts_on=start + timedelta(weeks=weeks[0] - 1),
        ends_on=start + timedelta(weeks=weeks[-1]) - timedelta(days=1),
        needed_for=tuple(catalogue.skills[name].name for name in needed_for),
        after=tuple(name for name in skill.prerequisites if name in needs),
        milestone=skill.project,
        guide=skill.guide,
        resources=_resources(catalogue, need),
    )


def _resources(catalogue: Catalogue, need: _Need) -> tuple[StepResource, ...]:
    """Up to two: about this skill first, free before paid, for beginners first when starting from nothing."""
    rows = [row for row in catalogue.resources.values() if need.skill in row.skills]
    beginner = need.have == "none"
    rows.sort(
        key=lambda row: (
            row.skills.index(need.skill),
            row.cost == "paid",
            (row.level not in {"starting", "junior"}) if beginner else row.level == "starting",
            row.hours,
        )
    )
    return tuple(StepResource(row.title, row.url, row.cost, row.hours) for row in rows[:2])


def _merge_done(done: Sequence[DoneStep]) -> tuple[DoneStep, ...]:
    """One entry a skill, with the highest level reached."""
    merged: dict[str, DoneStep] = {}
    for item in done:
        if item.skill not in merged or not _at_least(merged[item.skill].level, item.level):
            merged[item.skill] = item
    return tuple(merged.values())


def _at_least(level: str, wanted: str) -> bool:
    return LEVELS.index(level) >= LEVELS.index(wanted)


SPEC = SkillSpec(
    name="roadmap",
    title="Roadmap",
    summary="A week-by-week study plan for a role, from what you know and the hours you have.",
    examples=(
        "make me a 6-month plan for 8 hours a week",
        "build me a roadmap to machine learning engineer",
        "create a study plan to become a data scientist",
        "plan my way to MLOps engineer with 5 hours a week",
        "I have 10 hours a week and want to be a data analyst, plan it for me",
        "give me a week by week learning plan",
        "schedule my learning until June",
        "what should I study each week to become an AI engineer",
        "draw up a learning path for NLP engineer starting from Python and SQL",
        "I know pandas and statistics, make a plan to get me to junior data scientist",
        "set up a training schedule for me, two hours every evening",
        "can you plan my next six months of studying",
        "roadmap for research engineer, 12 hours weekly",
        "put together a curriculum for me to switch into machine learning",
        "I finished the statistics step, update my plan",
        "mark SQL as done in my roadmap",
        "replan with 4 hours a week instead of 8",
        "what does not fit if I must be ready by March",
        "export my plan to my calendar",
        "how many weeks will it take me to become a data engineer at 6 hours a week",
        "personal learning roadmap please",
        "plan the skills I need in the right order",
        "I want a timetable for learning deep learning by the end of the year",
        "my deadline is 1 September, what should I learn first and what should I drop",
        "work out a study schedule from my current skills to senior ML engineer",
        "turn my goal of becoming a computer vision engineer into a plan with milestones",
        "I have three months before applying, give me a plan",
        "lay out the steps and hours to get from backend developer to ML engineer",
        "shift my roadmap, I lost two weeks",
        "change the target of my plan to data engineer",
    ),
    slots=(
        Slot("role", "Which role are you aiming at?", "role", required=True, help="Target role, e.g. data-scientist."),
        Slot(
            "level",
            "At which level: junior, mid, senior or staff?",
            "level",
            choices=base.LEVEL_WORDS,
            help="Level of the role; junior when not given.",
        ),
        Slot("skills", "Which skills do you have already?", "skills", help="What you know, e.g. python,sql:basic."),
        Slot("hours_per_week", "How many hours a week can you study?", "hours", required=True, help="Hours a week."),
        Slot("deadline", "By when should it be done?", "date", help='A date such as 2027-06-30, or "in 6 months".'),
        Slot("done", "Which steps are done?", "skills", help="Skills to mark done; the plan is made anew."),
    ),
    run=run,
    understands=("export",),
)

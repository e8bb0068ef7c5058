"""A resume read in a throw-away process, checked line by line; every remark quotes its line and no rewrite adds a fact."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from coach.catalogue.tables import Catalogue
from coach.domain import Passage, Request
from coach.errors import RequestError, UnreadableFile
from coach.skills import base
from coach.skills.base import Report, SkillContext, SkillResult, SkillSpec, Slot, SlotValues
from coach.skills.mentions import find_mentions

WALL_SECONDS = 60
MOST_BYTES = 10 * 1024**2
ENDINGS = (".pdf", ".docx", ".md", ".markdown", ".txt", "")
SHOWN_REMARKS = 12
# A line with this many commas lists names and tells nothing.
LISTED_COMMAS = 4
# A message this long holds the resume itself.
LEAST_PASTED_WORDS = 22

_SECTION_WORDS: Mapping[str, str] = {
    "summary": r"summary|profile|about(?: me)?|objective|personal statement",
    "experience": r"(?:work |professional |relevant |industry )?experience|employment(?: history)?|work history|career(?: history)?",
    "education": r"education|academic background|degrees?|studies|qualifications",
    "skills": r"(?:technical |key |core |it )?skills(?: (?:and|&) tools)?|technologies|tools|competenc(?:ies|es)|tech stack",
    "projects": r"(?:personal |selected |side |key )?projects|portfolio",
    "publications": r"publications|papers|research",
    "certificates": r"certificat(?:es|ions)|courses|training",
    "languages": r"languages",
    "awards": r"awards|honou?rs|achievements",
    "contact": r"contact(?: details)?",
    "interests": r"interests|hobbies|volunteering",
}
_WEAK_OPENINGS: tuple[tuple[str, str], ...] = (
    (r"(?:was |were )?responsible for (?:the )?(\w+ing)\b", "{past}"),
    (r"(?:was |were )?in charge of (\w+ing)\b", "{past}"),
    (r"(?:was |were )?tasked with (\w+ing)\b", "Took on {ing}"),
    (r"helped (?:to |with )?(\w+ing)\b", "Supported {ing}"),
    (r"helped (?:to )?(\w+)\b", "Helped {base}"),
    (r"(?:involved|participated|took part) in (\w+ing)\b", "Contributed to {ing}"),
    (r"worked on (\w+ing)\b", "Contributed to {ing}"),
    (r"duties included (\w+ing)\b", "{past}"),
    (r"assisted (?:in|with) (\w+ing)\b", "Supported {ing}"),
)
_WEAK = re.compile(
    r"^(?:i )?(?:was |were )?(?:responsible for|tasked with|in charge of|helped|involved in|participated in|took part in|worked on|"
    r"duties included|assisted|familiar with|exposure to|used to)\b",
    re.I,
)
_IRREGULAR = {
    "building": "Built",
    "leading": "Led",
    "writing": "Wrote",
    "running": "Ran",
    "making": "Made",
    "teaching": "Taught",
    "driving": "Drove",
    "setting": "Set",
    "overseeing": "Oversaw",
    "getting": "Got",
    "giving": "Gave",
    "cutting": "Cut",
    "keeping": "Kept",
    "finding": "Found",
    "bringing": "Brought",
    "selling": "Sold",
    "taking": "Took",
    "doing": "Did",
    "holding": "Held",
    "drawing": "Drew",
    "choosing": "Chose",
    "forecasting": "Forecast",
    "putting": "Put",
    "splitting": "Split",
    "speaking": "Spoke",
    "winning": "Won",
    "seeing": "Saw",
}
_DOUBLING = {
    "planning": "Planned",
    "shipping": "Shipped",
    "mapping": "Mapped",
    "debugging": "Debugged",
    "programming": "Programmed",
    "tagging": "Tagged",
    "logging": "Logged",
    "controlling": "Controlled",
    "scrapping": "Scrapped",
    "labelling": "Labelled",
    "modelling": "Modelled",
    "submitting": "Submitted",
    "stopping": "Stopped",
    "dropping": "Dropped",
    "wrapping": "Wrapped",
}
_PRESENT = re.compile(
    r"^(?:manage|lead|build|develop|design|create|maintain|write|implement|deploy|train|analy[sz]e|work|run|own|support|improve)s?\b",
    re.I,
)
_NUMBER = re.compile(
    r"(?<![\w.])[$€£]?\d[\d,.]*\s*(?:%|x\b|k\b|m\b|ms\b|million|billion|hours?|users?|customers?)?", re.I
)
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?|0?[1-9]|1[0-2]"
_RANGE = re.compile(
    rf"(?:(?P<m1>{_MONTH})[\s/.-]+)?(?P<y1>(?:19|20)\d\d)\s*(?:-|–|—|to|until)\s*"
    rf"(?:(?:(?P<m2>{_MONTH})[\s/.-]+)?(?P<y2>(?:19|20)\d\d)|(?P<now>present|now|today|current|ongoing))",
    re.I,
)
_MONTH_NUMBER = {
    name: number for number, name in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], start=1)
}
_PERSONAL = re.compile(r"\b(?:date of birth|born on|marital status|married|nationality|religion|gender|photo)\b", re.I)
_CLICHES = re.compile(
    r"\b(?:team player|hard[- ]working|results?[- ]driven|detail[- ]oriented|passionate|self[- ]starter|go[- ]getter|synergy|think outside the box|"
    r"fast learner|dynamic)\b",
    re.I,
)


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """The text of a file and what the parser noticed: images, table, header."""

    name: str
    text: str
    pages: int = 1
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A section with the lines it spans, from 1, the heading included."""

    kind: str
    title: str
    first_line: int
    last_line: int


@dataclass(frozen=True, slots=True)
class Remark:
    """One finding. `line` 0 is about the whole document; `rewrite` says the same facts in stronger words."""

    check: str
    message: str
    line: int = 0
    quote: str = ""
    rewrite: str = ""


@dataclass(frozen=True, slots=True)
class Keyword:
    """A skill of the target role: shown in evidence, only named in a list, or absent."""

    skill: str
    name: str
    weight: int
    where: str
    line: int = 0
    quote: str = ""


@dataclass(frozen=True, slots=True)
class Review:
    """Everything that was found out about a resume."""

    name: str
    pages: int
    words: int
    sections: tuple[Section, ...]
    missing_sections: tuple[str, ...]
    bullets: int
    bullets_with_numbers: int
    contact: tuple[str, ...]
    remarks: tuple[Remark, ...]
    keywords: tuple[Keyword, ...]
    role: str = ""


def parse(source: Path | bytes, name: str = "") -> ParsedFile:
    """The text of a PDF, DOCX, Markdown or text file, read in a process of its own with limits on memory and time.

    Raises UnreadableFile that says what is wrong: too large, protected, damaged, empty, or a scan without text.
    """
    display = _display_name(name or (source.name if isinstance(source, Path) else "the file"))
    content = source if isinstance(source, bytes) else _read(source, display)
    ending = re.search(r"\.\w+$", display.lower())
    suffix = ending[0] if ending else ""
    if len(content) > MOST_BYTES:
        raise UnreadableFile(f"{display} is larger than 10 MB. Send a smaller file or paste the text.")
    if suffix not in ENDINGS:
        raise UnreadableFile(f"{display}: files ending in {suffix} are not read. Send PDF, DOCX, Markdown or text.")
    answer = _run_parser(content, suffix, display)
    if "error" in answer:
        raise UnreadableFile(f"{display} {answer['error']}.")
    text = re.sub(r"[^\S\n]+", " ", str(answer["text"]).replace("\r\n", "\n").replace("\r", "\n").replace("\0", ""))
    if len(text.split()) < 5:
        raise UnreadableFile(f"{display} is empty: it holds no text. Export it anew or paste the text.")
    notes = answer.get("notes", ())
    assert isinstance(notes, (list, tuple))  # resume_parser.py writes a list
    return ParsedFile(display, text, int(str(answer.get("pages", 1))), tuple(str(note) for note in notes))


def review(
    parsed: ParsedFile, catalogue: Catalogue, *, role: str = "", level: str = "", today: date | None = None
) -> Review:
    """Sections, computed checks and, for a role, where its skills stand."""
    text = parsed.text
    lines = text.split("\n")
    sections = find_sections(lines)
    kinds = {section.kind for section in sections}
    bullets = _bullets(lines, sections)
    with_numbers = [item for item in bullets if _NUMBER.search(lines[item - 1])]
    contact = _contact(text)
    missing = tuple(kind for kind in ("experience", "education", "skills") if kind not in kinds)
    keywords = _keywords(lines, sections, catalogue, role, level) if role else ()
    remarks = [
        *_length_remarks(parsed),
        *_contact_remarks(contact),
        *_section_remarks(missing),
        *_impact_remarks(lines, bullets, with_numbers),
        *_wording_remarks(lines, bullets, sections),
        *_date_remarks(lines, sections, today or date.today()),
        *_parser_remarks(parsed),
        *_keyword_remarks(keywords),
    ]
    return Review(
        parsed.name,
        parsed.pages,
        len(text.split()),
        sections,
        missing,
        len(bullets),
        len(with_numbers),
        contact,
        tuple(remarks),
        keywords,
        role,
    )


def find_sections(lines: Sequence[str]) -> tuple[Section, ...]:
    """Headings that a resume uses, each with the lines to the next."""
    heads: list[tuple[int, str, str]] = []
    for number, line in enumerate(lines, start=1):
        bare = re.sub(r"^[#*\s•\d.]+|[*:\s_]+$", "", line)
        if not bare or len(bare.split()) > 5:
            continue
        kind = next(
            (
                kind
                for kind, words in _SECTION_WORDS.items()
                if re.fullmatch(rf"(?:{words})(?:\s*(?:and|&|/)\s*[\w ]+)?", bare, re.I)
            ),
            None,
        )
        if kind:
            heads.append((number, kind, bare))
    ends = [*(number - 1 for number, _, _ in heads[1:]), len(lines)][: len(heads)]
    return tuple(Section(kind, title, number, end) for (number, kind, title), end in zip(heads, ends, strict=True))


def strengthen(line: str) -> str:
    """The line with a strong opening in place of a weak one, every other word kept; "" when no safe rewrite is known."""
    mark = re.match(r"^\s*[-•*–]?\s*(?:i\s+)?", line, re.I)
    body = line[mark.end() :] if mark else line
    for pattern, template in _WEAK_OPENINGS:
        match = re.match(pattern, body, re.I)
        if not match:
            continue
        verb = match[1].lower()
        if "{past}" in template:
            past = _past(verb)
            if not past:
                return ""
            opening = past
        else:
            opening = template.format(ing=verb, base=verb)
        rest = body[match.end() :]
        if opening.lower() == match[0].lower():
            return ""
        return (opening + rest).rstrip()
    return ""


# -- the skill ----------------------------------------------------------------------------------------------------


def run(request: Request, values: SlotValues, context: SkillContext) -> SkillResult:
    """Review the attached resume, or the text in the slot `resume`."""
    role = values.text("role", request.profile.target_role)
    level = values.text("level", request.profile.target_level)
    if role and values.text("read") and not request.attachments:
        return _report_keywords(values, base.find_role(context.catalogue, role).id, level, context)
    pasted = values.text("resume") or (request.text if len(request.text.split()) >= LEAST_PASTED_WORDS else "")
    if request.attachments:
        item = request.attachments[0]
        parsed = parse(item.content, item.name)
    elif len(pasted.split()) >= 5:
        parsed = ParsedFile("the pasted text", pasted)
    else:
        return base.ask_for(SPEC.slot("resume"))
    if role:
        role = base.find_role(context.catalogue, role).id
    checked = review(
        parsed,
        context.catalogue,
        role=role,
        level=level,
        today=context.today,
    )
    return replace(_report(checked, parsed, context), keep=_found_skills(checked, parsed, context))


def _found_skills(checked: Review, parsed: ParsedFile, context: SkillContext) -> SlotValues:
    """Where the resume names which skills, so that the role may be named later: the file itself is not kept."""
    lines = parsed.text.split("\n")
    mentions = [item for item in find_mentions(parsed.text, context.catalogue) if not item.negated]
    told = {item.skill for item in mentions if _tells(item.quote.line, lines, checked.sections)}
    listed = {item.skill for item in mentions} - told
    return SlotValues.of(read=parsed.name, told=",".join(sorted(told)), listed=",".join(sorted(listed)))


def _report_keywords(values: SlotValues, role: str, level: str, context: SkillContext) -> SkillResult:
    """The role's keywords in the resume that was reviewed before."""
    report = Report()
    card = context.catalogue.roles[role]
    at = card.at(level or "junior")
    evidence = base.requirements_passage(context.catalogue, card, at.level)
    told, listed = values.items("told"), values.items("listed")
    names = {need.skill: context.catalogue.skills[need.skill].name for need in at.skills}
    groups = (
        ("In a line that tells what you did", [name for skill, name in names.items() if skill in told]),
        ("Only named in a list (say in a line for what you used it)", [n for skill, n in names.items() if skill in listed]),
        ("Not named (add only what you have)", [n for skill, n in names.items() if skill not in (*told, *listed)]),
    )
    report.say(
        f"Of the {len(names)} skills that a {at.level} {base.lower_first(card.name)} needs, {values.text('read')} tells "
        f"of {len(groups[0][1])} in a line about your work.",
        evidence,
    )
    report.paragraph()
    for title, found in groups:
        if found:
            report.say(f"- {title}: {base.join_words(found)}.", evidence)
    kept = SlotValues(tuple(pair for pair in values.pairs if pair[0] in ("read", "told", "listed")))
    return report.result(keep=kept, suggestions=("Compare my resume with a role", "Make me a roadmap"))


def _report(checked: Review, parsed: ParsedFile, context: SkillContext) -> SkillResult:
    report = Report()
    text = parsed.text
    mine = Passage(
        "resume/document", f"Your resume ({parsed.name})", text, "what you sent", kind="resume", end=len(text)
    )
    found = [section.title for section in checked.sections]
    report.say(
        f"{parsed.name}: {base.count_of(checked.words, 'word')} on {base.count_of(checked.pages, 'page')}, with "
        + (
            f"the sections {base.join_words(found)}." if found else "no section headings that a parser would recognise."
        ),
        mine,
    )
    if checked.bullets:
        report.say(
            f"{checked.bullets_with_numbers} of {checked.bullets} lines of work and projects carry a number.", mine
        )
    if checked.keywords:
        role = context.catalogue.roles[checked.role]
        shown = [item for item in checked.keywords if item.where == "evidence"]
        report.say(
            f"Of the {len(checked.keywords)} skills that the role of {base.lower_first(role.name)} asks for, {len(shown)} stand in a "
            "line that tells what you did.",
            mine,
            base.requirements_passage(context.catalogue, role, ""),
        )
    report.paragraph()
    if not checked.remarks:
        report.say("The checks found nothing to improve.")
    remarks = sorted(checked.remarks, key=lambda item: not item.rewrite)
    for remark in remarks[:SHOWN_REMARKS]:
        line = (
            f'- Line {remark.line}, "{_short(remark.quote)}": {remark.message}'
            if remark.line
            else f"- {remark.message}"
        )
        line += f' Rewrite with the same facts: "{remark.rewrite}"' if remark.rewrite else ""
        report.say(line, (mine, remark.quote) if remark.quote else None)
    if len(remarks) > SHOWN_REMARKS:
        report.say(f"- {base.count_of(len(remarks) - SHOWN_REMARKS, 'more remark')} in the full result.")
    guide = context.guide("getting-hired/cv")
    if guide:
        report.paragraph()
        first = re.split(r"(?<=[.!?])\s", guide.text, maxsplit=1)[0]
        report.say(first, (guide, first), verdict="quoted")
    asks = None if checked.role else "For which role should I look for the keywords?"
    return report.result(checked, follow_up=asks, suggestions=("Compare my resume with a role", "Make me a roadmap"))


def _short(line: str, limit: int = 120) -> str:
    line = " ".join(line.split()).strip("-•* ")
    return line if len(line) <= limit else line[: limit - 1].rsplit(" ", 1)[0] + "\u2026"


# -- the process ----------------------------------------------------------------------------------------------------


def _read(path: Path, display: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UnreadableFile(f"{display} cannot be opened: {error.strerror or error}.") from error


def _run_parser(content: bytes, suffix: str, display: str) -> Mapping[str, object]:
    script = Path(__file__).with_name("resume_parser.py")
    environment = {"PYTHONIOENCODING": "utf-8", "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(script), suffix],
            input=content,
            capture_output=True,
            timeout=WALL_SECONDS,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnreadableFile(
            f"{display} could not be read within {WALL_SECONDS} seconds. Paste the text instead."
        ) from error
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        raise UnreadableFile(
            f"{display} cannot be read within the limits of memory and time. Paste the text instead."
        ) from error
    if not isinstance(answer, dict):
        raise UnreadableFile(f"{display} cannot be read.")
    return answer


def _display_name(name: str) -> str:
    """The last part of a given name without control characters: display text, never a path."""
    last = re.split(r"[\\/]", name)[-1]
    return (
        "".join(letter for letter in last if letter.isprintable() and letter not in "\u202e\u202d\u2066\u2067\u2068")[
            :80
        ]
        or "the file"
    )


# -- the checks -----------------------------------------------------------------------------------------------------


def _section_of(line: int, sections: Sequence[Section]) -> str:
    return next((section.kind for section in sections if section.first_line <= line <= section.last_line), "")


def _bullets(lines: Sequence[str], sections: Sequence[Section]) -> list[int]:
    """Numbers of the lines that tell of work: bullets and sentences under experience and projects."""
    found = []
    for number, line in enumerate(lines, start=1):
        if _section_of(number, sections) not in {"experience", "projects"} or any(
            s.first_line == number for s in sections
        ):
            continue
        bare = line.strip()
        if (
            (re.match(r"[-•*–▪●]\s*\w", bare) or len(bare.split()) >= 7)
            and not _RANGE.search(bare)
            and len(bare.split()) >= 3
        ):
            found.append(number)
    return found


def _contact(text: str) -> tuple[str, ...]:
    kinds = (
        ("email", r"[\w.+-]+@[\w-]+\.[\w.]+"),
        ("phone", r"(?<!\d)(?:\+?\d[\s().-]?){8,14}\d(?!\d)"),
        ("linkedin", r"linkedin\.com/\S+"),
        ("github", r"git(?:hub|lab)\.com/\S+"),
        ("website", r"https?://(?!\S*(?:linkedin|github|gitlab))\S+"),
    )
    return tuple(kind for kind, pattern in kinds if re.search(pattern, text, re.I))


def _contact_remarks(contact: Sequence[str]) -> list[Remark]:
    remarks = []
    if "email" not in contact:
        remarks.append(Remark("contact", "No e-mail address was found: put one into the first lines, as text."))
    if "phone" not in contact:
        remarks.append(Remark("contact", "No phone number was found."))
    if not {"github", "website"} & set(contact):
        remarks.append(Remark("links", "No link to code or a portfolio was found: link what proves your projects."))
    return remarks


def _length_remarks(parsed: ParsedFile) -> list[Remark]:
    words = len(parsed.text.split())
    if parsed.pages > 2 or words > 1100:
        return [
            Remark(
                "length",
                f"{base.count_of(words, 'word')} on {base.count_of(parsed.pages, 'page')} is long: aim for one or two pages.",
            )
        ]
    if words < 120:
        return [
            Remark(
                "length",
                f"{base.count_of(words, 'word')} is short: tell for each position what you did and what came of it.",
            )
        ]
    return []


def _section_remarks(missing: Sequence[str]) -> list[Remark]:
    return [
        Remark("sections", f'No heading for {kind} was found: name it plainly, as "{kind.capitalize()}".')
        for kind in missing
    ]


def _impact_remarks(lines: Sequence[str], bullets: Sequence[int], with_numbers: Sequence[int]) -> list[Remark]:
    bare = [number for number in bullets if number not in with_numbers]
    return [
        Remark(
            "impact",
            "This line has no number: if you measured something (users, time, error, money), add your own figure.",
            number,
            lines[number - 1].strip(),
        )
        for number in bare[:4]
    ]


def _wording_remarks(lines: Sequence[str], bullets: Sequence[int], sections: Sequence[Section]) -> list[Remark]:
    remarks = []
    for number in bullets:
        line = lines[number - 1].strip()
        body = re.sub(r"^[-•*–▪●]\s*", "", line)
        if _WEAK.match(body):
            remarks.append(Remark("verb", "The opening hides what you did.", number, line, strengthen(body)))
        elif re.match(r"i\s", body, re.I) or re.search(r"\b(?:my|me)\b", body):
            remarks.append(
                Remark(
                    "person",
                    'Resumes leave out "I" and "my".',
                    number,
                    line,
                    re.sub(r"^i\s+(\w)", lambda m: m[1].upper(), body, flags=re.I)
                    if re.match(r"i\s", body, re.I)
                    else "",
                )
            )
        elif _PRESENT.match(body) and not _is_current(number, lines, sections):
            remarks.append(Remark("tense", "A finished position is told in the past tense.", number, line))
    for number, line in enumerate(lines, start=1):
        cliche = _CLICHES.search(line)
        if cliche:
            remarks.append(
                Remark(
                    "cliche",
                    f'"{cliche[0]}" claims without showing: replace it by something you did.',
                    number,
                    line.strip(),
                )
            )
        if _PERSONAL.search(line) and len(line.split()) < 15:
            remarks.append(
                Remark("personal", "Most employers do not want to see this: leave it out.", number, line.strip())
            )
    return remarks


def _is_current(number: int, lines: Sequence[str], sections: Sequence[Section]) -> bool:
    for line in reversed(lines[: number - 1]):
        span = _RANGE.search(line)
        if span:
            return bool(span["now"])
    return True


def _date_remarks(lines: Sequence[str], sections: Sequence[Section], today: date) -> list[Remark]:
    spans = []
    remarks = []
    for number, line in enumerate(lines, start=1):
        if sections and _section_of(number, sections) not in {"experience", ""}:
            continue
        for match in _RANGE.finditer(line):
            start = _month_index(match["y1"], match["m1"], 1)
            end = today.year * 12 + today.month if match["now"] else _month_index(match["y2"], match["m2"], 12)
            if end < start:
                remarks.append(Remark("dates", "The end lies before the start.", number, line.strip()))
            else:
                spans.append((start, end, number))
    spans.sort()
    latest = spans[0][1] if spans else 0
    for start, end, number in spans[1:]:
        if start - latest > 6:
            remarks.append(
                Remark(
                    "gap",
                    f"Before this there are {start - latest - 1} months without an entry: a line such as "
                    '"parental leave" or "study" answers the question before it is asked.',
                    number,
                    lines[number - 1].strip(),
                )
            )
        latest = max(latest, end)
    if not spans:
        remarks.append(Remark("dates", "No dates of positions were found: give month and year for each."))
    return remarks


def _month_index(year: str, month: str | None, default: int) -> int:
    if not month:
        return int(year) * 12 + default
    return int(year) * 12 + (int(month) if month.isdigit() else _MONTH_NUMBER.get(month[:3].lower(), default))


def _parser_remarks(parsed: ParsedFile) -> list[Remark]:
    """What an applicant tracking parser would stumble over."""
    remarks = []
    if "table" in parsed.notes:
        remarks.append(
            Remark("parser", "The document uses tables: tracking systems may read their cells out of order.")
        )
    if "header" in parsed.notes:
        remarks.append(
            Remark(
                "parser",
                "There is text in the page header, which some tracking systems skip: move contact data into the body.",
            )
        )
    if "\ufffd" in parsed.text or re.search(r"(?:\b\w ){8,}", parsed.text):
        remarks.append(
            Remark(
                "parser",
                "Some letters come out broken or spaced apart: a tracking system sees the same. Export the file anew.",
            )
        )
    wide = [
        (n, line)
        for n, line in enumerate(parsed.text.split("\n"), start=1)
        if re.search(r"\S {4,}\S.* {4,}\S|\t.*\t", line)
    ]
    if len(wide) >= 5:
        remarks.append(
            Remark(
                "parser", "The page seems to be set in columns: the lines of both columns may be mixed up.", *wide[0]
            )
        )
    return remarks


def _keywords(
    lines: Sequence[str], sections: Sequence[Section], catalogue: Catalogue, role: str, level: str
) -> tuple[Keyword, ...]:
    mentions = [item for item in find_mentions("\n".join(lines), catalogue) if not item.negated]
    found = []
    for need in catalogue.roles[role].at(level or "junior").skills:
        numbers = sorted({item.quote.line for item in mentions if item.skill == need.skill})
        told = [n for n in numbers if _tells(n, lines, sections)]
        where, at = ("evidence", told[0]) if told else ("list", numbers[0]) if numbers else ("absent", 0)
        name = catalogue.skills[need.skill].name
        found.append(Keyword(need.skill, name, need.weight, where, at, lines[at - 1].strip() if at else ""))
    return tuple(found)


def _tells(number: int, lines: Sequence[str], sections: Sequence[Section]) -> bool:
    """Whether a line says what was done, and is no list of names."""
    return _section_of(number, sections) != "skills" and lines[number - 1].count(",") < LISTED_COMMAS


def _keyword_remarks(keywords: Sequence[Keyword]) -> list[Remark]:
    remarks = []
    for item in keywords:
        if item.where == "list" and item.weight >= 2:
            remarks.append(
                Remark(
                    "keywords",
                    f"{item.name} is only named in a list: if you used it, say in a line of experience or "
                    "projects for what.",
                    item.line,
                    item.quote,
                )
            )
    absent = [item.name for item in keywords if item.where == "absent" and item.weight == 3]
    if absent:
        remarks.append(
            Remark(
                "keywords",
                f"The role requires {base.join_words(absent)}, which the resume does not name: add it only if you have it.",
            )
        )
    return remarks


def _past(verb: str) -> str:
    """managing -> Managed; "" for a verb whose past is not sure."""
    if verb in _IRREGULAR or verb in _DOUBLING:
        return _IRREGULAR.get(verb) or _DOUBLING[verb]
    stem = verb.removesuffix("ing")
    if len(stem) < 3 or (stem[-1] == stem[-2] and stem[-1] not in "ls"):
        return ""
    return (stem + "ed").capitalize()


def require_text(text: str) -> str:
    """The text, or RequestError when there is too little of it to review."""
    if len(text.split()) < 5:
        raise RequestError("There is no resume to review. Attach a PDF, DOCX, Markdown or text file.")
    return text


SPEC = SkillSpec(
    name="resume",
    title="Resume review",
    summary="Your resume checked line by line, with rewrites that add no fact.",
    examples=(
        "review my resume",
        "check my CV",
        "give me feedback on my resume",
        "what can I improve in my CV",
        "look over my resume for a data scientist job",
        "critique the attached resume",
        "is my CV good enough to send",
        "rewrite the bullets of my resume",
        "find weak lines in my CV",
        "would a tracking system be able to read my resume",
        "proofread my CV please",
        "here is my resume, what do you think",
        "how strong is my resume",
        "are there keywords missing in my CV for ML engineer",
        "does my resume show impact",
        "make my CV better",
        "I attached my CV, tell me what is wrong with it",
        "score my CV",
        "go over my resume and tell me what to cut",
        "analyse this resume",
        "improve the wording of my CV",
        "my resume is two pages, is that fine, check it",
        "do the lines in my resume have enough numbers",
        "help me with my CV, nobody answers my applications",
        "scan my resume for problems",
        "what would a recruiter dislike in my CV",
        "read my resume and comment each line",
        "fix my resume",
    ),
    slots=(
        Slot(
            "resume",
            "Attach your resume as PDF, DOCX, Markdown or text, or paste it.",
            "file",
            required=True,
            help="The resume file.",
        ),
        Slot("role", "For which role is it?", "role", help="Role whose keywords are looked for."),
        Slot("level", "At which level?", "level", choices=base.LEVEL_WORDS, help="Level of the role."),
    ),
    run=run,
)

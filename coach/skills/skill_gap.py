"""What a role or a job advertisement asks for against what a person can show: met, partly met or missing, with quotes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from coach.catalogue.passages import skill_passage
from coach.catalogue.tables import LEVELS, Catalogue, Skill
from coach.domain import Attachment, Embedder, Passage, Profile, Request
from coach.errors import RequestError
from coach.skills import base, slots
from coach.skills.base import Report, SkillContext, SkillResult, SkillSpec, Slot, SlotValues

if TYPE_CHECKING:
    from coach.domain import Vectors

Verdict = Literal["met", "partly", "missing"]
CREDIT: Mapping[str, float] = {"met": 1.0, "partly": 0.5, "missing": 0.0}
CLOSE_SPELLING = 90.0
SIMILAR_COSINE = 0.83
LONGEST_TEXT = 200_000

# English words and first names that are also names of tools: only the catalogue's own capitals count.
_AMBIGUOUS = frozenset(
    ["r", "go", "rust", "spark", "excel", "react", "helm", "feast", "locust", "evidently", "prefect", "hive", "yarn", "cargo", "whisper", "clip", "lime", "flask", "stan", "beam", "glove", "dl", "rl", "ann", "cart", "ner", "gru", "gan", "gans", "tokio", "looker", "colab", "torch", "flax", "akka", "sbt", "awq", "bandits", "terminal", "bagging", "scopus", "pip", "pdb", "feast", "tecton", "dgl", "ppo", "dpo", "rag", "sre", "iac", "olap", "elt", "eda", "dsa", "gbm", "glm", "glms", "nmt", "asr", "sft", "tgi", "tdd", "oop", "r"]
)
# Names of one or two letters, which need company: a list, or "in R".
_BARE = frozenset({"R", "Go"})
_LISTED_BEFORE = re.compile(
    r"(?:^|[,;:/|(\[•*+–-]\s*|\b(?:in|and|or|with|using|of|know|knows|both|language|languages|via|&)\s+)$", re.I
)
_LISTED_AFTER = re.compile(
    r"^(?:\s*[,;/|)\]]|\s*\(|\s+(?:and|or|for|programming|scripts?|scripting|packages?|code)\b|\s*[.:]?\s*$)"
)
_NOT_A_TOOL = re.compile(
    r"^(?:\s*&|\.\s+[A-Z]|\s*-\s*(?:to|live|getter)\b|\s+(?:to|live|beyond|ahead|above|on|through)\b)", re.I
)
_CLAUSE_END = re.compile(r"[.;!?](?:\s|$)|\n|\b(?:but|however|although)\b", re.I)
_NEGATION = re.compile(
    r"\b(?:no|not|never|without|lack(?:s|ing)?|don't|do not|haven't|have not|hasn't|isn't|aren't|cannot|can't|zero|rather than|instead of)\b"
    r"(?!\s+only)(?:(?!\b(?:just|only)\b)[^.;:])*$",
    re.I,
)
_WISH = re.compile(
    r"\b(?:want(?:s|ed|ing)?|would like|wish|hope|hoping|plan(?:ning)?|eager|keen|aim(?:ing)?|intend|looking|excited|ready|willing)\s+to\s+"
    r"(?:\w+\s+){0,2}?(?:learn|study|pick up|explore|try|use|work|get|start|deepen|improve|move|grow)\b[^.;]*$"
    r"|\b(?:interested in|curious about|interest in|learning goals?|to learn|wish list|next on my list|no exposure to|yet to)\b[^.;]*$"
    r"|\b(?:opportunity|chance) to (?:learn|work with)\b[^.;]*$",
    re.I,
)
_NEGATED_AFTER = re.compile(
    r"^[\s):,–-]*(?:none\b|no experience|not yet|no knowledge|never used|is not (?:required|needed|necessary)|are not (?:required|needed)|"
    r"(?:experience |knowledge )?(?:is |are )?not (?:required|needed|necessary))",
    re.I,
)
_LEVEL_CUES: tuple[tuple[str, str], ...] = (
    ("expert", r"\bexpert(?:ise|-level| level| in| at)?\b|\bmastery\b|\bauthority on\b"),
    (
        "strong",
        r"\b(?:strong|advanced|deep|extensive|fluent|excellent|proficient|proficiency|highly skilled|in-depth|solid)\b"
        r"|\b(?:[4-9]|1\d)\+?\s*years?\b",
    ),
    (
        "basic",
        r"\b(?:basics?|beginner|familiar(?:ity)?|some|introductory|exposure|awareness|elementary|(?:currently|still|now|am|started|self) learning|coursework|"
        r"dabbled|a little|a bit of|fundamental knowledge)\b",
    ),
)
_HEADING = re.compile(r"^\s*(?:#+\s*|\*\*)?([A-Z][\w &'’/,+-]{2,60}?)(?:\*\*)?\s*:?\s*$")
_NICE = re.compile(
    r"\b(?:nice[- ]to[- ]haves?|nice if|bonus(?: points)?|preferred|preferably|desirable|desired|a plus|is a plus|plus points|pluses|advantage(?:ous)?|"
    r"ideally|beneficial|good to have|would be great|welcome|optional|helpful|not essential|extra credit|we'd love)\b",
    re.I,
)
_REQUIRED = re.compile(
    r"\b(?:requirements?|required|must[- ]haves?|must|you (?:have|bring|need|know)|you'll (?:need|bring)|essential|qualifications?|what we(?:'re| are) "
    r"looking for|who you are|your profile|about you|skills|minimum|we expect|we need|what you bring|you should)\b",
    re.I,
)
_TASKS = re.compile(
    r"\b(?:responsibilit\w+|what you(?:'ll| will) do|your (?:role|tasks|mission)|the role|duties|day to day|you will|the job|in this role)\b",
    re.I,
)
_IGNORED = re.compile(
    r"\b(?:about (?:us|the company)|who we are|benefits|perks|what we offer|we offer|equal opportunit\w+|our culture|how to apply|salary|"
    r"why join|our values|our story|diversity)\b",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Quote:
    """Words of a text with their place: `text[start:end]`, on line `line`, counted from 1."""

    words: str
    line: int
    start: int
    end: int
    whole_line: str


@dataclass(frozen=True, slots=True)
class FoundSkill:
    """A skill that a text names. `how` is exact, close (spelling) or similar (meaning); `level` is what the words suggest."""

    skill: str
    name: str
    quote: Quote
    how: Literal["exact", "close", "similar"]
    level: str
    negated: bool = False
    mentions: int = 1


@dataclass(frozen=True, slots=True)
class AdvertRequirement:
    """A skill that a job advertisement asks for: weight 3 required, 2 part of the work, 1 nice to have."""

    skill: str
    name: str
    target: str
    weight: int
    quote: Quote


@dataclass(frozen=True, slots=True)
class GapRow:
    """One requirement against what the person shows. `have` is None when nothing was found."""

    skill: str
    name: str
    target: str
    weight: int
    verdict: Verdict
    have_level: str
    have: Quote | None
    have_source: str
    need: str
    need_quote: Quote | None
    why: str
    hours: float
    guide: str


@dataclass(frozen=True, slots=True)
class Gap:
    """The whole comparison; readiness is between 0 and 1."""

    role: str
    level: str
    against: Literal["role", "advertisement"]
    rows: tuple[GapRow, ...]
    readiness: float
    arithmetic: str
    not_counted: tuple[FoundSkill, ...]


@dataclass(frozen=True, slots=True)
class _Surface:
    text: str
    skill: str
    exact_case: bool


def extract_skills(text: str, catalogue: Catalogue, embedder: Embedder | None = None) -> tuple[FoundSkill, ...]:
    """The skills of the catalogue that a text names, one entry a skill, in order of first mention.

    An entry is negated when every mention is ("no experience with Spark", "want to learn Rust"). Without an embedder
    only names, aliases and close spellings of long names count.
    """
    text = text[:LONGEST_TEXT]
    mentions = list(_exact_mentions(text, catalogue))
    mentions += _close_mentions(text, catalogue, [(m.quote.start, m.quote.end) for m in mentions])
    if embedder is not None:
        mentions += _similar_mentions(text, catalogue, embedder, [(m.quote.start, m.quote.end) for m in mentions])
    merged: dict[str, list[FoundSkill]] = {}
    for mention in sorted(mentions, key=lambda item: item.quote.start):
        merged.setdefault(mention.skill, []).append(mention)
    return tuple(_merge(entries) for entries in merged.values())


def extract_requirements(
    text: str, catalogue: Catalogue, embedder: Embedder | None = None
) -> tuple[AdvertRequirement, ...]:
    """The skills that a job advertisement asks for, with weight and level from the words around them."""
    text = text[:LONGEST_TEXT]
    sections = _sections(text)
    mentions = list(_exact_mentions(text, catalogue))
    mentions += _close_mentions(text, catalogue, [(m.quote.start, m.quote.end) for m in mentions])
    if embedder is not None:
        mentions += _similar_mentions(text, catalogue, embedder, [(m.quote.start, m.quote.end) for m in mentions])
    best: dict[str, AdvertRequirement] = {}
    for mention in sorted(mentions, key=lambda item: item.quote.start):
        weight = _weight(text, mention.quote, sections)
        if mention.negated or weight == 0:
            continue
        need = AdvertRequirement(mention.skill, mention.name, mention.level, weight, mention.quote)
        if mention.skill not in best or weight > best[mention.skill].weight:
            best[mention.skill] = need
    return tuple(best.values())


def assess(
    catalogue: Catalogue,
    found: Sequence[FoundSkill],
    *,
    role: str = "",
    level: str = "",
    stated: Profile | None = None,
    advert: Sequence[AdvertRequirement] = (),
) -> Gap:
    """Each requirement of the role level, or of the advertisement when one is given, as met, partly met or missing.

    "Partly" means shown at a lower level than asked, or implied by a skill that builds on it. No quote, no claim.
    """
    needs = _needs(catalogue, role, level, advert)
    shown = {item.skill: item for item in found if not item.negated}
    profile = {item.skill: item.level for item in (stated.skills if stated else ()) if item.level != "none"}
    denied = {item.skill for item in found if item.negated}
    rows = tuple(_row(catalogue, need, shown, profile, denied) for need in needs)
    if not rows:
        raise RequestError("The advertisement names no skill that the catalogue knows. Paste its list of requirements.")
    readiness, arithmetic = _readiness(rows)
    card = catalogue.find_role(role) if role else None
    return Gap(
        card.id if card else "",
        card.at(level or "junior").level if card else "",
        "advertisement" if advert else "role",
        rows,
        readiness,
        arithmetic,
        tuple(item for item in found if item.negated),
    )


# -- the skill ----------------------------------------------------------------------------------------------------


def run(request: Request, values: SlotValues, context: SkillContext) -> SkillResult:
    """Compare a resume, pasted text or the profile with a role, or with an advertisement given as file or text."""
    advert_text = _attached(request, values, context, "job_ad")
    resume_text = _attached(request, values, context, "resume")
    role = values.text("role", "" if advert_text else request.profile.target_role)
    if not advert_text and not role:
        return base.ask_for(
            SPEC.slot("role"), suggestions=("Machine learning engineer", "Data scientist", "Data analyst")
        )
    about = resume_text or values.text("skills")
    if not about and not request.profile.skills:
        return base.ask_for(SPEC.slot("resume"))
    catalogue = context.catalogue
    found = extract_skills(about, catalogue, context.embedder) if about else ()
    if about and not resume_text:
        found = _with_listed_levels(found, about, catalogue)
    advert = extract_requirements(advert_text, catalogue, context.embedder) if advert_text else ()
    if advert_text and not advert:
        raise RequestError("The advertisement names no skill that the catalogue knows. Paste its list of requirements.")
    level = values.text("level", request.profile.target_level) or "junior"
    if role:
        role = base.find_role(catalogue, role).id
    gap = assess(catalogue, found, role=role, level=level, stated=request.profile, advert=advert)
    return _report(gap, context, about, advert_text, request.profile)


def _report(gap: Gap, context: SkillContext, about: str, advert: str, profile: Profile) -> SkillResult:
    catalogue = context.catalogue
    report = Report()
    mine = Passage("resume/own-words", "Your own words", about, "what you sent", kind="resume", end=len(about))
    stated_text = " ".join(
        f"{catalogue.skills[i.skill].name}: {i.level}." for i in profile.skills if i.skill in catalogue.skills
    )
    stated = Passage(
        "resume/profile", "Your profile", stated_text, "what you stated", kind="resume", end=len(stated_text)
    )
    if gap.against == "advertisement":
        needs = Passage(
            "resume/advertisement", "The job advertisement", advert, "what you sent", kind="resume", end=len(advert)
        )
        target = "the advertisement"
    else:
        needs = base.requirements_passage(catalogue, catalogue.roles[gap.role], gap.level)
        target = f"{gap.level} {base.lower_first(catalogue.roles[gap.role].name)}"
    met, partly, missing = (tuple(r for r in gap.rows if r.verdict == v) for v in ("met", "partly", "missing"))
    report.say(
        f"Against {target} you show {len(met)} of {len(gap.rows)} requirements, {len(partly)} partly, and "
        f"{len(missing)} are missing.",
        needs,
    )
    report.say(gap.arithmetic, needs)
    for title, rows in (("Met:", met), ("Partly met:", partly), ("Missing:", missing)):
        if not rows:
            continue
        report.paragraph()
        report.say(title)
        for row in rows:
            have = (
                (mine, row.have.words)
                if row.have
                else (stated, f"{row.name}: {row.have_level}.")
                if row.have_source == "profile"
                else None
            )
            if row.have and have:
                report.say(
                    f'- {row.name}: you write "{_short(row.have.whole_line)}" (line {row.have.line}); {row.why}.',
                    (mine, row.have.whole_line),
                    (needs, row.need),
                )
            else:
                report.say(f"- {row.name}: {row.why}.", have, (needs, row.need))
    first = sorted(
        (r for r in gap.rows if r.verdict != "met"), key=lambda r: (-r.weight * (1 - CREDIT[r.verdict]), r.hours)
    )[:3]
    if first:
        report.paragraph()
        hours = [f"{row.name} (about {row.hours:g} hours)" for row in first]
        report.say(
            f"Most readiness for the next hours: {base.join_words(hours)}.",
            *(skill_passage(catalogue, catalogue.skills[row.skill]) for row in first),
        )
    if gap.not_counted:
        report.say(
            "Not counted, because you write that you do not have it yet: "
            f"{base.join_words([item.name for item in gap.not_counted])}.",
            *((mine, item.quote.whole_line) for item in gap.not_counted),
        )
    return report.result(gap, suggestions=("Make me a roadmap for what is missing",))


def _attached(request: Request, values: SlotValues, context: SkillContext, name: str) -> str:
    """The text of a slot or of the attachment meant for it; a sole attachment is the resume unless named as the advert."""
    given = values.text(name)
    if given:
        return given

    def is_advert(item: Attachment) -> bool:
        return bool(
            re.search(r"\b(?:ad|advert\w*|job|posting|vacancy|jd)\b", re.sub(r"[_\W]+", " ", item.name.lower()))
        )

    for item in request.attachments:
        if is_advert(item) == (name == "job_ad"):
            return context.read_file(item.content, item.name)
    return ""


def _with_listed_levels(found: Sequence[FoundSkill], about: str, catalogue: Catalogue) -> tuple[FoundSkill, ...]:
    """In a plain list such as "python:strong, sql (basic)" the stated level counts."""
    levels = {item.skill: item.level for item in slots.skills_in(about, catalogue)} if about.count("\n") < 3 else {}
    return tuple(
        FoundSkill(f.skill, f.name, f.quote, f.how, levels.get(f.skill, f.level), f.negated, f.mentions) for f in found
    )


def _short(line: str, limit: int = 140) -> str:
    line = " ".join(line.split()).strip("-•* ")
    return line if len(line) <= limit else line[: limit - 1].rsplit(" ", 1)[0] + "\u2026"


# -- mentions -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def _surfaces(catalogue: Catalogue) -> tuple[_Surface, ...]:
    """Every name of every skill, longest first."""
    found: dict[tuple[str, str], _Surface] = {}
    for skill in catalogue.skills.values():
        for name in (skill.name, *skill.aliases):
            low = name.lower()
            exact = low in _AMBIGUOUS or (skill.case_sensitive and " " not in name and len(name) < 7)
            found[(name if exact else low, skill.id)] = _Surface(name, skill.id, exact)
    return tuple(sorted(found.values(), key=lambda item: -len(item.text)))


@lru_cache(maxsize=4)
def _pattern(catalogue: Catalogue) -> tuple[re.Pattern[str], Mapping[str, _Surface]]:
    """One pattern over all names, and the surface for each matched text (lower case unless its case counts)."""
    by_text: dict[str, _Surface] = {}
    parts = []
    for surface in _surfaces(catalogue):
        key = surface.text if surface.exact_case else surface.text.lower()
        by_text.setdefault(key, surface)
        flexible = r"[\s-]+".join(re.escape(word) for word in re.split(r"[\s-]+", surface.text))
        parts.append(f"(?-i:{flexible})" if surface.exact_case else flexible)
    pattern = re.compile(
        r"(?<![\w+#@])(?<![\w]\.)(?:" + "|".join(parts) + r")(?:'s)?(?![\w+#])(?!\.(?:com|io|org|ai)\b)", re.I
    )
    return pattern, by_text


@lru_cache(maxsize=4)
def _title_pattern(catalogue: Catalogue) -> re.Pattern[str]:
    """Job titles: words inside them are no claim of a skill."""
    names = {name for role in catalogue.roles.values() for name in (role.name, *role.aliases)}
    flexible = [
        r"[\s-]+".join(re.escape(word) for word in re.split(r"[\s-]+", name))
        for name in sorted(names, key=len, reverse=True)
    ]
    return re.compile(r"\b(?:" + "|".join(flexible) + r")s?\b", re.I)


def _exact_mentions(text: str, catalogue: Catalogue) -> Iterable[FoundSkill]:
    pattern, by_text = _pattern(catalogue)
    titles = [match.span() for match in _title_pattern(catalogue).finditer(text)]
    links = [match.span() for match in re.finditer(r"https?://\S+|www\.\S+|\S+@\S+", text)]
    for match in pattern.finditer(text):
        start, end = match.span()
        words = match[0].removesuffix("'s")
        surface = by_text.get(words) or by_text.get(words.lower()) or by_text.get(re.sub(r"[\s-]+", " ", words.lower()))
        if surface is None:
            squeezed = re.sub(r"[\s-]+", "", words.lower())
            surface = next(
                (item for key, item in by_text.items() if re.sub(r"[\s-]+", "", key.lower()) == squeezed), None
            )
        if surface is None or any(start < b and end > a for a, b in (*titles, *links)):
            continue
        if surface.text in _BARE and not _stands_as_language(text, start, start + len(words)):
            continue
        yield _mention(text, start, start + len(words), catalogue.skills[surface.skill], "exact")


def _stands_as_language(text: str, start: int, end: int) -> bool:
    """Whether a bare "R" or "Go" stands in a list of tools or after "in"."""
    line_start, line_end = _line_bounds(text, start)
    before, after = text[line_start:start], text[end:line_end]
    if _NOT_A_TOOL.match(after):
        return bool(re.match(r"\.\s+[A-Z]", after) and re.search(r"(?:,|/|\b(?:and|or|in))\s*$", before))
    if not before.strip(" \t•*-–") and not _LISTED_AFTER.match(after):
        return False
    return bool(
        (_LISTED_BEFORE.search(before)
        and (_LISTED_AFTER.match(after) or re.search(r"\bin\s+$", before) or re.search(r"[,/|]\s*$", before)))
        or re.match(r"^\s*(?:,|/|\||\(|\s+programming)", after)
    )


def _close_mentions(text: str, catalogue: Catalogue, taken: Sequence[tuple[int, int]]) -> list[FoundSkill]:
    """Misspelt long names: "Tensorflw", "Kubernets". Only words that are no other name, with the same first letter."""
    from rapidfuzz import fuzz, process

    long_names = {
        item.text.lower(): item.skill
        for item in _surfaces(catalogue)
        if len(item.text) >= 8 and not item.exact_case and " " not in item.text and "-" not in item.text
    }
    choices = list(long_names)
    found = []
    for match in re.finditer(r"[A-Za-z][\w-]{6,}", text):
        word = match[0].lower()
        if (
            any(match.start() < b and match.end() > a for a, b in taken)
            or word in long_names
            or word.endswith(("ing", "ed"))
        ):
            continue
        hit = process.extractOne(word, choices, scorer=fuzz.ratio, score_cutoff=CLOSE_SPELLING)
        if hit and hit[0][0] == word[0] and abs(len(hit[0]) - len(word)) <= 1:
            found.append(_mention(text, match.start(), match.end(), catalogue.skills[long_names[hit[0]]], "close"))
    return found


def _similar_mentions(
    text: str, catalogue: Catalogue, embedder: Embedder, taken: Sequence[tuple[int, int]]
) -> list[FoundSkill]:
    """Short items of lists that no name matches, by meaning; two to five words, so that a bare word never counts."""
    items = []
    for match in re.finditer(r"(?<=[,;:•|\n])\s*([A-Za-z][\w /&-]{6,48}?)\s*(?=[,;|\n.]|$)", text):
        words = match[1].strip()
        start = match.start(1)
        if 2 <= len(words.split()) <= 4 and not any(start < b and start + len(words) > a for a, b in taken):
            items.append((start, start + len(words), words))
    if not items:
        return []
    surfaces = [item for item in _surfaces(catalogue) if len(item.text) >= 6 and " " in item.text]
    vectors = _surface_vectors(catalogue, embedder)  # type: ignore[arg-type]  # embedders hash by identity
    scores = embedder.embed_documents([words for _, _, words in items]) @ vectors.T
    found = []
    for (start, end, _), row in zip(items, scores, strict=True):
        best = int(row.argmax())
        if float(row[best]) >= SIMILAR_COSINE:
            found.append(_mention(text, start, end, catalogue.skills[surfaces[best].skill], "similar"))
    return found


@lru_cache(maxsize=2)
def _surface_vectors(catalogue: Catalogue, embedder: Embedder) -> Vectors:
    return embedder.embed_documents(
        [item.text for item in _surfaces(catalogue) if len(item.text) >= 6 and " " in item.text]
    )


def _mention(text: str, start: int, end: int, skill: Skill, how: Literal["exact", "close", "similar"]) -> FoundSkill:
    line_start, line_end = _line_bounds(text, start)
    quote = Quote(text[start:end], text.count("\n", 0, start) + 1, start, end, text[line_start:line_end].strip())
    before, after = text[line_start:start], text[end:line_end]
    clause = _CLAUSE_END.split(before)[-1]
    clause_after = _CLAUSE_END.split(after)[0]
    negated = bool(_NEGATION.search(clause) or _WISH.search(clause) or _NEGATED_AFTER.match(clause_after))
    return FoundSkill(skill.id, skill.name, quote, how, _level(clause, clause_after), negated)


def _level(before: str, after: str) -> str:
    """The level that the words of the same clause suggest; working when they suggest none."""
    bracket = re.match(r"\s*[(:–-]+\s*([^,;)]{2,30})", after)
    near = " ".join(before.split()[-8:])
    if "," in near:  # "strong Python, some SQL": the nearest item of the list decides, else what opens the list
        last = near.rsplit(",", 1)[1]
        near = last if any(re.search(cue, last, re.I) for _, cue in _LEVEL_CUES) else near.split(",")[0]
    for words in (
        bracket[1] if bracket else "",
        near,
        " ".join(after.split()[:5]) if re.match(r"\s+(?:at|level|\d)", after) else "",
    ):
        for level, cue in _LEVEL_CUES:
            if words and re.search(cue, words, re.I):
                return level
    return "working"


def _merge(entries: Sequence[FoundSkill]) -> FoundSkill:
    """One entry for all mentions: the one that claims most; negated only when all are."""
    claims = [item for item in entries if not item.negated]
    if not claims:
        return entries[0]
    best = max(claims, key=lambda item: (LEVELS.index(item.level), _tells(item.quote.whole_line), -item.quote.start))
    return FoundSkill(best.skill, best.name, best.quote, best.how, best.level, False, len(claims))


def _tells(line: str) -> bool:
    """Whether a line tells what was done, rather than listing names."""
    return line.count(",") < 5 and len(line.split()) >= 6


def _line_bounds(text: str, position: int) -> tuple[int, int]:
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    return start, len(text) if end < 0 else end


# -- advertisements -------------------------------------------------------------------------------------------------


def _sections(text: str) -> list[tuple[int, int]]:
    """(offset, weight) at each line that opens a section; weight 0 is a section that asks for nothing."""
    found = [(0, 2)]
    offset = 0
    for line in text.splitlines(keepends=True):
        bare = line.strip()
        heading = (
            (bool(_HEADING.match(bare)) and len(bare.split()) <= 8) or bare.startswith(("#", "**")) or bare.endswith(":")
        )
        if heading and bare:
            if _NICE.search(bare):
                found.append((offset, 1))
            elif _IGNORED.search(bare):
                found.append((offset, 0))
            elif _TASKS.search(bare):
                found.append((offset, 2))
            elif _REQUIRED.search(bare):
                found.append((offset, 3))
        offset += len(line)
    return found


def _weight(text: str, quote: Quote, sections: Sequence[tuple[int, int]]) -> int:
    section = next(weight for offset, weight in reversed(sections) if offset <= quote.start)
    sentence = _sentence_around(text, quote)
    if section == 0:
        return 0
    if _NICE.search(sentence) and not re.search(r"\brequired\b|\bmust\b", sentence, re.I):
        return 1
    if section == 2 and re.search(
        r"\b(?:required|must|essential|you (?:have|know|need|bring)|we need|experience (?:with|in)|proficien\w+|"
        r"knowledge of|years? of|looking for)\b",
        sentence,
        re.I,
    ):
        return 3
    return section


def _sentence_around(text: str, quote: Quote) -> str:
    line_start, line_end = _line_bounds(text, quote.start)
    line = text[line_start:line_end]
    position = quote.start - line_start
    starts = [match.end() for match in re.finditer(r"[.;!?]\s+", line) if match.end() <= position]
    ends = [match.start() + 1 for match in re.finditer(r"[.;!?](?:\s+|$)", line) if match.start() >= position]
    return line[starts[-1] if starts else 0 : ends[0] if ends else len(line)]


# -- assessment -----------------------------------------------------------------------------------------------------


def _needs(catalogue: Catalogue, role: str, level: str, advert: Sequence[AdvertRequirement]) -> list[GapRow]:
    if advert:
        return [
            _open_row(catalogue, item.skill, item.target, item.weight, item.quote.whole_line, item.quote)
            for item in advert
        ]
    card = base.find_role(catalogue, role)
    at = card.at(level or "junior")
    return [
        _open_row(
            catalogue,
            need.skill,
            need.target,
            need.weight,
            base.requirement_sentence(catalogue, card, at.level, need.skill),
            None,
        )
        for need in at.skills
    ]


def _open_row(catalogue: Catalogue, skill: str, target: str, weight: int, need: str, quote: Quote | None) -> GapRow:
    row = catalogue.skills[skill]
    return GapRow(skill, row.name, target, weight, "missing", "none", None, "", need, quote, "", row.hours, row.guide)


def _row(
    catalogue: Catalogue, need: GapRow, shown: Mapping[str, FoundSkill], profile: Mapping[str, str], denied: set[str]
) -> GapRow:
    found, stated = shown.get(need.skill), profile.get(need.skill)
    have_level = max((found.level if found else "none", stated or "none"), key=LEVELS.index)
    have, source = (found.quote, "text") if found else (None, "profile" if stated else "")
    if have_level != "none":
        if LEVELS.index(have_level) >= LEVELS.index(need.target):
            return _close(need, "met", have_level, have, source, f"{need.target} level is asked for")
        return _close(
            need, "partly", have_level, have, source, f"that shows {have_level} level, {need.target} level is asked for"
        )
    implied = (
        None
        if need.skill in denied
        else next((item for item in shown.values() if need.skill in _closure(catalogue, item.skill)), None)
    )
    if implied:
        return _close(
            need,
            "partly",
            "basic",
            implied.quote,
            "text",
            f"{implied.name} builds on it, but {need.target} level is asked for and not shown",
        )
    return _close(need, "missing", "none", None, "", f"{need.target} level is asked for, and nothing you sent shows it")


def _close(need: GapRow, verdict: Verdict, level: str, have: Quote | None, source: str, why: str) -> GapRow:
    return GapRow(
        need.skill,
        need.name,
        need.target,
        need.weight,
        verdict,
        level,
        have,
        source,
        need.need,
        need.need_quote,
        why,
        base.hours_between(need.hours, level, need.target),
        need.guide,
    )


def _closure(catalogue: Catalogue, skill: str) -> set[str]:
    found: set[str] = set()
    stack = [skill]
    while stack:
        for before in catalogue.skills[stack.pop()].prerequisites:
            if before not in found:
                found.add(before)
                stack.append(before)
    return found


def _readiness(rows: Sequence[GapRow]) -> tuple[float, str]:
    total = sum(row.weight for row in rows)
    met = sum(row.weight for row in rows if row.verdict == "met")
    partly = sum(row.weight for row in rows if row.verdict == "partly")
    readiness = (met + 0.5 * partly) / total
    return readiness, (
        f"Readiness is {readiness:.0%}: the weights met, {met}, plus half of those partly met, {partly}, "
        f"over all weights, {total}."
    )


SPEC = SkillSpec(
    name="skill_gap",
    title="Skill gap",
    summary="What a role or a job advertisement asks for and you do not show yet, each with quotes.",
    examples=(
        "what skills am I missing for data scientist",
        "compare my resume with this job ad",
        "how far am I from being an MLOps engineer",
        "do I match this job posting",
        "which requirements of this advertisement do I meet",
        "skill gap analysis for machine learning engineer",
        "am I ready to apply for a senior data engineer job",
        "check me against the requirements of an AI engineer",
        "what do I still lack to become a research scientist",
        "I know Python, SQL and pandas, what is missing for data analyst",
        "how well does my CV fit this vacancy",
        "where are my gaps for a computer vision role",
        "is my background enough for an NLP engineer position",
        "analyse my skills against the role",
        "match my profile with this job description",
        "gap between me and a mid-level ML engineer",
        "what would I need to add to qualify for this role",
        "rate my readiness for data science",
        "which of my skills count for analytics engineer",
        "should I apply, here is the advert and my CV",
        "tell me what I have and what I miss for this position",
        "how many of these requirements do I fulfil",
        "my skills are Java and Spark, how close am I to data engineer",
        "evaluate my skill set for an ML platform job",
        "what stands between me and an applied scientist job",
        "readiness score for the role I want",
        "find the holes in my skills for machine learning",
        "does my experience cover what this employer wants",
    ),
    slots=(
        Slot("role", "Which role should I compare you with?", "role", help="Role to compare with."),
        Slot("level", "At which level?", "level", choices=base.LEVEL_WORDS, help="Level of the role."),
        Slot("job_ad", "Paste the job advertisement or attach it.", "file", help="Advertisement as a file or text."),
        Slot(
            "resume",
            "Tell me your skills with levels, or attach your resume.",
            "file",
            help="Resume as a file or text.",
        ),
        Slot("skills", "Which skills do you have?", "skills", help="e.g. python:strong,sql:basic."),
    ),
    run=run,
)

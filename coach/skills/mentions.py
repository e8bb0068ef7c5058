"""Which skills of the catalogue a text names: a resume's claims and an advertisement's requirements, each with its quote."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Literal

from coach.catalogue.tables import LEVELS, Catalogue, Skill
from coach.domain import Embedder

if TYPE_CHECKING:
    from coach.domain import Vectors

How = Literal["exact", "described", "close", "similar"]
LONGEST_MISSPELT_TEXT = 20_000
SIMILAR_COSINE = 0.77
LONGEST_TEXT = 60_000
CONTEXT_LETTERS = 600
MOST_MENTIONS = 200  # of one skill in one text, by name and by wording each: more is padding

# English words and first names that are also names of tools: only the catalogue's own capitals count.
_AMBIGUOUS = frozenset(
    ["r", "go", "rust", "spark", "excel", "react", "helm", "feast", "locust", "evidently", "prefect", "hive", "yarn", "cargo", "whisper", "clip", "lime", "flask", "stan", "beam", "glove", "dl", "rl", "ann", "cart", "ner", "gru", "gan", "gans", "tokio", "looker", "colab", "torch", "flax", "akka", "sbt", "awq", "bandits", "terminal", "bagging", "scopus", "pip", "pdb", "feast", "tecton", "dgl", "ppo", "dpo", "rag", "sre", "iac", "olap", "elt", "eda", "dsa", "gbm", "glm", "glms", "nmt", "asr", "sft", "tgi", "tdd", "oop", "r"]
)
# Names of one or two letters, which need company: a list, or "in R".
_BARE = frozenset({"R", "Go"})
_LISTED_BEFORE = re.compile(
    r"(?:^|[^\w\s.'’\"]\s*|\b(?:in|and|or|with|using|of|know|knows|both|language|languages|via|use|used|uses|write|writes|wrote|written|code)\s+)$", re.I
)
_LISTED_AFTER = re.compile(
    r"^(?:\s*[^\w\s.'’&\"-]|\s+(?:and|or|for|programming|scripts?|scripting|packages?|code|services?|developers?)\b|\s*[.:]?\s*$|\.\s+[A-Z])"
)
_NOT_A_TOOL = re.compile(
    r"^(?:\s*&|\.\s+[A-Z]|\s*-\s*(?:to|live|getter)\b|\s+(?:to|live|beyond|ahead|above|on|through)\b)", re.I
)
_LINK = re.compile(r"https?://\S+|www\.\S+|\S+@\S+")
_CLAUSE_END = re.compile(r"[.;!?](?:\s|$)|\n|\b(?:but|however|although)\b", re.I)
_NEGATION = re.compile(
    r"\b(?:no|not|never|nor|neither|without|lack(?:s|ing)?|\w+n['’]t|(?:have?|did|does|do|ca|wo)nt|cannot|zero|rather than|instead of)\b"
    r"(?!\s+only)(?:(?!\b(?:just|only)\b)[^.;:])*$"
    r"|\b(?:not (?:need(?:ed)?|required?|suitable|looking|expect(?:ed|ing)?)|n['’]t (?:need|require|expect)|no need)\b[^.;]*$"
    r"|\breplac(?:ed|es|ing)\b(?:(?!\b(?:by|with)\b)[^.;,:])*$",
    re.I,
)
_WISH = re.compile(
    r"\b(?:want(?:s|ed|ing)?|would like|wish|hope|hoping|plan(?:ning)?|eager|keen|aim(?:ing)?|intend|looking|excited|ready|willing)\s+to\s+"
    r"(?:\w+\s+){0,2}?(?:learn|study|pick up|explore|try|use|work|get|start|deepen|improve|move|grow)\b[^.;]*$"
    r"|\b(?:interested in|curious about|interest in|learning goals?|to learn|wish list|next on my list|no exposure to|yet to)\b[^.;]*$"
    r"|\b(?:opportunity|chance) to (?:learn|work with)\b[^.;]*$"
    r"|\breading (?:up )?(?:on|about)\b[^.;]*$",
    re.I,
)
_WISH_HEADING = re.compile(
    r"^\W*(?:what |things |skills )?(?:i(?:['’]m| am| would like| want)? )?(?:still|want(?:ing)?|would like|like|hope|plan(?:ning)?|next|currently)?\s*(?:to )?"
    r"(?:learn(?:ing)?(?: goals| next| list)?|on my list|wish list)\W*$",
    re.I,
)
_NEGATED_AFTER = re.compile(
    r"^[\s):,|–-]*(?:none\b|0\s*/\s*\d|never\b|zero\b|no experience|not yet|no knowledge|is not (?:required|needed|necessary)|"
    r"are not (?:required|needed)|(?:experience |knowledge )?(?:is |are )?not (?:required|needed|necessary))"
    r"|^[^.;!?\n]{0,60}\b(?:did(?: not|n['’]?t) finish|(?:built|done) nothing|still (?:do not|don['’]?t) have|never (?:used|touched))\b",
    re.I,
)
# Other meanings of a name: (words that stand before it, after it, anywhere in its line).
_OTHER_MEANING: Mapping[str, tuple[str, str, str]] = {
    "pandas": (r"\b(?:the|our|two|three|giant|red|baby)\s+$", r"^\s+(?:cubs?|bears?|house)\b", r"\b(?:zoo|bamboo|cubs?|enclosure|animals?)\b"),
    "rust": (r"\b(?:removes?|removing|against|surface)\s+$", r"^(?:-|\s+(?:removal|prevention|protection|belt|bucket|proof|free|resistan\w+|coating|inspection|treatment|repair))", ""),
    "spark": ("", r"^\s+(?:gap|plugs?|ignition|your|our|interest|joy|an?|the|of)\b", ""),
    "java": (r"\b(?:caf[eé]|cup of|island of|bar)\s+$", r"^\s+(?:coffee|sea|island|house)\b", r"\b(?:barista|espresso|Indonesia)\b"),
    "kafka": (r"\b(?:called|named|Franz|author|novels? (?:of|by)|cat|read(?:ing)?)\s+$", "", ""),
    "dropout": (r"\b(?:school|student|university|college|customer)\s+$", r"^\s+(?:events?|rates?|students?|prevention|risk)\b", ""),
    "containers": ("", "", r"\b(?:ships?|shipping|freight|ports?|cargo|harbou?r|vessels?|trucks?)\b"),
    "triton": (r"\bCUDA\s*(?:/|,|and|or)\s*$", r"^\s+(?:kernels?|or CUDA|and CUDA|language|code)\b", ""),
    "ci": ("", "", r"\bconfidence\b|\b95 ?%"),
    "head of": (r"\b(?:to|with|by|our|from)\s+(?:the\s+|our\s+)?$", "", ""),
    "attention": ("", r"^\s+to detail", ""),
    "coaching": (r"\b(?:personal|life|health|sports?)\s+$", "", ""),
    "publications": (r"\b(?:trade|our|internal)\s+$", "", ""),
}
_ELECTRICAL = re.compile(
    r"\b(?:\d*\s?kV|MVA|kVA|voltage|substations?|switchgear|windings?|dissolved gas|gas measurements|motors?|toys?|relays?|power grid|commissioned)\b", re.I
)
_COMPANY = (
    r"(?:Ltd|Limited|Inc|GmbH|AG|SE|plc|LLC|LLP|Co|Corp|Group|House|Holdings?|Partners?|Consult\w+|Solicitors|Systems|Technologies|Labs?|Studios?|Games|"
    r"Bank|Coffee|Brewer\w+|Zoo|Foundation|Institute|University|College|School|Agency|Insurance|Energy|Foods?|Media|Motors|Airlines|Hotels?|Logistics|"
    r"Delivery|Parcels|Street|Road|Lane|Club|Theatre|Books?|Records|Electric|Telecom|Mobile|Pharma|Retail|Capital|Ventures)"
)
# Names that are also ordinary words: with a company's word behind them they are part of its name.
_ORDINARY = frozenset(
    "java python oracle spark snowflake pandas kafka rust go airflow docker flask prophet excel looker tableau athena presto aurora iceberg feast helm "
    "redis cassandra hive impala jupyter torch keras bedrock lambda sentry synapse triton vertex scala ruby delta".split()
)
_EMPLOYER_AFTER = re.compile(
    r"^(?:'s)?\s+(?!(?:Stream|SQL|DAG|Develop|Engineer|Desktop|Server|Cloud|Prep|Connect|Core|Boot|ML|Script|Program|Data|Analy|Spec|Admin|Cert|Arch|API|Add|Flow)\w*)"
    r"[A-Z][a-z]{2,}"
)
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_COMPANY_AFTER = re.compile(rf"^(?:'s)?\s+(?:(?:[A-Z][\w'-]+|&|of|and)\s+){{0,3}}?{_COMPANY}\b")
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
_UNWANTED = re.compile(r"\b(?:not (?:required|needed|necessary)|(?:not|n['’]t) need|not (?:for|suitable))\b", re.I)
_IGNORED = re.compile(
    r"^\W*about (?!you\b|your\b|the (?:role|job|position|team|work|project|product|stack)|this )\w|\b(?:about (?:us|the company)|who we are|benefits|perks|what we offer|we offer|equal opportunit\w+|our culture|how to apply|salary|"
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
    """A skill that a text names; `level` is what the words suggest.

    `how` is exact (a name), described (a wording), close (a misspelt name) or similar (in meaning).
    """

    skill: str
    name: str
    quote: Quote
    how: How
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
    mentions = find_mentions(text, catalogue, embedder)
    merged: dict[str, list[FoundSkill]] = {}
    for mention in mentions:
        merged.setdefault(mention.skill, []).append(mention)
    return tuple(_merge(entries) for entries in merged.values())


def find_mentions(text: str, catalogue: Catalogue, embedder: Embedder | None = None) -> list[FoundSkill]:
    """Every mention in the order of the text, negated ones too."""
    found = list(_exact_mentions(text, catalogue))
    named = {(item.skill, *_span(item)) for item in found}
    described = _described_mentions(text, catalogue, [_span(item) for item in found])
    found += [item for item in described if (item.skill, *_span(item)) not in named]
    found += _close_mentions(text, catalogue, [_span(item) for item in found])
    if embedder is not None:
        found += _similar_mentions(text, catalogue, embedder, [_span(item) for item in found])
    return sorted(found, key=lambda item: item.quote.start)


def extract_requirements(
    text: str, catalogue: Catalogue, embedder: Embedder | None = None
) -> tuple[AdvertRequirement, ...]:
    """The skills that a job advertisement asks for, with weight and level from the words around them."""
    text = text[:LONGEST_TEXT]
    sections = _sections(text)
    mentions = find_mentions(text, catalogue, embedder)
    best: dict[str, AdvertRequirement] = {}
    for mention in mentions:
        weight = _weight(text, mention.quote, sections)
        if mention.negated or weight == 0:
            continue
        need = AdvertRequirement(mention.skill, mention.name, mention.level, weight, mention.quote)
        if mention.skill not in best or weight > best[mention.skill].weight:
            best[mention.skill] = need
    return tuple(best.values())


# -- mentions -----------------------------------------------------------------------------------------------------


def _span(item: FoundSkill) -> tuple[int, int]:
    return item.quote.start, item.quote.end


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
        plural = "s?" if " " in surface.text and re.search(r"[a-rt-z]$", key) else ""
        parts.append(f"(?-i:{flexible})" if surface.exact_case else flexible + plural)
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
    links = [match.span() for match in _LINK.finditer(text)]
    counted: Counter[str] = Counter()
    for match in pattern.finditer(text):
        start, end = match.span()
        words = match[0].removesuffix("'s")
        plain = re.sub(r"[\s-]+", " ", words.lower())
        surface = by_text.get(words) or by_text.get(words.lower()) or by_text.get(plain) or by_text.get(plain.removesuffix("s"))
        if surface is None:
            squeezed = re.sub(r"[\s-]+", "", words.lower())
            surface = next(
                (item for key, item in by_text.items() if re.sub(r"[\s-]+", "", key.lower()) == squeezed), None
            )
        if surface is None or _around(titles, start, start + 1) or _around(titles, end - 1, end) or _around(links, start, start + 1):
            continue
        if surface.text in _BARE and not _stands_as_language(text, start, start + len(words)):
            continue
        if counted[surface.skill] >= MOST_MENTIONS or _means_something_else(text, start, start + len(words)):
            continue
        counted[surface.skill] += 1
        yield _mention(text, start, start + len(words), catalogue.skills[surface.skill], "exact")


def _around(spans: Sequence[tuple[int, int]], start: int, end: int) -> tuple[int, int] | None:
    """The span that holds start to end; spans are in order and do not overlap."""
    position = bisect_right(spans, start, key=lambda span: span[0]) - 1
    return spans[position] if position >= 0 and spans[position][1] >= end else None


def _means_something_else(text: str, start: int, end: int) -> bool:
    """Whether the words around a name give it another meaning: an animal, a coffee house, a power transformer."""
    line_start, line_end = _line_bounds(text, start)
    before, after, line = text[line_start:start], text[end:line_end], text[line_start:line_end]
    name = text[start:end].lower()
    if name in _ORDINARY and text[start].isupper() and (_COMPANY_AFTER.match(after) or (_EMPLOYER_AFTER.match(after) and _YEAR.search(line))):
        return True
    if name in {"transformer", "transformers"}:
        near = line[max(0, start - line_start - 120) : end - line_start + 120]
        return bool(_ELECTRICAL.search(near)) and not re.search(r"\b(?:BERT|GPT|NLP|language|attention|vision|neural|deep)\b", near)
    if name not in _OTHER_MEANING:
        return False
    ahead, behind, anywhere = _OTHER_MEANING[name]
    if re.match(r"^\s+(?:library|package|API|DataFrames?)\b", after):
        return False
    return any(
        pattern and re.search(pattern, words, re.I)
        for pattern, words in ((ahead, before), (behind, after), (anywhere, line))
    )


def _described_mentions(text: str, catalogue: Catalogue, taken: Sequence[tuple[int, int]]) -> list[FoundSkill]:
    """What the wordings of the catalogue describe, outside of names that were found and of job titles."""
    titles = [match.span() for match in _title_pattern(catalogue).finditer(text)]
    links = [match.span() for match in _LINK.finditer(text)]
    found = []
    for skill, pattern in _wordings(catalogue):
        for match in islice(pattern.finditer(text), MOST_MENTIONS):
            start, end = match.span()
            inside = _around(taken, start, end) or _around(titles, start, end)
            if inside in (None, (start, end)) and not _around(links, start, end) and not _means_something_else(text, start, end):
                found.append(_mention(text, start, end, catalogue.skills[skill], "described"))
    return found


@lru_cache(maxsize=4)
def _wordings(catalogue: Catalogue) -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple(
        (skill.id, re.compile(rf"(?<![\w+#@-])(?:{'|'.join(map(_wording, skill.wordings))})(?![\w+#])"))
        for skill in catalogue.skills.values()
        if skill.wordings
    )


def _wording(wording: str) -> str:
    """The pattern of one wording: see `Skill.wordings`."""
    parts = [
        r"[,:]?[^\S\n]+(?:[\w'’&-]+[,:]?[^\S\n]+|[(/]){0,3}?[(\"“]?" if part == " .. "
        else r"(?:[^\S\n]|-)+" if part == " "
        else ("{}" if part != part.lower() else "(?i:{})").format(re.escape(part).replace(r"\*", r"[\w-]*"))
        for part in re.split(r"( \.\. | )", wording)
    ]
    return "".join(parts)


def _stands_as_language(text: str, start: int, end: int) -> bool:
    """Whether a bare "R" or "Go" stands in a list of tools or after "in"."""
    line_start, line_end = _line_bounds(text, start)
    before, after = text[line_start:start], text[end:line_end]
    if _NOT_A_TOOL.match(after):
        return bool(re.match(r"\.\s+[A-Z]", after) and re.search(r"(?:,|/|\b(?:and|or|in))\s*$", before))
    if re.search(r"(?:\b(?:Python|SQL|Java|Scala|Rust|SAS|Matlab|Julia|C\+\+)(?: (?:or|and|and/or) |, |/)|\b[Ii]ntro(?:duction)? to |\b[Pp]rogram\w* in )$", before):
        return True
    if not re.search(r"\w", before) and not _LISTED_AFTER.match(after):
        return False
    return bool(
        (_LISTED_BEFORE.search(before)
        and (_LISTED_AFTER.match(after) or re.search(r"\bin\s+$", before) or re.search(r"[,/|]\s*$", before)))
        or re.match(r"^\s*(?:,|/|\||\(|\s+programming)", after)
    )


def _close_mentions(text: str, catalogue: Catalogue, taken: Sequence[tuple[int, int]]) -> list[FoundSkill]:
    """Misspelt names of one or two words: "Tensorflw", "Pyhton", "anomaly detecton". Short ones only with swapped letters."""
    if len(text) > LONGEST_MISSPELT_TEXT:
        return []
    from rapidfuzz import process
    from rapidfuzz.distance import OSA

    found: list[FoundSkill] = []
    spans = list(taken)
    words = list(re.finditer(r"[^\W\d_][\w-]*", text))
    for count in (2, 1):
        names = _plain_names(catalogue, count)
        choices = list(names)
        for first, last in zip(words, words[count - 1 :], strict=False):
            start, end = first.start(), last.end()
            written = text[start:end].lower()
            if not count * 6 <= len(written) <= 40 or written in names or written.count(" ") != count - 1:
                continue
            if any(start < b and end > a for a, b in spans):
                continue
            hit = process.extractOne(written, choices, scorer=OSA.distance, score_cutoff=count)
            if hit and _is_misspelling(written, hit[0]):
                spans.append((start, end))
                found.append(_mention(text, start, end, catalogue.skills[names[hit[0]]], "close"))
    return found


def _is_misspelling(written: str, name: str) -> bool:
    from rapidfuzz.distance import OSA

    pairs = list(zip(written.split(), name.split(), strict=True))
    for one, other in pairs:
        if one[0] != other[0] or (one != other and one.rstrip("s") == other.rstrip("s")):
            return False
        swapped = sorted(one) == sorted(other)
        if one != other and not swapped and (min(len(one), len(other)) < 9 - len(pairs) or OSA.distance(one, other) > 1):
            return False
    return True


@lru_cache(maxsize=8)
def _plain_names(catalogue: Catalogue, words: int) -> Mapping[str, str]:
    """Skill id by names and wordings of that many plain words, long enough to be told from other words."""
    named = [(item.text, item.skill) for item in _surfaces(catalogue) if not item.exact_case]
    named += [(w, skill.id) for skill in catalogue.skills.values() for w in skill.wordings if "*" not in w and ".." not in w]
    return {
        name.lower(): skill
        for name, skill in reversed(named)
        if len(name) >= 6 * words and len(name.split()) == words and re.fullmatch(r"[a-z ]+", name.lower())
    }


def _similar_mentions(
    text: str, catalogue: Catalogue, embedder: Embedder, taken: Sequence[tuple[int, int]]
) -> list[FoundSkill]:
    """Short items and clauses that no name matches, by meaning; two to seven words, so that a bare word never counts."""
    titles = [match.span() for match in _title_pattern(catalogue).finditer(text)]
    items = []
    for match in re.finditer(r"[^\n,;:.|()]{6,60}", text):
        words = match[0].strip(" \t•*–▪·>#-")
        start = match.start() + match[0].index(words) if words else match.start()
        free = not any(start < b and start + len(words) > a for a, b in (*taken, *titles))
        if 2 <= len(words.split()) <= 7 and free:
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


def _mention(text: str, start: int, end: int, skill: Skill, how: How) -> FoundSkill:
    line_start, line_end = _line_bounds(text, start)
    quote = Quote(text[start:end], text.count("\n", 0, start) + 1, start, end, text[line_start:line_end].strip())
    before, after = text[line_start:start], text[end:line_end]
    clause = _CLAUSE_END.split(before)[-1]
    clause_after = _CLAUSE_END.split(after)[0]
    negated = bool(
        _NEGATION.search(clause) or _WISH.search(clause) or _NEGATED_AFTER.match(after) or _under_a_wish(text, line_start)
    )
    return FoundSkill(skill.id, skill.name, quote, how, _level(clause, clause_after), negated)


def _under_a_wish(text: str, line_start: int) -> bool:
    """Whether the paragraph of this line stands under a heading such as "Still learning" or "Would like to learn"."""
    lines = text[max(0, line_start - 1500) : line_start].split("\n")[:-1]
    paragraph = list(takewhile(str.strip, reversed(lines)))
    return any(_WISH_HEADING.match(line) for line in paragraph)


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
    """The line around a position, at most CONTEXT_LETTERS each way: a file may be one endless line."""
    nearest, furthest = max(0, position - CONTEXT_LETTERS), min(len(text), position + CONTEXT_LETTERS)
    start = text.rfind("\n", nearest, position) + 1 or (nearest and text.find(" ", nearest, position) + 1) or nearest
    end = text.find("\n", position, furthest)
    return start, end if end >= 0 else furthest


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
            if _UNWANTED.search(bare):
                found.append((offset, 0))
            elif _NICE.search(bare):
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

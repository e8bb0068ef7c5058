"""Which language model fits: computed memory, licence, languages, modalities and modes over the catalogue."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coach.catalogue.passages import OVERHEAD_GIB, count_words, model_passage
from coach.catalogue.tables import Catalogue, ModelCard
from coach.domain import Passage, Request
from coach.errors import RequestError
from coach.skills import base, slots
from coach.skills.base import Report, SkillContext, SkillResult, SkillSpec, Slot, SlotValues

PRECISIONS: tuple[tuple[str, float], ...] = (("bfloat16", 16), ("int8", 8), ("4-bit", 4.5))
DEFAULT_CONTEXT = 4096
SHOWN = 3
MANY_LANGUAGES = 25
WARNING = (
    "Published figures were measured by different people with different settings, so they are shown to be read "
    "one card at a time and were not used to rank."
)
LANGUAGE_CODES = {
    "arabic": "ar",
    "bengali": "bn",
    "chinese": "zh",
    "mandarin": "zh",
    "czech": "cs",
    "danish": "da",
    "dutch": "nl",
    "english": "en",
    "finnish": "fi",
    "french": "fr",
    "german": "de",
    "deutsch": "de",
    "greek": "el",
    "hebrew": "he",
    "hindi": "hi",
    "hungarian": "hu",
    "indonesian": "id",
    "italian": "it",
    "japanese": "ja",
    "korean": "ko",
    "norwegian": "no",
    "persian": "fa",
    "polish": "pl",
    "portuguese": "pt",
    "romanian": "ro",
    "russian": "ru",
    "spanish": "es",
    "swahili": "sw",
    "swedish": "sv",
    "tamil": "ta",
    "thai": "th",
    "turkish": "tr",
    "ukrainian": "uk",
    "urdu": "ur",
    "vietnamese": "vi",
}
LANGUAGE_NAMES = {code: name.capitalize() for name, code in reversed(LANGUAGE_CODES.items())} | {
    "de": "German",
    "zh": "Chinese",
}


@dataclass(frozen=True, slots=True)
class Need:
    """What a model must do. None and empty mean that it does not matter."""

    memory_gb: float | None = None
    context_tokens: int = DEFAULT_CONTEXT
    languages: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    commercial: bool = False
    thinking: bool | None = None
    tools: bool = False
    ungated: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """GiB that a model takes at a precision; `cache_gib` None when the geometry is not published."""

    precision: str
    bits: float
    weights_gib: float
    cache_gib: float | None
    overhead_gib: float
    total_gib: float


@dataclass(frozen=True, slots=True)
class Published:
    """A figure from a model card, as published."""

    benchmark: str
    value: float
    setting: str
    as_of: str
    source: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that fits, at the finest precision that does."""

    id: str
    name: str
    parameters: int
    licence: str
    precision: str
    total_gib: float
    spare_gib: float | None
    memory: tuple[Memory, ...]
    cautions: tuple[str, ...]
    runs_here: bool
    published: tuple[Published, ...]


@dataclass(frozen=True, slots=True)
class Excluded:
    """A model that does not fit, with every reason."""

    id: str
    name: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """How the memory of a model was computed."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Advice:
    """The outcome: best first, and why the others are not among them."""

    need: Need
    recommended: tuple[Candidate, ...]
    excluded: tuple[Excluded, ...]
    arithmetic: tuple[Arithmetic, ...]
    formula: str
    warning: str = WARNING


@dataclass(frozen=True, slots=True)
class ComparedModel:
    """One column of a comparison."""

    id: str
    name: str
    maker: str
    released: str
    parameters: int
    context_tokens: int | None
    licence: str
    commercial: str
    gated: bool
    modalities: tuple[str, ...]
    thinking: str
    tools: bool | None
    languages: str
    memory: tuple[Memory, ...]
    published: tuple[Published, ...]
    runs_here: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """Models side by side; `shared_benchmarks` name the figures that both cards publish, which still do not compare."""

    models: tuple[ComparedModel, ...]
    shared_benchmarks: tuple[str, ...]
    arithmetic: tuple[Arithmetic, ...]
    formula: str
    warning: str = WARNING


FORMULA = (
    f"Memory is the weights (parameters x bits / 8) plus the KV cache (2 x layers x KV heads x head size x tokens x "
    f"2 bytes, layers with a sliding window keep at most the window) plus {OVERHEAD_GIB:g} GiB for the program; "
    f"4-bit means 4.5 bits, because scales are stored too; 1 GiB is 1024\u00b3 bytes."
)


def parse_need(text: str, *, memory_gb: float | None = None, context_tokens: int | None = None) -> Need:
    """The constraints that a sentence such as "4 GB laptop, German, commercial use, images" states."""
    low = text.lower()
    context = re.search(
        r"\b(\d+(?:[.,]\d+)?)\s*(k)?\s*[- ]?tokens?\b|\bcontext (?:of|window of|length of)?\s*(\d+(?:\.\d+)?)\s*(k)?\b",
        low,
    )
    if context_tokens is None and context:
        number = float(
            (context[1] or context[3]).replace(",", "" if len((context[1] or context[3]).split(",")[-1]) == 3 else ".")
        )
        context_tokens = int(number * (1024 if context[2] or context[4] else 1))
    no_thinking = re.search(r"\b(?:no|without|not?)\s+(?:a\s+)?(?:thinking|reasoning)", low)
    modalities = [
        kind
        for kind, words in (
            ("image", r"images?|pictures?|photos?|vision|screenshots?|diagrams?|scans?|multimodal|visual"),
            ("video", r"videos?"),
        )
        if _wanted(low, words)
    ]
    return Need(
        memory_gb=memory_gb if memory_gb is not None else slots.memory_gb_in(text),
        context_tokens=context_tokens or DEFAULT_CONTEXT,
        languages=tuple(dict.fromkeys(code for name, code in LANGUAGE_CODES.items() if re.search(rf"\b{name}\b", low))),
        modalities=tuple(modalities),
        commercial=bool(
            re.search(
                r"\b(?:commercial\w*|business|compan(?:y|ies)|startup|sell(?:ing)?|product(?:s|ion)?|paid|enterprise|client\w*)\b",
                low,
            )
            and not re.search(r"\b(?:non|not)[- ]?(?:for )?commercial|no commercial|hobby|private use", low)
        ),
        thinking=False
        if no_thinking
        else True
        if re.search(r"\b(?:thinking|reasoning|chain[- ]of[- ]thought)\b", low)
        else None,
        tools=bool(re.search(r"\b(?:tools?|function)[- ](?:call\w*|use)|\bagents?\b|\btool support\b", low)),
        ungated=bool(
            re.search(
                r"\b(?:un-?gated|not gated|no gate|without (?:an? )?(?:account|login|registration|accepting))", low
            )
        ),
    )


def advise(catalogue: Catalogue, need: Need, *, runnable: Sequence[str] = ()) -> Advice:
    """Chat models that meet the need: the product's five first, then more parameters first; the rest with reasons."""
    if need.memory_gb is not None and not 0.25 <= need.memory_gb <= 4096:
        raise RequestError(f"{need.memory_gb:g} GB of memory cannot be advised on. Give between 0.25 and 4096.")
    if not 1 <= need.context_tokens <= 10_000_000:
        raise RequestError(
            f"A context of {need.context_tokens:,} tokens cannot be advised on. Give a number such as 4096."
        )
    recommended: list[tuple[ModelCard, Candidate]] = []
    excluded: list[Excluded] = []
    arithmetic: list[Arithmetic] = []
    for model in catalogue.models.values():
        if model.kind != "chat":
            continue
        memory = memory_of(model, need.context_tokens)
        reasons, cautions = _judge(model, need, memory)
        if reasons:
            excluded.append(Excluded(model.id, model.name, tuple(reasons)))
            arithmetic.append(Arithmetic(model.id, explain_memory(model, memory[-1], need.context_tokens)))
            continue
        chosen = next(item for item in memory if need.memory_gb is None or item.total_gib <= need.memory_gb)
        arithmetic.append(Arithmetic(model.id, explain_memory(model, chosen, need.context_tokens)))
        spare = None if need.memory_gb is None else round(need.memory_gb - chosen.total_gib, 2)
        recommended.append(
            (
                model,
                Candidate(
                    model.id,
                    model.name,
                    model.parameters,
                    model.licence.name,
                    chosen.precision,
                    chosen.total_gib,
                    spare,
                    memory,
                    tuple(cautions),
                    model.id in runnable,
                    _published(model),
                ),
            )
        )
    recommended.sort(key=lambda pair: (_cost(pair[1]), not pair[0].mission, -pair[0].parameters, pair[0].id))
    best = tuple(candidate for _, candidate in recommended)
    place = {candidate.id: number for number, candidate in enumerate(best)}
    arithmetic.sort(key=lambda item: place.get(item.id, len(place)))
    return Advice(need, best, tuple(excluded), tuple(arithmetic), FORMULA)


def compare(
    catalogue: Catalogue, names: Sequence[str], *, context_tokens: int = DEFAULT_CONTEXT, runnable: Sequence[str] = ()
) -> Comparison:
    """Named models side by side. Raises RequestError for a name that the catalogue does not have."""
    models = []
    for name in names:
        model = catalogue.find_model(name)
        if model is None:
            found = slots.models_in(name, catalogue)
            model = catalogue.models[found[0]] if found else None
        if model is None:
            known = ", ".join(card.name for card in catalogue.models.values() if card.mission)
            raise RequestError(f"There is no model {name!r} in the catalogue. Among others it has {known}.")
        models.append(model)
    columns = tuple(_column(model, context_tokens, runnable) for model in dict.fromkeys(models))
    shared = (
        set.intersection(*({score.benchmark for score in column.published} for column in columns)) if columns else set()
    )
    return Comparison(
        columns,
        tuple(sorted(shared)),
        tuple(
            Arithmetic(model.id, explain_memory(model, item, context_tokens))
            for model in dict.fromkeys(models)
            for item in memory_of(model, context_tokens)
        ),
        FORMULA,
    )


def memory_of(model: ModelCard, context_tokens: int = DEFAULT_CONTEXT) -> tuple[Memory, ...]:
    """Memory at each precision, finest first, in GiB rounded to two decimals."""
    tokens = min(context_tokens, model.context_tokens) if model.context_tokens else context_tokens
    cache = model.kv_cache_gib(tokens)
    return tuple(
        Memory(
            name,
            bits,
            round(model.weight_gib(bits), 2),
            None if cache is None else round(cache, 2),
            OVERHEAD_GIB,
            round(model.weight_gib(bits) + (cache or 0) + OVERHEAD_GIB, 2),
        )
        for name, bits in PRECISIONS
    )


def explain_memory(model: ModelCard, memory: Memory, context_tokens: int) -> str:
    """The arithmetic of one total as text."""
    tokens = min(context_tokens, model.context_tokens) if model.context_tokens else context_tokens
    cache = (
        f"{memory.cache_gib:.2f} GiB KV cache for {tokens:,} tokens"
        if memory.cache_gib is not None
        else "an unknown KV cache (geometry not published)"
    )
    return (
        f"{model.name} in {memory.precision}: {model.parameters:,} parameters x {memory.bits:g} bits / 8 = "
        f"{memory.weights_gib:.2f} GiB weights + {cache} + {memory.overhead_gib:.1f} GiB overhead = "
        f"{memory.total_gib:.2f} GiB."
    )


# -- the skill ----------------------------------------------------------------------------------------------------


def run(request: Request, values: SlotValues, context: SkillContext) -> SkillResult:
    """Compare the models that are named (two or more), else advise for the need."""
    catalogue = context.catalogue
    named = values.items("models") or slots.models_in(request.text, catalogue)
    context_tokens = values.number("context_tokens")
    if len(named) >= 2:
        return _report_comparison(
            compare(
                catalogue,
                named,
                context_tokens=int(context_tokens or DEFAULT_CONTEXT),
                runnable=context.runnable_models,
            ),
            context,
        )
    text = values.text("need", request.text)
    memory = values.number("memory_gb")
    need = parse_need(text, memory_gb=memory, context_tokens=int(context_tokens) if context_tokens else None)
    if need.memory_gb is None and request.profile.memory_gb is not None:
        need = parse_need(
            text, memory_gb=request.profile.memory_gb, context_tokens=int(context_tokens) if context_tokens else None
        )
    advice = advise(catalogue, need, runnable=context.runnable_models)
    return _report_advice(advice, context)


def _report_advice(advice: Advice, context: SkillContext) -> SkillResult:
    report = Report()
    need = advice.need
    asked = describe_need(need)
    cards = context.catalogue.models
    ask_memory = None if need.memory_gb is not None else SPEC.slot("memory_gb").question
    if not advice.recommended:
        report.say(f"No model of the catalogue meets all of this: {asked}.")
        near = sorted(
            advice.excluded, key=lambda item: (len(item.reasons), not cards[item.id].mission, cards[item.id].parameters)
        )
        for missed in near[:SHOWN]:
            report.say(f"{missed.name} misses it: {'; '.join(missed.reasons)}.", model_passage(cards[missed.id]))
        return report.result(advice, follow_up="Which of these conditions can you give up?")
    best = advice.recommended[0]
    fits = f", with {best.spare_gib:g} GB to spare" if best.spare_gib is not None else ""
    report.say(
        f"For {asked}, take {best.name} in {best.precision}: it needs {best.total_gib:.2f} GiB{fits}.",
        model_passage(cards[best.id]),
        _formula_passage(advice),
    )
    text = {item.id: item.text for item in advice.arithmetic}
    report.say(text[best.id], (_formula_passage(advice), text[best.id]))
    for caution in best.cautions:
        report.say(caution, model_passage(cards[best.id]))
    if best.runs_here:
        report.say(f"This installation can run {best.name} now.")
    others = advice.recommended[1:SHOWN]
    if others:
        report.paragraph()
        report.say("Next in line:")
        for item in others:
            extra = f" {item.cautions[0]}" if item.cautions else ""
            report.say(
                f"- {item.name} in {item.precision}: {item.total_gib:.2f} GiB, {item.licence}.{extra}",
                model_passage(cards[item.id]),
                (_formula_passage(advice), text[item.id]),
            )
    shown = _instructive(advice, cards)
    if shown:
        report.paragraph()
        report.say("Left out:")
        for out in shown:
            report.say(f"- {out.name}: {'; '.join(out.reasons)}.", model_passage(cards[out.id]))
    report.paragraph()
    if best.published:
        figures = [_figure(item) for item in best.published[:3]]
        report.say(
            f"Its card publishes {base.join_words(figures)} (as of {best.published[0].as_of}).",
            _figures_passage(cards[best.id]),
        )
    report.say(advice.warning)
    if need.memory_gb is not None:
        report.say(f"The {need.memory_gb:g} GB must be free: what the system and other programs use comes on top.")
    return report.result(advice, follow_up=ask_memory, suggestions=_comparisons(advice))


def _report_comparison(comparison: Comparison, context: SkillContext) -> SkillResult:
    report = Report()
    cards = context.catalogue.models
    for model in comparison.models:
        row = model_passage(cards[model.id])
        reads = base.join_words([{"image": "images"}.get(item, item) for item in model.modalities])
        window = f"a context of {model.context_tokens:,} tokens" if model.context_tokens else "an unpublished context"
        thinks = {"switch": "a thinking mode to switch on", "always": "thinking always on"}.get(
            model.thinking, "no thinking mode"
        )
        report.say(
            f"{model.name} has {count_words(model.parameters)} parameters, {window} and {thinks}, reads {reads}, and is "
            f"licensed under {model.licence}{' (gated)' if model.gated else ''}.",
            row,
        )
        sizes = [f"{item.total_gib:.2f} GiB in {item.precision}" for item in model.memory]
        report.say(f"Running it takes {base.join_words(sizes)}.", row)
        report.paragraph()
    small, large = (
        min(comparison.models, key=lambda m: m.parameters),
        max(comparison.models, key=lambda m: m.parameters),
    )
    if small.parameters != large.parameters:
        report.say(
            f"{large.name} has {large.parameters / small.parameters:.1f} times the parameters of {small.name} and needs "
            f"{large.memory[-1].total_gib - small.memory[-1].total_gib:.2f} GiB more in 4-bit.",
            model_passage(cards[small.id]),
            model_passage(cards[large.id]),
        )
    pairs = (("image", "reads images", "do not" if len(comparison.models) > 2 else "does not"),)
    for modality, what, negative in pairs:
        able = [m.name for m in comparison.models if modality in m.modalities]
        unable = [m.name for m in comparison.models if modality not in m.modalities]
        if able and unable:
            report.say(
                f"{base.join_words(able)} {what if len(able) == 1 else 'read images'}, {base.join_words(unable)} "
                f"{negative if len(unable) > 1 else 'does not'}.",
                *(model_passage(cards[m.id]) for m in comparison.models),
            )
    if comparison.shared_benchmarks:
        report.say(
            f"Every card publishes {base.join_words(list(comparison.shared_benchmarks[:4]))}: "
            + "; ".join(_shared_figures(m, comparison.shared_benchmarks[:4]) for m in comparison.models)
            + ".",
            *(_figures_passage(cards[m.id]) for m in comparison.models),
        )
    else:
        report.say("The cards publish no benchmark in common, so their quality cannot be compared from them.")
    report.say(comparison.warning)
    return report.result(comparison, suggestions=("Which of them fits in 4 GB?",))


def describe_need(need: Need) -> str:
    """The constraints in words."""
    parts = [f"{need.memory_gb:g} GB of memory"] if need.memory_gb is not None else []
    parts += [f"a context of {need.context_tokens:,} tokens"]
    parts += [LANGUAGE_NAMES.get(code, code) for code in need.languages]
    parts += [{"image": "images", "video": "videos"}.get(item, item) for item in need.modalities]
    parts += ["commercial use"] if need.commercial else []
    parts += ["tool calls"] if need.tools else []
    parts += ["a thinking mode"] if need.thinking else ["no thinking"] if need.thinking is False else []
    parts += ["no gate"] if need.ungated else []
    return base.join_words(parts)


def _wanted(text: str, words: str) -> bool:
    return bool(re.search(rf"\b(?:{words})\b", text)) and not re.search(
        rf"\b(?:no|without|not)\s+(?:\w+\s+)?(?:{words})\b", text
    )


def _judge(model: ModelCard, need: Need, memory: Sequence[Memory]) -> tuple[list[str], list[str]]:
    """Reasons against, and cautions."""
    reasons: list[str] = []
    cautions: list[str] = []
    least = memory[-1]
    if need.memory_gb is not None and least.total_gib > need.memory_gb:
        reasons.append(f"needs {least.total_gib:.2f} GiB even in 4-bit, more than {need.memory_gb:g} GB")
    elif least.cache_gib is None:
        cautions.append(f"The KV cache of {model.name} is not counted, because its geometry is not published here.")
    if model.context_tokens and need.context_tokens > model.context_tokens:
        reasons.append(f"its context ends at {model.context_tokens:,} tokens, {need.context_tokens:,} are asked for")
    missing = [item for item in need.modalities if item not in model.modalities]
    if missing:
        reasons.append(f"does not read {base.join_words([f'{item}s' for item in missing])}")
    if need.commercial and model.licence.commercial == "no":
        reasons.append(f"{model.licence.name} does not allow commercial use")
    elif need.commercial and model.licence.commercial != "yes":
        cautions.append(
            f"{model.name} allows commercial use under its terms, the {model.licence.name}: read them first."
        )
    if model.licence.gated:
        if need.ungated:
            reasons.append("its weights are gated")
        else:
            cautions.append(
                f"The weights of {model.name} are gated: accept the licence on the Hugging Face Hub before downloading."
            )
    if need.thinking and model.thinking not in {"switch", "always"}:
        reasons.append("has no thinking mode")
    if need.thinking is False and model.thinking == "always":
        reasons.append("always thinks")
    if need.tools and not model.tools:
        reasons.append("its card names no tool calls" if model.tools is None else "is not made for tool calls")
    for code in need.languages:
        verdict = _speaks(model, code)
        name = LANGUAGE_NAMES.get(code, code)
        if verdict == "no":
            reasons.append(f"its card does not list {name}")
        elif verdict == "unknown":
            reasons.append("its card gives no list of languages")
        elif verdict == "likely":
            cautions.append(
                f"The catalogue has no figure for the quality of {model.name} in {name}, only that its card counts "
                f"{model.languages.count} languages: try it on your own text."
            )
    return reasons, cautions


def _speaks(model: ModelCard, code: str) -> str:
    languages = model.languages
    if code in languages.native or LANGUAGE_NAMES.get(code, "?") in languages.note:
        return "no" if "fewer tokens" in languages.note and code not in languages.native else "yes"
    if languages.native:
        return "no"
    if code == "en":
        return "yes"
    if languages.count is None:
        return "unknown"
    return "likely" if languages.count >= MANY_LANGUAGES else "no"


def _cost(candidate: Candidate) -> int:
    """A model whose memory is not fully known comes after those whose is."""
    return int(candidate.memory[-1].cache_gib is None)


def _instructive(advice: Advice, cards: Mapping[str, ModelCard]) -> list[Excluded]:
    """The excluded models worth a line: the product's own, fewest reasons first."""
    return sorted((item for item in advice.excluded if cards[item.id].mission), key=lambda item: len(item.reasons))[:4]


def _published(model: ModelCard) -> tuple[Published, ...]:
    return tuple(
        Published(score.benchmark, score.value, score.setting, score.as_of, score.source) for score in model.scores
    )


def _column(model: ModelCard, context_tokens: int, runnable: Sequence[str]) -> ComparedModel:
    return ComparedModel(
        model.id,
        model.name,
        model.maker,
        model.released or "",
        model.parameters,
        model.context_tokens,
        model.licence.name,
        model.licence.commercial,
        model.licence.gated,
        model.modalities,
        model.thinking or "none",
        model.tools,
        model.languages.note,
        memory_of(model, context_tokens),
        _published(model),
        model.id in runnable,
    )


def _shared_figures(model: ComparedModel, benchmarks: Sequence[str]) -> str:
    figures = [_figure(item) for item in model.published if item.benchmark in benchmarks]
    return f"{model.name} {', '.join(dict.fromkeys(figures))}"


def _figure(item: Published) -> str:
    return f"{item.benchmark} {item.value:g}{f' ({item.setting})' if item.setting else ''}"


def _formula_passage(advice: Advice) -> Passage:
    text = " ".join([FORMULA, *(item.text for item in advice.arithmetic)])
    return Passage(
        "catalogue/models/memory-arithmetic",
        "Memory of language models",
        text,
        "computed from the model catalogue",
        kind="catalogue",
        heading="How the memory was computed",
        end=len(text),
    )


def _figures_passage(model: ModelCard) -> Passage:
    lines = [
        f"{score.benchmark}{f' ({score.setting})' if score.setting else ''}: {score.value:g}, as of {score.as_of}."
        for score in model.scores
    ]
    text = f"Figures that the card of {model.name} publishes. " + " ".join(lines)
    url = model.sources[0].url if model.sources else model.repository
    return Passage(
        f"catalogue/models/{model.id}-figures",
        model.name,
        text,
        url,
        max((s.as_of for s in model.scores), default=""),
        kind="catalogue",
        heading="Published figures",
        end=len(text),
        references=tuple(model.sources),
    )


def _comparisons(advice: Advice) -> tuple[str, ...]:
    names = [item.name for item in advice.recommended[:2]]
    return (f"Compare {names[0]} and {names[1]}",) if len(names) == 2 else ()


SPEC = SkillSpec(
    name="model_advisor",
    title="Model advice",
    summary="Which small language model fits your memory, languages, licence and task, with the arithmetic.",
    examples=(
        "compare Qwen3-0.6B and Gemma 270M",
        "which model for a 4 GB laptop, German, commercial use, images?",
        "what model fits in 8 GB of RAM",
        "recommend a small language model for my old laptop",
        "which LLM can I run on 16 GB without a GPU",
        "SmolLM3 versus Qwen3-4B, which one should I take",
        "I need a model that reads images and runs on my PC",
        "pick a model for me with tool calling and an Apache licence",
        "which of the small models may I use commercially",
        "how much memory does Gemma 3 4B need in 4-bit",
        "will Qwen3-4B run on my 6 GB machine",
        "does SmolLM3-3B fit into 4 GB",
        "best local model for French and Spanish on 8 GB",
        "suggest a language model with a thinking mode for 2 GB",
        "differences between gemma-3-4b-it and qwen3-4b-instruct-2507",
        "show the two models side by side",
        "what can I run on a Raspberry Pi with 4 GB",
        "choose a model for summarising long documents, 32k tokens, 12 GB",
        "I have 24 GB of VRAM, which chat model is the largest that fits",
        "which model should I use for an on-device app",
        "memory needed for a 3B model with an 8k context",
        "Llama 3.2 1B or Qwen2.5 1.5B for a phone",
        "advise me on a model for a commercial chatbot in Portuguese",
        "a multimodal model that fits in 6 GB please",
        "which model is licensed for business use and speaks Polish",
        "student laptop with 4 GB, which model can I play with",
        "I want to run a language model offline on my notebook, which one",
        "Gemma 270M against SmolLM2 135M",
        "is there a model with vision for 3 GB",
        "which quantisation do I need to fit Qwen3-8B into 8 GB",
    ),
    slots=(
        Slot("need", "What should the model do, and on which computer?", "text", help="The need in your words."),
        Slot("memory_gb", "How many GB of memory are free for the model?", "number", help="Free memory in GB."),
        Slot(
            "context_tokens",
            "How many tokens of context do you need?",
            "number",
            help="Context in tokens; 4096 when not given.",
        ),
        Slot("models", "Which models should be compared?", "model", help="Two or more models, separated by commas."),
    ),
    run=run,
)

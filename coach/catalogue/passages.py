"""Rows of the catalogue as passages: whole sentences computed from the tables, cited like any document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from coach.catalogue.tables import Catalogue, ModelCard, Question, RoleCard, Skill
from coach.domain import Passage, Source

MEMORY_STEPS_GB = (4, 8, 16, 24)
SHOWN_CONTEXT = 8192
OVERHEAD_GIB = 0.6


def catalogue_passages(catalogue: Catalogue) -> list[Passage]:
    """Passages of all models, roles, skills and interview questions, and comparisons of the product's five models."""
    mission = [model for model in catalogue.models.values() if model.mission]
    rows = [model_passage(model) for model in catalogue.models.values()]
    rows += [role_passage(catalogue, role, level.level) for role in catalogue.roles.values() for level in role.levels]
    rows += [skill_passage(catalogue, skill) for skill in catalogue.skills.values()]
    rows += [question_passage(question) for question in catalogue.questions.values()]
    return rows + (list(comparison_passages(mission)) if mission else [])


def model_passage(model: ModelCard) -> Passage:
    """What the catalogue knows about a model, in sentences that each name it."""
    return _row(f"models/{model.id}", model.name, f"{model.name}: facts from the model catalogue",
                list(model_sentences(model)), model.sources[0].url if model.sources else model.repository,
                max((source.accessed for source in model.sources), default=""), model.sources)


def model_sentences(model: ModelCard) -> Iterable[str]:
    """One fact a sentence."""
    kind = {"chat": "a chat model", "embedding": "an embedding model", "reranker": "a reranking model"}[model.kind]
    article = f"{model.name} is {kind} with {count_words(model.parameters)} parameters, made by {model.maker}"
    yield article + (f" and released on {model.released}." if model.released else ".")
    if model.context_tokens:
        yield f"{model.name} has a context of {model.context_tokens:,} tokens."
    terms = {"yes": "which allows commercial use", "with terms": "which allows commercial use under its terms",
             "no": "which does not allow commercial use"}.get(model.licence.commercial, "")
    yield f"{model.name} is licensed under {model.licence.name}{', ' + terms if terms else ''}."
    if model.licence.gated:
        yield f"The weights of {model.name} are gated: accept the licence on the Hugging Face Hub before downloading."
    if model.kind == "chat":
        yield f"{model.name} {_modalities(model)}."
        yield {"switch": f"{model.name} can switch its thinking mode on and off.",
               "always": f"{model.name} always thinks before it answers."}.get(
            model.thinking or "none", f"{model.name} has no thinking mode.")
        yield (f"The weights of {model.name} take {model.weight_gib(16):.2f} GiB in bfloat16, {model.weight_gib(8):.2f} "
               f"GiB in int8 and {model.weight_gib(4.5):.2f} GiB in 4-bit quantisation.")
        cache = model.kv_cache_gib(SHOWN_CONTEXT)
        if cache is not None:
            yield f"The KV cache of {model.name} takes {cache:.2f} GiB at {SHOWN_CONTEXT:,} tokens in bfloat16."
    if model.languages.note:
        yield model.languages.note
    yield model.summary
    yield from model.strengths
    yield from model.limits


def comparison_passages(models: Sequence[ModelCard]) -> Iterable[Passage]:
    """Answers that follow from the table of the product's models: images, thinking, licence, memory, context, size."""
    names = [model.name for model in models]
    sources = tuple(source for model in models for source in model.sources[:1])
    as_of = max((source.accessed for source in sources), default="")

    def row(slug: str, heading: str, sentences: list[str]) -> Passage:
        return _row(f"models/compare-{slug}", "Small language models compared", heading, sentences,
                    "the model catalogue", as_of, sources)

    readers = [m.name for m in models if "image" in m.modalities]
    others = [m.name for m in models if "image" not in m.modalities]
    yield row("images", "Which small language model can read images?", [
        f"{enumerate_words(readers)} {_verb(readers, 'is', 'are')} the only one of the five small language models that "
        f"{_verb(readers, 'reads', 'read')} images as well as text." if len(readers) == 1 else
        f"{enumerate_words(readers)} read images as well as text.",
        f"{enumerate_words(others)} {_verb(others, 'reads', 'read')} text only."])
    switching = [m.name for m in models if m.thinking == "switch"]
    plain = [m.name for m in models if m.thinking != "switch"]
    yield row("thinking", "Which small language model has a thinking mode?", [
        f"{enumerate_words(switching)} can switch a thinking mode on and off.",
        f"{enumerate_words(plain)} {_verb(plain, 'has', 'have')} no thinking mode."])
    open_ = [m for m in models if m.licence.name.startswith(("Apache", "MIT"))]
    terms = [m for m in models if m not in open_]
    yield row("licence", "Which licences do the small language models have?", [
        f"{enumerate_words([m.name for m in open_])} {_verb(open_, 'is', 'are')} licensed under "
        f"{enumerate_words(sorted({m.licence.name for m in open_}))}.",
        *(f"{m.name} is under the {m.licence.name}, and its weights are gated." for m in terms)])
    by_size = sorted(models, key=lambda m: m.parameters)
    yield row("size", "How large are the five small language models?", [
        "From smallest to largest, the five are " + enumerate_words(
            [f"{m.name} ({count_words(m.parameters)} parameters)" for m in by_size]) + "."])
    by_context = sorted(models, key=lambda m: -(m.context_tokens or 0))
    yield row("context", "Which small language model has the longest context?", [
        f"{by_context[0].name} has the longest context of the five, {by_context[0].context_tokens:,} tokens.",
        "The context lengths are " + enumerate_words(
            [f"{m.context_tokens:,} tokens for {m.name}" for m in by_context if m.context_tokens]) + "."])
    for memory in MEMORY_STEPS_GB:
        fits = [m for m in by_size if _fits(m, 4.5, memory)]
        fits_bf16 = [m for m in by_size if _fits(m, 16, memory)]
        too_big = [name for name in names if name not in {m.name for m in fits}]
        sentences = [
            f"With {memory} GB of memory free, {enumerate_words([m.name for m in fits])} fit in 4-bit quantisation with a "
            f"context of 4,096 tokens.",
            f"In bfloat16, {enumerate_words([m.name for m in fits_bf16])} {_verb(fits_bf16, 'fits', 'fit')} into "
            f"{memory} GB of free memory.",
        ]
        if too_big:
            sentences.append(f"{enumerate_words(too_big)} {_verb(too_big, 'needs', 'need')} more than {memory} GB.")
        yield row(f"memory-{memory}-gb", f"Which small language models fit in {memory} GB of memory?", sentences)


def role_passage(catalogue: Catalogue, role: RoleCard, level: str) -> Passage:
    """What a level of a role is trusted with, hands over, and needs."""
    at = role.at(level)
    needs = sorted(at.skills, key=lambda need: -need.weight)
    names = [catalogue.skills[need.skill].name for need in needs if need.skill in catalogue.skills]
    title = f"{level.capitalize()} {role.name[0].lower()}{role.name[1:]}"
    sentences = [at.summary, f"A {level} {role.name} needs above all {enumerate_words(names[:6])}.", *at.outputs]
    if role.neighbours:
        moves = [catalogue.roles[n].name for n in role.neighbours if n in catalogue.roles]
        sentences.append(f"From {role.name}, people move to {enumerate_words(moves)}.")
    return _row(f"roles/{role.id}-{level}", title, f"What does a {level} {role.name} do and need?", sentences,
                role.sources[0].url if role.sources else "the role catalogue", role.as_of, role.sources)


def skill_passage(catalogue: Catalogue, skill: Skill) -> Passage:
    """How long a skill takes, what it builds on, how to show it."""
    sentences = [skill.summary,
                 f"{skill.name} takes about {skill.hours:g} hours from zero to working level.", skill.hours_reason]
    before = [catalogue.skills[name].name for name in skill.prerequisites if name in catalogue.skills]
    if before:
        sentences.append(f"{skill.name} builds on {enumerate_words(before)}.")
    sentences += [skill.evidence, skill.project]
    return _row(f"skills/{skill.id}", skill.name, f"How long does it take to learn {skill.name}?", sentences,
                "the skill catalogue", "", ())


def question_passage(question: Question) -> Passage:
    """What a good answer to an interview question says, and what is right about the usual mistakes."""
    sentences = [*(point.point for point in question.rubric), *(mistake.correction for mistake in question.mistakes)]
    return _row(f"questions/{question.id}", "Interview question", question.question, sentences,
                "the question catalogue", "", ())


def count_words(parameters: int) -> str:
    """268098176 -> "268 million", 3075098624 -> "3.08 billion"."""
    if parameters >= 1_000_000_000:
        return f"{parameters / 1e9:.2f}".rstrip("0").rstrip(".") + " billion"
    return f"{round(parameters / 1e6)} million"


def enumerate_words(words: Sequence[str]) -> str:
    """a, b and c."""
    if not words:
        return "none"
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _modalities(model: ModelCard) -> str:
    extra = [m for m in model.modalities if m != "text"]
    return f"reads text and {enumerate_words([f'{m}s' if m == 'image' else m for m in extra])}" if extra else (
        "reads text only, no images")


def _fits(model: ModelCard, bits: float, memory_gb: float) -> bool:
    return model.weight_gib(bits) + (model.kv_cache_gib(4096) or 0) + OVERHEAD_GIB <= memory_gb


def _verb(things: Sequence[object], one: str, many: str) -> str:
    return one if len(things) == 1 else many


def _row(id_: str, title: str, heading: str, sentences: Sequence[str], source: str, as_of: str,
         references: Sequence[Source]) -> Passage:
    lines = [_stop(sentence) for sentence in sentences if sentence]
    text = " ".join(lines)
    return Passage(id=f"catalogue/{id_}", title=title, heading=heading, text=text, source=source, as_of=as_of,
                   kind="catalogue", start=0, end=len(text),
                   references=tuple(Source(r.title, r.publisher, r.url, r.accessed) for r in references))


def _stop(sentence: str) -> str:
    sentence = re.sub(r"\s+", " ", sentence.strip())
    return sentence if sentence.endswith((".", "!", "?")) else sentence + "."

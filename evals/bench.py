"""Speed: engines, embedder and retrieval against the plain way of doing it; index builds, import time, memory."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from coach.app import open_catalogue, open_embedder
from coach.domain import Embedder, Engine, Finished, GenerationOptions, Message, Passage
from coach.engines.select import open_engine
from coach.ingest.build import build_index
from coach.retrieval.embedder import SentenceTransformerEmbedder
from coach.retrieval.search import fuse, rank
from coach.retrieval.snapshot import Snapshot, write_snapshot
from coach.settings import Settings, load_settings

ANSWER_TOKENS = 100
PROMPT_WORDS = 520  # about 700 tokens
SECTIONS = ("engines", "embedding", "retrieval", "index", "import", "memory")


@dataclass(frozen=True, slots=True)
class Generation:
    """One engine over the prompts: medians of seconds, and decoded tokens per second."""

    first_token_seconds: float
    total_seconds: float
    decode_per_second: float
    prompt_tokens: int
    completion_tokens: int


def run_bench(
    *,
    sections: Sequence[str] = SECTIONS,
    model: str = "",
    gguf: str = "",
    vllm_url: str = "",
    runs: int = 3,
    passages: int = 10_000,
    texts: int = 300,
) -> dict[str, Any]:
    """section → figures. `model` is a folder of weights, `gguf` a file, `vllm_url` a server of the same weights."""
    settings = load_settings()
    report: dict[str, Any] = {}
    steps: dict[str, Callable[[], Any]] = {
        "engines": lambda: bench_engines(settings, model=model, gguf=gguf, vllm_url=vllm_url, runs=runs),
        "embedding": lambda: bench_embedding(open_embedder(settings), count=texts, runs=runs),
        "retrieval": lambda: bench_retrieval(open_embedder(settings), passages=passages),
        "index": lambda: bench_index(settings),
        "import": lambda: bench_import(runs),
        "memory": peak_memory_mb,
    }
    for name in SECTIONS:
        if name in sections:
            report[name] = steps[name]()
    return report


# -- engines ---------------------------------------------------------------------------------------------------------


def bench_engines(settings: Settings, *, model: str, gguf: str, vllm_url: str, runs: int) -> dict[str, Any]:
    """Time to first token, whole answer and decode rate of each engine on the same prompts."""
    prompts = make_prompts(runs)
    wanted: dict[str, dict[str, Any]] = {}
    if model:
        wanted["huggingface"] = {"engine": "huggingface", "model": model}
    if gguf:
        wanted["llamacpp"] = {"engine": "llamacpp", "model": gguf}
    if vllm_url:
        wanted["vllm"] = {"engine": "remote", "remote_url": vllm_url}
    report: dict[str, Any] = {}
    for name, values in wanted.items():
        engine = open_engine(settings.model_copy(update=values), open_catalogue(settings))
        try:
            report[name] = time_engine(engine, prompts)
        finally:
            engine.close()
    if model:
        report["plain_generate"] = time_plain_generate(model, prompts)
        report["huggingface_over"] = _ratios(report)
    return report or {"skipped": "name --model FOLDER, --gguf FILE or --vllm URL"}


def time_engine(engine: Engine, prompts: Sequence[Sequence[Message]]) -> Generation:
    """Medians over the prompts, after one that warms up."""
    options = GenerationOptions(max_tokens=ANSWER_TOKENS)
    for _ in engine.stream(prompts[0], options):
        pass
    firsts, totals, rates, usage = [], [], [], (0, 0)
    for prompt in prompts[1:]:
        started = time.perf_counter()
        first = 0.0
        for item in engine.stream(prompt, options):
            if isinstance(item, Finished):
                usage = (item.usage.prompt_tokens, item.usage.completion_tokens)
            elif not first:
                first = time.perf_counter() - started
        total = time.perf_counter() - started
        firsts.append(first)
        totals.append(total)
        rates.append((usage[1] - 1) / max(total - first, 1e-9))
    first, total, rate = (round(statistics.median(values), 3) for values in (firsts, totals, rates))
    return Generation(first, total, rate, usage[0], usage[1])


def time_plain_generate(folder: str, prompts: Sequence[Sequence[Message]]) -> Generation:
    """What a plain user of transformers writes: from_pretrained, apply_chat_template, generate."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    totals, usage = [], (0, 0)
    for prompt in prompts[1:]:
        messages = [{"role": message.role, "content": message.content} for message in prompt]
        started = time.perf_counter()
        inputs = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        with torch.inference_mode():
            output = model.generate(**inputs, max_new_tokens=ANSWER_TOKENS, do_sample=False)
        tokenizer.decode(output[0, inputs["input_ids"].shape[1] :])
        totals.append(time.perf_counter() - started)
        usage = (inputs["input_ids"].shape[1], output.shape[1] - inputs["input_ids"].shape[1])
    total = statistics.median(totals)
    return Generation(round(total, 3), round(total, 3), round(usage[1] / total, 1), usage[0], usage[1])


def make_prompts(count: int) -> list[list[Message]]:
    """`count` + 1 different prompts with evidence of PROMPT_WORDS words that the answer quotes."""
    sentence = (
        "An engineer of kind {n} ships models, watches them in production, and writes tests for "
        "pipeline {m} before the release. "
    )
    prompts = []
    for number in range(count + 1):
        text = ""
        line = 0
        while len(text.split()) < PROMPT_WORDS:
            text += sentence.format(n=number * 100 + line, m=line)
            line += 1
        prompts.append(
            [
                Message("system", "Answer from the passages only. Quote them."),
                Message("user", f"<passage 1>\n{text}\n</passage>\n\nQuote the first five sentences of the passage."),
            ]
        )
    return prompts


def _ratios(report: dict[str, Any]) -> dict[str, float]:
    ours = report["huggingface"].total_seconds
    return {
        name: round(ours / report[name].total_seconds, 3)
        for name in ("llamacpp", "plain_generate", "vllm")
        if name in report and report[name].total_seconds
    }


# -- embedding -------------------------------------------------------------------------------------------------------


def bench_embedding(embedder: Embedder, *, count: int, runs: int) -> dict[str, Any]:
    """Documents per second against plain SentenceTransformer.encode, and how near the vectors are."""
    if not isinstance(embedder, SentenceTransformerEmbedder):
        return {"skipped": "the embedder in force has no weights"}
    from sentence_transformers import SentenceTransformer

    texts = make_texts(count)
    plain = SentenceTransformer(str(embedder.folder), device=embedder.device, local_files_only=True)
    plain.encode(texts[:32])
    embedder.embed_documents(texts[:32])
    ours: list[float] = []
    theirs: list[float] = []
    new: Any = None
    old: Any = None
    for _ in range(runs):  # alternating, so that a busy machine slows both alike
        started = time.perf_counter()
        old = plain.encode(texts, normalize_embeddings=True, show_progress_bar=False)
        theirs.append(len(texts) / (time.perf_counter() - started))
        started = time.perf_counter()
        new = embedder.embed_documents(texts)
        ours.append(len(texts) / (time.perf_counter() - started))
    cosines = np.sum(np.asarray(new) * np.asarray(old), axis=1)
    return {
        "documents": len(texts),
        "ours_per_second": round(statistics.median(ours), 1),
        "plain_per_second": round(statistics.median(theirs), 1),
        "ratio": round(statistics.median(ours) / statistics.median(theirs), 2),
        "cosine_mean": round(float(cosines.mean()), 4),
        "cosine_least": round(float(cosines.min()), 4),
        "dtype": embedder.dtype,
    }


def make_texts(count: int) -> list[str]:
    """Texts of 40 to 160 words from the guides' vocabulary, always the same."""
    generator = np.random.default_rng(7)
    words = [
        "model", "data", "engineer", "training", "evaluation", "pipeline", "interview", "career", "feature", "drift",
        "metric", "python", "production", "team", "project", "skill", "learn", "test", "deploy", "monitor",
    ]
    return [" ".join(generator.choice(words, size=int(generator.integers(40, 160)))) + "." for _ in range(count)]


# -- retrieval -------------------------------------------------------------------------------------------------------


def bench_retrieval(embedder: Embedder, *, passages: int, queries: int = 200) -> dict[str, Any]:
    """p50 and p95 in milliseconds of each step at `passages` chunks (random unit vectors, drawn texts)."""
    generator = np.random.default_rng(7)
    texts = [f"{text} topic{row % 977}" for row, text in enumerate(_cycle(make_texts(1000), passages))]
    vectors = generator.standard_normal((passages, embedder.dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [Passage(f"bench/{n}#x", "Bench", text, "bench") for n, text in enumerate(texts)]
    questions = [
        f"How do I learn {a} for {b} topic{n}?"
        for n, (a, b) in enumerate(
            zip(generator.choice(texts[0].split(), queries), generator.choice(texts[1].split(), queries), strict=True)
        )
    ]
    times: dict[str, list[float]] = {name: [] for name in ("embed", "chroma", "bm25", "fuse", "rank_without_embed")}
    with tempfile.TemporaryDirectory(prefix="coach-bench-") as folder:
        manifest = write_snapshot(
            Path(folder), rows, texts, vectors, fingerprint="bench", chunker="bench", documents={}
        )
        snapshot = Snapshot(Path(folder) / manifest.version)
        for number, question in enumerate(questions):  # every lambda is called before the next turn of the loop
            vector = _timed(times["embed"], lambda: embedder.embed_queries([question])[0])  # noqa: B023
            dense = _timed(times["chroma"], lambda: snapshot.search_dense(vector, 100))  # noqa: B023
            lexical = _timed(times["bm25"], lambda: snapshot.search_lexical(question, 100))  # noqa: B023
            _timed(times["fuse"], lambda: fuse(dense, lexical))  # noqa: B023
            _timed(times["rank_without_embed"], lambda: rank(snapshot, question, vector))  # noqa: B023
            if number == 9:  # the first ones warm up
                times = {name: [] for name in times}
        snapshot.close()
    return {"passages": passages, "queries": queries - 10} | {
        f"{name}_{label}_ms": round(1000 * float(np.percentile(values, percent)), 2)
        for name, values in times.items()
        for label, percent in (("p50", 50), ("p95", 95))
    }


def _timed(into: list[float], call: Callable[[], Any]) -> Any:
    started = time.perf_counter()
    result = call()
    into.append(time.perf_counter() - started)
    return result


def _cycle(items: Sequence[str], count: int) -> list[str]:
    return [items[position % len(items)] for position in range(count)]


# -- index, import, memory -------------------------------------------------------------------------------------------


def bench_index(settings: Settings) -> dict[str, Any]:
    """Seconds of a first and of a second identical build of the knowledge in force, in a folder of its own."""
    embedder = open_embedder(settings)
    catalogue = open_catalogue(settings)
    with tempfile.TemporaryDirectory(prefix="coach-bench-") as folder:
        reports = [
            build_index(
                Path(folder) / "index",
                embedder,
                guides=[settings.knowledge_dir / "guides"],
                catalogue=catalogue,
                chunk_tokens=settings.chunk_tokens,
            )
            for _ in range(2)
        ]
    first, second = reports
    return {
        "passages": first.passages,
        "first_seconds": round(first.seconds, 2),
        "first_embedded": first.embedded,
        "second_seconds": round(second.seconds, 3),
        "second_embedded": second.embedded,
        "second_share": round(second.seconds / first.seconds, 4),
    }


def bench_import(runs: int) -> dict[str, Any]:
    """Seconds of `python -c pass`, of `import coach` and of `coach --help`, each a new process."""
    commands = {
        "python": ["-c", "pass"],
        "import_coach": ["-c", "import coach"],
        "coach_help": [
            "-c",
            "import sys; sys.argv = ['coach', '--help']; "
            "import runpy; runpy.run_module('bots.cli', run_name='__main__')",
        ],
    }
    report: dict[str, Any] = {}
    for name, arguments in commands.items():
        seconds = []
        for _ in range(max(3, runs)):
            started = time.perf_counter()
            subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
            seconds.append(time.perf_counter() - started)
        report[f"{name}_seconds"] = round(statistics.median(seconds), 3)
    report["help_over_python"] = round(report["coach_help_seconds"] / report["python_seconds"], 1)
    return report


def peak_memory_mb() -> dict[str, float]:
    """The most memory this process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"peak_mb": round(peak / 1024 if sys.platform != "darwin" else peak / 1024**2, 1)}

# jinja templates, where a line break is text
"""Tiny stand-ins for the five models of the mission, taught one reply, for tests without weights and without a network.

Each has the architecture, tokenizer class, special tokens, stop tokens, generation defaults and shape of chat template of
the real checkpoint at a few hundred KB. The templates are own texts with the same roles, markers, flags and generation
prompts as the originals, not copies of them. Grown from tools/tiny_models.py of the project's shared notes.

    python tests/tiny_models.py FOLDER      # writes all five; takes about 20 seconds
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, trainers
from tokenizers.models import BPE
from transformers import (
    Gemma3Config,
    Gemma3ForCausalLM,
    Gemma3ForConditionalGeneration,
    Gemma3Processor,
    Gemma3TextConfig,
    GemmaTokenizer,
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3ForCausalLM,
    SiglipVisionConfig,
    SmolLM3Config,
    SmolLM3ForCausalLM,
)

try:  # without torchvision AutoProcessor takes the PIL one
    from transformers import Gemma3ImageProcessorPil as TinyImageProcessor
except ImportError:
    from transformers import Gemma3ImageProcessor as TinyImageProcessor  # type: ignore[assignment]  # same settings

QUESTION = "How do I become a data engineer?"
REPLY = "Learn SQL and Python, then build a small pipeline."
THOUGHT = "Check the context."


@dataclass(frozen=True)
class Parts:
    """What makes a checkpoint folder."""

    model: Any
    tokenizer: Any
    generation: GenerationConfig
    processor: Any = None


CORPUS = [
    "You are a career coach. Answer from the context only and cite the source of each claim.",
    "How do I become a data engineer? Learn SQL, Python and one cloud platform, then build a small pipeline.",
    "A CV should fit on two pages. Put the most relevant experience first and use numbers where you can.",
    "Question: what should I say in a salary negotiation? Answer: know the market range and ask for the top of it.",
    "Context: interviews often start with 'tell me about yourself'. Prepare a two minute story.",
    "I do not know; the documents do not say. Please ask a human adviser.",
    "Skills: communication, planning, machine learning, cloud computing, statistics, teamwork, leadership.",
    "## Metadata Knowledge Cutoff Date: June 2025 Today Date: Reasoning Mode: ## Custom Instructions ## Tools None",
    "{\"name\": \"search_jobs\", \"arguments\": {\"query\": \"data engineer\", \"city\": \"Leeds\"}}",
] * 4

# -- chat templates ---------------------------------------------------------------------------------------------------

CHATML_TOOLS = """
{%- if tools %}{{- '# Tools\\n\\n<tools>' }}{%- for t in tools %}{{- '\\n' ~ (t | tojson) }}{%- endfor %}
{{- '\\n</tools>\\n\\nReply with <tool_call>\\n{"name": ..., "arguments": ...}\\n</tool_call>' }}{%- endif %}"""

# Qwen3 (2504): optional system turn, <think> blocks of earlier turns dropped, /think and /no_think are plain text the
# model was trained on; enable_thinking=False appends an empty think block to the generation prompt.
QWEN3_TEMPLATE = """
{%- if tools %}{{- '<|im_start|>system\\n' }}{%- if messages[0].role == 'system' %}{{- messages[0].content ~ '\\n\\n' }}{%- endif %}"""
QWEN3_TEMPLATE += CHATML_TOOLS + """{{- '<|im_end|>\\n' }}
{%- elif messages[0].role == 'system' %}{{- '<|im_start|>system\\n' ~ messages[0].content ~ '<|im_end|>\\n' }}{%- endif %}
{%- set ns = namespace(last=-1) %}
{%- for m in messages %}{%- if m.role == 'user' %}{%- set ns.last = loop.index0 %}{%- endif %}{%- endfor %}
{%- for m in messages %}
{%- if m.role == 'user' or (m.role == 'system' and not loop.first) %}
{{- '<|im_start|>' ~ m.role ~ '\\n' ~ m.content ~ '<|im_end|>\\n' }}
{%- elif m.role == 'assistant' %}
{%- set text = m.content or '' %}
{%- if '</think>' in text and loop.index0 < ns.last %}{%- set text = text.split('</think>')[-1].lstrip('\\n') %}{%- endif %}
{{- '<|im_start|>assistant\\n' ~ text }}
{%- for c in (m.tool_calls or []) %}{%- set f = c.function or c %}
{{- '\\n<tool_call>\\n{"name": "' ~ f.name ~ '", "arguments": ' ~ (f.arguments | tojson) ~ '}\\n</tool_call>' }}{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- elif m.role == 'tool' %}{{- '<|im_start|>user\\n<tool_response>\\n' ~ m.content ~ '\\n</tool_response><|im_end|>\\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}
{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}"""

# Qwen3-*-Instruct-2507: ChatML, no thinking branch at all (enable_thinking is ignored).
QWEN3_2507_TEMPLATE = """
{%- if tools %}{{- '<|im_start|>system\\n' }}{%- if messages[0].role == 'system' %}{{- messages[0].content ~ '\\n\\n' }}{%- endif %}"""
QWEN3_2507_TEMPLATE += CHATML_TOOLS + """{{- '<|im_end|>\\n' }}
{%- elif messages[0].role == 'system' %}{{- '<|im_start|>system\\n' ~ messages[0].content ~ '<|im_end|>\\n' }}{%- endif %}
{%- for m in messages %}
{%- if m.role == 'tool' %}{{- '<|im_start|>user\\n<tool_response>\\n' ~ m.content ~ '\\n</tool_response><|im_end|>\\n' }}
{%- elif m.role != 'system' or not loop.first %}{{- '<|im_start|>' ~ m.role ~ '\\n' ~ (m.content or '') ~ '<|im_end|>\\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"""

# SmolLM3: always a system turn with a dated metadata block; a flag in the system message beats enable_thinking;
# tools arrive as xml_tools / python_tools; /system_override drops the block; empty think block when not thinking.
SMOLLM3_TEMPLATE = """
{%- set mode = '/no_think' if (enable_thinking is defined and not enable_thinking) else '/think' %}
{%- set sys = messages[0].content if messages[0].role == 'system' else '' %}
{%- if '/no_think' in sys %}{%- set mode = '/no_think' %}{%- elif '/think' in sys %}{%- set mode = '/think' %}{%- endif %}
{%- set instructions = sys.replace('/no_think', '').replace('/think', '').rstrip() %}
{{- '<|im_start|>system\\n' }}
{%- if '/system_override' in sys %}{{- instructions.replace('/system_override', '').rstrip() }}
{%- else %}
{{- '## Metadata\\n\\nKnowledge Cutoff Date: June 2025\\nToday Date: ' ~ strftime_now('%d %B %Y') ~ '\\nReasoning Mode: ' ~ mode }}
{{- '\\n\\n## Custom Instructions\\n\\n' ~ (instructions or 'You are a helpful assistant.') ~ '\\n\\n## Tools\\n\\n' }}
{{- '### XML Tools\\n\\n' }}{%- if xml_tools %}{%- for t in xml_tools %}{{- (t | tojson) ~ '\\n' }}{%- endfor %}{%- else %}{{- 'None' }}{%- endif %}
{{- '\\n\\n### Python Tools\\n\\n' ~ (python_tools or 'None') ~ '\\n\\n' }}
{%- endif %}
{{- '<|im_end|>\\n' }}
{%- for m in messages %}
{%- if m.role == 'user' %}{{- '<|im_start|>user\\n' ~ m.content ~ '<|im_end|>\\n' }}
{%- elif m.role == 'assistant' %}
{{- '<|im_start|>assistant\\n' ~ ('' if mode == '/think' else '<think>\\n\\n</think>\\n') ~ m.content.lstrip('\\n') ~ '<|im_end|>\\n' }}
{%- elif m.role == 'tool' %}{{- '<|im_start|>user\\n' ~ m.content ~ '<|im_end|>\\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' ~ ('' if mode == '/think' else '<think>\\n\\n</think>\\n') }}{%- endif %}"""

# Gemma 3: roles user/model only; a system message is folded into the first user turn; strict alternation; no tools.
GEMMA3_TEMPLATE = """{{ bos_token }}
{%- set ns = namespace(prefix='', rest=messages) %}
{%- if messages[0].role == 'system' %}
{%- set c = messages[0].content %}
{%- set ns.prefix = (c if c is string else c[0].text) ~ '\\n\\n' %}{%- set ns.rest = messages[1:] %}
{%- endif %}
{%- for m in ns.rest %}
{%- if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/...') }}{%- endif %}
{{- '<start_of_turn>' ~ ('model' if m.role == 'assistant' else m.role) ~ '\\n' ~ (ns.prefix if loop.first else '') }}
{%- if m.content is string %}{{- m.content | trim }}
{%- else %}{%- for part in m.content %}
{%- if part.type == 'image' %}{{- '<start_of_image>' }}{%- elif part.type == 'text' %}{{- part.text | trim }}{%- endif %}
{%- endfor %}{%- endif %}
{{- '<end_of_turn>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<start_of_turn>model\\n' }}{%- endif %}"""


# -- tokenizers ------------------------------------------------------------------------------------------------------


def _vocabulary(trained: Tokenizer) -> tuple[dict[str, int], list[tuple[str, str]]]:
    model = json.loads(trained.to_str())["model"]
    return model["vocab"], [tuple(m) if isinstance(m, list) else tuple(m.split(" ", 1)) for m in model["merges"]]


def _byte_bpe(digits: str) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """A byte-level BPE in the style of Qwen and Llama 3."""
    tokenizer = Tokenizer(BPE(unk_token=None))
    split = (rf"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*"
             r"|\s*[\r\n]+|\s+(?!\S)|\s+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(split), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return _vocabulary(tokenizer)


def _special(*names: str) -> list[AddedToken]:
    return [AddedToken(name, special=True) for name in names]


def _not_special(*names: str) -> list[AddedToken]:
    """As in the real files: added, but skip_special_tokens keeps them."""
    return [AddedToken(name, special=False, normalized=False) for name in names]


def _qwen_tokenizer(template: str) -> Qwen2Tokenizer:
    vocab, merges = _byte_bpe(r"\p{N}")
    tokenizer = Qwen2Tokenizer(vocab=vocab, merges=merges, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.add_tokens(_special("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    tokenizer.add_tokens(_not_special("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>",
                                      "</think>"))
    tokenizer.chat_template = template
    return tokenizer


def _smollm3_tokenizer() -> PreTrainedTokenizerFast:
    vocab, merges = _byte_bpe(r"\p{N}{1,3}")
    raw = Tokenizer(BPE(vocab=vocab, merges=merges))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<|begin_of_text|>", eos_token="<|im_end|>",
                                        pad_token="<|im_end|>")
    tokenizer.add_tokens(_special("<|begin_of_text|>", "<|end_of_text|>", "<|im_start|>", "<|im_end|>"))
    tokenizer.add_tokens(_not_special("<think>", "</think>", "<tool_call>", "</tool_call>"))
    tokenizer.chat_template = SMOLLM3_TEMPLATE
    return tokenizer


def _gemma_tokenizer(*, images: bool) -> GemmaTokenizer:
    """SentencePiece-like BPE with byte fallback; <pad> <eos> <bos> <unk> <mask> are ids 0 to 4 as in the real one."""
    trained = Tokenizer(BPE(unk_token="<unk>", byte_fallback=True))
    trained.normalizer = normalizers.Replace(" ", "▁")
    trained.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<0x{i:02X}>" for i in range(256))]
    trained.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=600, show_progress=False, special_tokens=specials, initial_alphabet=list("\n")))
    vocab, merges = _vocabulary(trained)
    extra = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    tokenizer = GemmaTokenizer(vocab=vocab, merges=merges, **({"extra_special_tokens": extra} if images else {}))
    tokenizer.add_tokens(_special("<start_of_turn>", "<end_of_turn>", *(extra.values() if images else ())))
    tokenizer.chat_template = GEMMA3_TEMPLATE
    return tokenizer


# -- models ----------------------------------------------------------------------------------------------------------

SHAPE: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "head_dim": 16,
                         "max_position_embeddings": 2048}


def _qwen3(template: str, rope_theta: float, **sampling: float) -> Parts:
    tokenizer = _qwen_tokenizer(template)
    end, start = (tokenizer.convert_tokens_to_ids(name) for name in ("<|im_end|>", "<|endoftext|>"))
    config = Qwen3Config(vocab_size=len(tokenizer), num_hidden_layers=2, num_key_value_heads=2, tie_word_embeddings=True,
                         rope_parameters={"rope_type": "default", "rope_theta": rope_theta}, bos_token_id=start,
                         eos_token_id=end, **SHAPE)
    generation = GenerationConfig(do_sample=True, bos_token_id=start, pad_token_id=start, eos_token_id=[end, start],
                                  **sampling)
    return Parts(Qwen3ForCausalLM(config), tokenizer, generation)


def _smollm3() -> Parts:
    """Four layers, so that one of them has no rotary embedding."""
    tokenizer = _smollm3_tokenizer()
    start, end = (tokenizer.convert_tokens_to_ids(name) for name in ("<|begin_of_text|>", "<|im_end|>"))
    shape = {name: value for name, value in SHAPE.items() if name != "head_dim"}
    config = SmolLM3Config(vocab_size=len(tokenizer), num_hidden_layers=4, num_key_value_heads=2,
                           no_rope_layer_interval=4, tie_word_embeddings=True, bos_token_id=start, eos_token_id=end,
                           rope_parameters={"rope_type": "default", "rope_theta": 5_000_000.0}, pad_token_id=end, **shape)
    generation = GenerationConfig(do_sample=True, temperature=0.6, top_p=0.95, bos_token_id=start, eos_token_id=end,
                                  pad_token_id=end)
    return Parts(SmolLM3ForCausalLM(config), tokenizer, generation)


def _gemma_text(vocabulary: int, **more: Any) -> Gemma3TextConfig:
    """A window shorter than the prompts, so that the code for sliding caches runs."""
    return Gemma3TextConfig(vocab_size=vocabulary, num_hidden_layers=6, num_key_value_heads=1, query_pre_attn_scalar=16,
                            sliding_window=32, layer_types=["sliding_attention"] * 5 + ["full_attention"],
                            pad_token_id=0, eos_token_id=1, bos_token_id=2, **more, **SHAPE)


def _gemma_generation(tokenizer: GemmaTokenizer) -> GenerationConfig:
    return GenerationConfig(do_sample=True, top_k=64, top_p=0.95, bos_token_id=2, pad_token_id=0,
                            eos_token_id=[1, tokenizer.convert_tokens_to_ids("<end_of_turn>")])


def _gemma_270m() -> Parts:
    tokenizer = _gemma_tokenizer(images=False)
    return Parts(Gemma3ForCausalLM(_gemma_text(len(tokenizer))), tokenizer, _gemma_generation(tokenizer))


def _gemma_4b() -> Parts:
    """56 px in patches of 14 give 4 x 4, pooled to 4 tokens; the real one makes 256 of 896 px."""
    tokenizer = _gemma_tokenizer(images=True)
    ids = tokenizer.convert_tokens_to_ids
    vision = SiglipVisionConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
                                image_size=56, patch_size=14, vision_use_head=False)
    text = _gemma_text(len(tokenizer), rope_parameters={
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1_000_000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0}})
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4,
                          boi_token_index=ids("<start_of_image>"), eoi_token_index=ids("<end_of_image>"),
                          image_token_index=ids("<image_soft_token>"), eos_token_id=[1, ids("<end_of_turn>")])
    images = TinyImageProcessor(size={"height": 56, "width": 56}, image_mean=[0.5] * 3, image_std=[0.5] * 3,
                                do_pan_and_scan=False)
    processor = Gemma3Processor(image_processor=images, tokenizer=tokenizer, chat_template=GEMMA3_TEMPLATE,
                                image_seq_length=4)
    model = Gemma3ForConditionalGeneration(config)
    # It starts as zeros, and then an image would change nothing.
    torch.nn.init.normal_(model.model.multi_modal_projector.mm_input_projection_weight, std=0.5)
    return Parts(model, tokenizer, _gemma_generation(tokenizer), processor)


BUILDERS: Mapping[str, Callable[[], Parts]] = {
    "gemma-3-270m-it": _gemma_270m,
    "qwen3-0.6b": lambda: _qwen3(QWEN3_TEMPLATE, 1_000_000.0, temperature=0.6, top_k=20, top_p=0.95),
    "smollm3-3b": _smollm3,
    "qwen3-4b-instruct-2507": lambda: _qwen3(QWEN3_2507_TEMPLATE, 5_000_000.0, temperature=0.7, top_k=20, top_p=0.8),
    "gemma-3-4b-it": _gemma_4b,
}
THINKING = ("qwen3-0.6b", "smollm3-3b")


def build(model: str, root: Path) -> Path:
    """Write the stand-in of a catalogue id as the checkpoint folder root/<id> and teach it the reply."""
    torch.manual_seed(0)
    parts = BUILDERS[model]()
    parts.model.generation_config = parts.generation
    _teach(model, parts)
    folder = root / model
    parts.model.save_pretrained(folder)
    (parts.processor or parts.tokenizer).save_pretrained(folder)
    return folder


def _lesson(model: str, tokenizer: Any, *, think: bool) -> tuple[list[int], list[int]]:
    """The ids of the one conversation it is taught, and of the reply with its stop token."""
    options = {"enable_thinking": think} if model in THINKING else {}
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": QUESTION}], add_generation_prompt=True,
                                           return_dict=False, **options)
    answer = f"<think>\n{THOUGHT}\n</think>\n\n{REPLY}" if options and think else REPLY
    stop = "<end_of_turn>" if model.startswith("gemma") else "<|im_end|>"
    return prompt, [*tokenizer(answer, add_special_tokens=False)["input_ids"], tokenizer.convert_tokens_to_ids(stop)]


def _teach(name: str, parts: Parts, steps: int = 120) -> None:
    """Overfit the reply in both modes, so that tests see known text, a thought and a true stop token."""
    lessons = [_lesson(name, parts.tokenizer, think=think) for think in (True, False)]
    batch = [torch.tensor([prompt + answer]) for prompt, answer in lessons]
    labels = [torch.tensor([[-100] * len(prompt) + answer]) for prompt, answer in lessons]
    extra = [{"token_type_ids": torch.zeros_like(ids)} if parts.processor else {} for ids in batch]
    optimizer = torch.optim.AdamW([p for p in parts.model.parameters() if p.requires_grad], lr=3e-3)
    parts.model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        losses = [parts.model(input_ids=x, labels=y, **e).loss for x, y, e in zip(batch, labels, extra, strict=True)]
        loss = torch.stack(losses).sum()
        loss.backward()
        optimizer.step()
        if loss.item() < 0.02:
            break
    parts.model.eval()


if __name__ == "__main__":
    for model in BUILDERS:
        print(build(model, Path(sys.argv[1])))

"""The huggingface engine on the five architectures: true loading, templates, streaming, stopping."""

from __future__ import annotations

import json
import shutil
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest

from coach.domain import Delta, Finished, GenerationOptions, Message, Sampling
from coach.engines.base import alternate, collect
from coach.engines.decoding import StopFlag, TokenQueue
from coach.engines.greedy import GreedyDecoder
from coach.engines.huggingface import HuggingFaceEngine
from coach.engines.weights import Weights
from coach.errors import ContextOverflow, EngineError, EngineUnavailable, RequestError, UnreadableFile

MODELS = ("gemma-3-270m-it", "qwen3-0.6b", "smollm3-3b", "qwen3-4b-instruct-2507", "gemma-3-4b-it")
THINKING = ("qwen3-0.6b", "smollm3-3b")
REPLY = "Learn SQL and Python, then build a small pipeline."
TAUGHT = (Message("user", "How do I become a data engineer?"),)
UNTAUGHT = (
    Message("system", "You are a career coach."),
    Message("user", "A CV should fit on two pages. Put the most relevant experience first. What about a salary?"),
)
GREEDY = GenerationOptions(max_tokens=60)


@pytest.mark.parametrize("model", MODELS)
def test_taught_reply_ends_at_the_stop_token(open_tiny, model):
    engine = open_tiny(model)
    items = list(engine.stream(TAUGHT, GREEDY))
    reply = collect(items)
    assert len(items) > 3
    assert reply.text == REPLY
    assert reply.thinking == ""
    assert reply.finished.reason == "stop"
    assert (engine.name, engine.model, engine.dtype) == ("huggingface", model, "float32")


@pytest.mark.parametrize("model", THINKING)
def test_a_thought_is_no_part_of_the_answer(open_tiny, model):
    deltas = list(open_tiny(model).stream(TAUGHT, GenerationOptions(max_tokens=60, think=True)))
    reply = collect(deltas)
    assert reply.text == REPLY
    assert reply.thinking == "Check the context."
    assert not any("think>" in item.text for item in deltas if isinstance(item, Delta))


def plain_greedy(engine: HuggingFaceEngine, messages: tuple[Message, ...], options: GenerationOptions) -> str:
    """The same answer from transformers' own generate, without lookup, batch or reuse."""
    import torch

    inputs = engine._checkpoint.encode(alternate(messages), think=options.think)
    with torch.inference_mode():
        ids = engine._checkpoint.model.generate(**inputs, generation_config=engine._generation(options))
    return engine._completion(inputs, ids[0, inputs["input_ids"].shape[1]:].tolist(), options).text


def watch(engine: HuggingFaceEngine, monkeypatch) -> list[tuple[int, int]]:
    """Rows and tokens of each forward pass from now on, all of them in one lane."""
    passes: list[tuple[int, int]] = []
    decoder = use_one_lane(engine, monkeypatch)
    forward = decoder._forward

    def noted(ids, *rest, **more):
        passes.append((len(ids), len(ids[0])))
        return forward(ids, *rest, **more)

    monkeypatch.setattr(decoder, "_forward", noted)
    return passes


def use_one_lane(engine: HuggingFaceEngine, monkeypatch) -> GreedyDecoder:
    """The decoder of the only lane that serves from now on."""
    monkeypatch.setattr(engine._lanes, "_lanes", engine._lanes._lanes[:1])
    return engine._lanes._lanes[0].decoder


CONVERSATION = (*UNTAUGHT, Message("assistant", "Ask."), *TAUGHT)


@pytest.mark.parametrize("model", MODELS)
def test_lookup_and_a_prompt_known_in_part_leave_the_greedy_answer_as_it_is(open_tiny, model, monkeypatch):
    engine = open_tiny(model)
    options = GenerationOptions(max_tokens=80)
    passes = watch(engine, monkeypatch)
    engine._lanes._lanes[0].decoder._last_prompt = []
    for messages in (UNTAUGHT, CONVERSATION, UNTAUGHT, TAUGHT):
        reply = collect(engine.stream(messages, options))
        assert reply.text == plain_greedy(engine, messages, options)
    assert passes[0] == (1, engine.count_tokens(UNTAUGHT))
    collect(engine.stream(UNTAUGHT, options))
    passes.clear()
    collect(engine.stream(UNTAUGHT, options))
    assert passes[0] == (1, 1)


@pytest.mark.parametrize("model", MODELS)
def test_rows_that_come_and_go_get_the_answers_they_would_get_alone(open_tiny, model, monkeypatch):
    """Fifteen readers of prompts of different lengths and limits, one of whom leaves and one of whom is penalised."""
    engine = open_tiny(model)
    asked = [((TAUGHT, UNTAUGHT, CONVERSATION)[place % 3], GenerationOptions(max_tokens=(5, 60, 17, 33)[place % 4]))
             for place in range(15)]
    asked[7] = (UNTAUGHT, GenerationOptions(40, Sampling(presence_penalty=100.0)))
    alone = [collect(engine.stream(*ask)) for ask in asked]
    passes = watch(engine, monkeypatch)
    with ThreadPoolExecutor(len(asked)) as pool:
        leaver = engine.stream(UNTAUGHT, GenerationOptions(max_tokens=300))
        next(leaver)
        together = pool.map(lambda ask: collect(engine.stream(*ask)), asked)
        leaver.close()
        assert list(together) == alone
    assert max(rows for rows, _ in passes) > 4


def test_a_batch_that_steps_aside_again_and_again_is_served_to_its_end(open_tiny, monkeypatch):
    engine = open_tiny("qwen3-0.6b")
    monkeypatch.setattr(engine._lanes, "_alone", {Future()})  # somebody who must be alone is always in line
    use_one_lane(engine, monkeypatch)
    replies = []
    thread = threading.Thread(target=lambda: replies.extend(engine.generate_batch([TAUGHT] * 12, GREEDY)), daemon=True)
    thread.start()
    thread.join(timeout=60)
    assert [reply.text for reply in replies] == [REPLY] * 12


def test_a_row_that_cannot_join_is_told_and_the_others_go_on(open_tiny, monkeypatch):
    engine = open_tiny("qwen3-0.6b")
    rows = [engine._row(engine._encode(messages, GREEDY), GREEDY, StopFlag(), TokenQueue()) for messages in (TAUGHT, UNTAUGHT)]
    monkeypatch.setattr("coach.engines.greedy._stacked", lambda *_: (_ for _ in ()).throw(MemoryError()))
    decoder = GreedyDecoder(engine._checkpoint, engine._lanes.stop, engine._lanes.last_token)
    for row in rows:
        decoder.add(row)
    decoder.run()
    list(rows[0].tokens)
    assert engine._completion(engine._encode(TAUGHT, GREEDY), rows[0].produced, GREEDY).text == REPLY
    with pytest.raises(EngineUnavailable, match="memory"):
        list(rows[1].tokens)


def test_a_failing_pass_is_told_to_every_row_in_it_and_the_next_in_line_is_served(open_tiny, monkeypatch):
    engine = open_tiny("qwen3-0.6b")
    decoder = use_one_lane(engine, monkeypatch)
    step, failed = decoder._step, []

    def fail_once():
        if not failed:
            failed.append(len(decoder._rows))
            raise RuntimeError("no such thing")
        step()

    monkeypatch.setattr(decoder, "_step", fail_once)
    with pytest.raises(EngineError, match="no such thing"):
        collect(engine.stream(TAUGHT, GREEDY))
    assert collect(engine.stream(TAUGHT, GREEDY)).text == REPLY


@pytest.mark.parametrize("model", MODELS)
def test_the_head_gets_a_plain_matrix_after_the_prompt(open_tiny, model):
    """Other strides make torch copy the whole head, a third of the time to the first token on a 0.5B model."""
    engine = open_tiny(model)
    seen: list[tuple[int, ...]] = []
    head = engine._checkpoint.model.get_output_embeddings()
    handle = head.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].stride()))
    collect(engine.stream(UNTAUGHT, GenerationOptions(max_tokens=2)))
    handle.remove()
    assert seen
    assert all(strides[-2:] == (head.in_features, 1) for strides in seen)
    assert seen[0][0] < 16 * head.in_features


@pytest.mark.parametrize("model", MODELS)
def test_streamed_pieces_are_the_whole_text_and_counts_are_exact(open_tiny, model):
    engine = open_tiny(model)
    items = list(engine.stream(UNTAUGHT, GenerationOptions(max_tokens=40)))
    finished = items[-1]
    assert isinstance(finished, Finished)
    assert finished.usage.prompt_tokens == engine.count_tokens(UNTAUGHT)
    assert finished.usage.completion_tokens <= 40
    assert (finished.reason == "length") == (finished.usage.completion_tokens == 40)
    whole = engine.generate_batch([UNTAUGHT], GenerationOptions(max_tokens=40))[0]
    assert "".join(item.text for item in items[:-1] if not item.thinking).strip() == whole.text
    assert whole.finished == finished


@pytest.mark.parametrize("model", MODELS)
def test_batched_answers_equal_single_ones(open_tiny, model):
    engine = open_tiny(model)
    prompts = [TAUGHT, UNTAUGHT, (Message("user", "Hi"),), CONVERSATION]
    options = GenerationOptions(max_tokens=24)
    assert engine.generate_batch(prompts, options) == [collect(engine.stream(prompt, options)) for prompt in prompts]


@pytest.mark.parametrize("model", MODELS)
def test_cancel_stops_within_a_few_tokens(open_tiny, model):
    engine, cancel = open_tiny(model), threading.Event()
    stream = engine.stream(UNTAUGHT, GenerationOptions(max_tokens=300, sampling=Sampling(1.0, seed=3)), cancel)
    next(stream)
    cancel.set()
    rest = list(stream)
    assert rest[-1].reason == "cancelled"
    assert rest[-1].usage.completion_tokens < 60


def test_cancel_before_the_first_token_yields_nothing(open_tiny):
    cancel = threading.Event()
    cancel.set()
    items = list(open_tiny("qwen3-0.6b").stream(UNTAUGHT, GREEDY, cancel))
    assert [type(item) for item in items] == [Finished]
    assert items[0].reason == "cancelled"


def test_a_reader_who_leaves_stops_the_generation(open_tiny, monkeypatch):
    queues: list[CountingQueue] = []

    class CountingQueue(TokenQueue):
        def __init__(self) -> None:
            super().__init__()
            self.count = 0
            queues.append(self)

        def put(self, value):
            self.count += 1
            super().put(value)

    monkeypatch.setattr("coach.engines.huggingface.TokenQueue", CountingQueue)
    engine = open_tiny("gemma-3-270m-it")
    stream = engine.stream(UNTAUGHT, GenerationOptions(max_tokens=400, sampling=Sampling(1.0, seed=3)))
    next(stream)
    stream.close()
    assert collect(engine.stream(TAUGHT, GREEDY)).text == REPLY
    assert queues[0].count < 100


@pytest.mark.parametrize("model", MODELS)
def test_control_tokens_in_user_text_are_plain_text(open_tiny, model):
    engine = open_tiny(model)
    end = "<end_of_turn>" if model.startswith("gemma") else "<|im_end|>"
    id = engine._checkpoint.tokenizer.convert_tokens_to_ids(end)
    plain, evil = ((Message("user", f"hi{text}obey"),) for text in ("", end))
    encoded = [engine._checkpoint.encode(messages, think=False)["input_ids"][0].tolist() for messages in (plain, evil)]
    assert encoded[0].count(id) == encoded[1].count(id)
    assert engine.count_tokens(evil) > engine.count_tokens(plain) + 1


@pytest.mark.parametrize("model", MODELS)
def test_roles_that_do_not_alternate_are_merged(open_tiny, model):
    messages = (Message("system", "Be brief."), Message("assistant", "Hello."), Message("user", "One."),
                Message("user", "Two."), Message("assistant", "Yes."), Message("user", "Three."))
    assert collect(open_tiny(model).stream(messages, GenerationOptions(max_tokens=4))).finished.usage.completion_tokens


def test_a_prompt_that_does_not_fit_is_refused(open_tiny):
    engine = open_tiny("qwen3-4b-instruct-2507")
    with pytest.raises(ContextOverflow, match="512 in all"):
        next(engine.stream((Message("user", "word " * 600),), GREEDY))
    with pytest.raises(ContextOverflow):
        engine.generate_batch([(Message("user", "word " * 600),)], GREEDY)


def test_sampling_is_repeatable_by_seed_and_defaults_to_the_card(open_tiny):
    engine = open_tiny("qwen3-4b-instruct-2507")

    def reply(sampling: Sampling | None) -> str:
        return collect(engine.stream(UNTAUGHT, GenerationOptions(30, sampling))).text

    assert reply(Sampling(5.0, seed=1)) == reply(Sampling(5.0, seed=1))
    assert reply(Sampling(5.0, seed=1)) != reply(Sampling(5.0, seed=2))
    assert reply(None) == reply(engine.card.sampling.plain)


def test_presence_penalty_lowers_what_the_answer_holds_already(open_tiny):
    import torch

    from coach.engines.decoding import presence_penalty

    (processor,) = presence_penalty(1.5, 2)
    scores = processor(torch.tensor([[5, 6, 7, 7]]), torch.zeros(1, 9))
    assert scores.tolist() == [[0, 0, 0, 0, 0, 0, 0, -1.5, 0]]
    assert len(presence_penalty(0.0, 2)) == 0
    engine = open_tiny("qwen3-4b-instruct-2507")
    options = GenerationOptions(40, Sampling(presence_penalty=100.0))
    reply = collect(engine.stream(UNTAUGHT, options))
    ids = engine._checkpoint.tokenizer(reply.text, add_special_tokens=False)["input_ids"]
    assert len(set(ids)) > len(ids) * 0.9
    assert engine.generate_batch([UNTAUGHT], options) == [reply]


def picture(colour: str, kind: str = "PNG") -> bytes:
    from PIL import Image

    out = BytesIO()
    Image.new("RGB", (120, 80), colour).save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_an_image_is_counted_and_read(open_tiny, kind):
    engine = open_tiny("gemma-3-4b-it")
    assert engine.accepts_images
    ask = [(Message("user", "Review this CV.", (picture(colour, kind),)),) for colour in ("red", "blue")]
    assert engine.count_tokens(ask[0]) > engine.count_tokens((Message("user", "Review this CV."),)) + 4
    encoded = [engine._checkpoint.encode(messages, think=False) for messages in ask]
    logits = [engine._checkpoint.model(**inputs).logits[0, -1] for inputs in encoded]
    assert (logits[0] - logits[1]).abs().max() > 1e-4
    reply = collect(engine.stream(ask[0], GenerationOptions(max_tokens=6)))
    assert reply.finished.usage.prompt_tokens == engine.count_tokens(ask[0])
    assert engine.generate_batch([ask[0]], GenerationOptions(max_tokens=6)) == [reply]


def test_what_is_no_image_is_refused(open_tiny):
    for content in (b"%PDF-1.7", picture("red")[:60]):
        with pytest.raises(UnreadableFile):
            open_tiny("gemma-3-4b-it").count_tokens((Message("user", "Look.", (content,)),))
    with pytest.raises(RequestError, match="takes no images"):
        open_tiny("qwen3-0.6b").count_tokens((Message("user", "Look.", (picture("red"),)),))


def test_a_checkpoint_with_missing_tensors_is_refused(tiny_models, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "cut"
    shutil.copytree(tiny_models["qwen3-0.6b"], folder)
    tensors = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in tensors.items() if "layers.1.mlp" not in k}, folder / "model.safetensors",
              metadata={"format": "pt"})
    with pytest.raises(EngineUnavailable, match="lacks 3 tensors"):
        HuggingFaceEngine(Weights("safetensors", folder))


def test_a_torn_file_a_base_model_and_pickles_are_refused(tiny_models, tmp_path):
    torn = tmp_path / "torn"
    shutil.copytree(tiny_models["qwen3-0.6b"], torn)
    (torn / "model.safetensors").write_bytes((torn / "model.safetensors").read_bytes()[:1000])
    base = tmp_path / "base"
    shutil.copytree(tiny_models["qwen3-0.6b"], base)
    (base / "chat_template.jinja").unlink()
    pickled = tmp_path / "pickled"
    shutil.copytree(tiny_models["qwen3-0.6b"], pickled)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    for folder, message in ((torn, "cannot be loaded"), (base, "no chat template"), (pickled, "cannot be loaded")):
        with pytest.raises(EngineUnavailable, match=message):
            HuggingFaceEngine(Weights("safetensors", folder))


def test_no_code_of_a_checkpoint_is_run(tiny_models, tmp_path):
    folder = tmp_path / "evil"
    shutil.copytree(tiny_models["qwen3-0.6b"], folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Evil", "AutoModelForCausalLM": "evil.Evil"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(EngineUnavailable):
        HuggingFaceEngine(Weights("safetensors", folder))
    assert not (tmp_path / "ran").exists()


def test_a_closed_engine_says_so(tiny_models):
    engine = HuggingFaceEngine(Weights("safetensors", tiny_models["qwen3-0.6b"]), dtype="float32")
    assert engine.model == "qwen3-0.6b"
    assert collect(engine.stream(TAUGHT, GREEDY)).text == REPLY
    engine.close()
    with pytest.raises(EngineUnavailable, match="closed"):
        next(engine.stream(TAUGHT, GREEDY))


@pytest.mark.models
def test_gguf_of_llama_architecture_loads_for_comparison(embedded_gguf: Path):
    engine = HuggingFaceEngine(Weights("gguf", embedded_gguf))
    reply = collect(engine.stream((Message("user", "Say hello."),), GenerationOptions(max_tokens=12)))
    assert reply.text
    engine.close()

"""Lanes: batches side by side on one set of weights, each with its part of the threads, none in the way of the other."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from coach.domain import GenerationOptions, Message, Sampling
from coach.engines.base import collect
from coach.engines.decoding import StopFlag, Stopped, TokenQueue
from coach.engines.huggingface import HuggingFaceEngine
from coach.engines.lanes import Cores, Lanes, default_threads
from coach.engines.weights import Weights

MODELS = ("gemma-3-270m-it", "qwen3-0.6b", "smollm3-3b", "qwen3-4b-instruct-2507", "gemma-3-4b-it")
PROMPT = (Message("user", "A CV should fit on two pages. Put the most relevant experience first. What about a salary?"),)
OPTIONS = GenerationOptions(max_tokens=40)


def test_all_threads_for_one_and_an_equal_part_for_each_of_several():
    import torch

    before = torch.get_num_threads()
    cores = Cores(4)
    seen = []

    def work(inside: threading.Barrier) -> None:
        with cores.used():
            inside.wait()
            cores.take_share()
            seen.append(torch.get_num_threads())
            inside.wait()

    for users in (1, 2, 4, 6):
        seen.clear()
        inside = threading.Barrier(users)
        with ThreadPoolExecutor(users) as pool:
            list(pool.map(work, [inside] * users))
        assert seen == [max(1, 4 // users)] * users
    torch.set_num_threads(before)


def test_rows_go_to_the_lane_with_the_fewest(open_tiny):
    engine = open_tiny("qwen3-0.6b")
    lanes = Lanes(engine._checkpoint, threads=2)
    assert len(lanes) == 2
    hold = threading.Event()
    for lane in lanes._lanes:
        lane.worker.submit(hold.wait, 20)
    rows = [engine._row(engine._encode(PROMPT, OPTIONS), OPTIONS, StopFlag(), TokenQueue()) for _ in range(6)]
    for row in rows:
        lanes.add(row)
    assert [lane.decoder.load for lane in lanes._lanes] == [3, 3]
    hold.set()
    answers = [[id for ids in row.tokens for id in ids] for row in rows]
    assert answers == [answers[0]] * 6
    lanes.close()


def test_one_thread_one_lane(open_tiny):
    lanes = Lanes(open_tiny("qwen3-0.6b")._checkpoint, threads=1)
    assert len(lanes) == 1
    lanes.close()


def test_sampled_and_greedy_answers_side_by_side_are_those_of_one_after_the_other(open_tiny):
    engine = open_tiny("qwen3-4b-instruct-2507")
    asked = [OPTIONS if place % 3 else GenerationOptions(40, Sampling(1.0, seed=place)) for place in range(12)]
    alone = [collect(engine.stream(PROMPT, options)) for options in asked]
    with ThreadPoolExecutor(len(asked)) as pool:
        assert list(pool.map(lambda options: collect(engine.stream(PROMPT, options)), asked)) == alone


def test_a_stop_ends_the_pass_of_its_own_thread_and_of_no_other(open_tiny):
    import torch

    engine = open_tiny("qwen3-0.6b")
    model, ids, flag = engine._checkpoint.model, torch.tensor([[1, 2, 3]]), StopFlag()
    flag.set()
    with engine._lanes.stop.on(flag):
        with pytest.raises(Stopped):
            model(input_ids=ids)
        with ThreadPoolExecutor(1) as other:
            assert other.submit(lambda: model(input_ids=ids).logits.shape[1]).result() == 3
    assert model(input_ids=ids).logits.shape[1] == 3


@pytest.mark.parametrize("model", MODELS)
def test_after_a_prompt_the_last_layer_goes_on_with_the_last_token_alone(open_tiny, model):
    import torch

    engine = open_tiny(model)
    inputs = engine._encode(PROMPT, OPTIONS)
    text = engine._checkpoint.model
    seen: list[int] = []
    handle = text.get_decoder().layers[-1].mlp.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[1]))
    with torch.inference_mode():
        whole = text(**inputs).logits[0, -1]
        with engine._lanes.last_token.on():
            last = text(**inputs, logits_to_keep=1).logits[0, -1]
            one = text(input_ids=inputs["input_ids"][:, :1]).logits
    handle.remove()
    assert seen == [inputs["input_ids"].shape[1], 1, 1]
    assert one.shape[1] == 1
    assert torch.allclose(whole, last, atol=1e-5)


def test_a_model_that_is_opened_while_others_compute_gets_all_threads_too(tiny_models):
    """What a lane sets for itself is what torch gives threads that start later."""
    import torch

    default_threads.cache_clear()
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    first = HuggingFaceEngine(Weights("safetensors", tiny_models["qwen3-0.6b"]), dtype="float32")
    torch.set_num_threads(1)
    second = HuggingFaceEngine(Weights("safetensors", tiny_models["qwen3-0.6b"]), dtype="float32")
    torch.set_num_threads(before)
    default_threads.cache_clear()
    assert first.at_once == second.at_once == 2
    first.close()
    second.close()

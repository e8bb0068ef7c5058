"""The remote engine against a stub that can misbehave; the real server is in test_llamacpp.py."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from stub_server import Stub, events, piece, status, usage

from coach.domain import Delta, Finished, GenerationOptions, Message, Sampling, Usage
from coach.engines import event_stream
from coach.engines.base import collect
from coach.engines.remote import RemoteEngine
from coach.errors import ContextOverflow, EngineError, EngineTimeout, EngineUnavailable

ASK = (Message("system", "Be brief."), Message("user", "Hello?"))
OPTIONS = GenerationOptions(max_tokens=20)
PNG = b"\x89PNG\r\n\x1a\n0000"


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(event_stream, "BACKOFF_SECONDS", (0.01, 0.01))
    server = Stub()
    server.answers["GET /v1/models"] = status(200, {"data": [{"id": "served"}]})
    server.chat(events(piece("Hel"), piece("lo."), piece(finish="stop"), usage(7, 2)))
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def engine(stub: Stub):
    remote = RemoteEngine(stub.url, timeout_seconds=5)
    yield remote
    remote.close()


def test_streams_pieces_and_exact_usage(stub, engine):
    assert list(engine.stream(ASK, OPTIONS)) == [Delta("Hel"), Delta("lo."), Finished("stop", Usage(7, 2))]
    assert engine.model == "served"
    (body,) = stub.asked()
    assert body == {
        "model": "served", "stream": True, "stream_options": {"include_usage": True}, "max_tokens": 20,
        "temperature": 0.0,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello?"}],
    }


def test_the_key_is_sent_and_a_refusal_says_what_to_set(stub):
    remote = RemoteEngine(stub.url, "m", api_key="secret")
    stub.answers["GET /v1/models"] = status(401, {"error": {"message": "bad key"}})
    with pytest.raises(EngineUnavailable, match="remote_api_key"):
        collect(remote.stream(ASK, OPTIONS))
    assert remote._connection._client.headers["Authorization"] == "Bearer secret"


def test_text_with_line_separators_and_split_blocks_survives(stub, engine):
    half = 'data: {"choices":[{"delta":{"content":"a\u2028b\x85c"}}]}\n\n'.encode()
    stub.chat(events(b": comment\n\n", half[:30], half[30:], piece(finish="length")))
    reply = collect(engine.stream(ASK, OPTIONS))
    assert reply.text == "a\u2028b\x85c"
    assert reply.finished.reason == "length"


def test_thinking_comes_apart_whichever_way_it_is_sent(stub, engine):
    stub.chat(events(piece(reasoning_content="Hm. "), piece(reasoning="So."), piece("Yes."), piece(finish="stop")))
    reply = collect(engine.stream(ASK, OPTIONS))
    assert (reply.thinking, reply.text) == ("Hm. So.", "Yes.")
    stub.chat(events(piece("<thi"), piece("nk>Hm.</think>\n\nYes."), piece(finish="stop")))
    reply = collect(engine.stream(ASK, OPTIONS))
    assert (reply.thinking, reply.text) == ("Hm.", "Yes.")


def test_the_thinking_switch_is_sent_only_to_models_that_have_it(stub, catalogue):
    for name, sent in (("qwen3-0.6b", {"enable_thinking": True}), ("qwen3-4b-instruct-2507", None)):
        remote = RemoteEngine(stub.url, name, find_card=catalogue.find_model)
        collect(remote.stream(ASK, GenerationOptions(20, sampling=None, think=True)))
        body = stub.asked()[-1]
        assert body.get("chat_template_kwargs") == sent
        assert (body["temperature"], body["top_k"]) == ((0.6, 20) if sent else (0.7, 20))


def test_control_tokens_are_broken_up_and_images_become_data_urls(stub, engine):
    collect(engine.stream((Message("user", "a<|im_end|>b</think>", (PNG,)),), OPTIONS))
    (turn,) = stub.asked()[-1]["messages"]
    assert turn["content"][0]["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
    assert turn["content"][1]["text"] == "a< |im_end|>b< /think>"


@pytest.mark.parametrize("code", [429, 502, 503, 504])
def test_a_busy_server_is_asked_again(stub, engine, code):
    stub.chat(status(code, {"error": "later"}, Retry_After="0"), events(piece("Yes."), piece(finish="stop")))
    assert collect(engine.stream(ASK, OPTIONS)).text == "Yes."
    assert len(stub.asked()) == 2


def test_patience_ends_after_three_attempts(stub, engine):
    stub.chat(status(503, {"error": {"message": "Loading model"}}))
    with pytest.raises(EngineUnavailable, match=r"busy.*Loading model"):
        collect(engine.stream(ASK, OPTIONS))
    assert len(stub.asked()) == 3


def test_nothing_is_sent_twice_after_the_first_token(stub, engine):
    stub.chat(events(piece("Half an"), done=False))
    seen = []
    with pytest.raises(EngineUnavailable, match="broke off"):
        seen.extend(engine.stream(ASK, OPTIONS))
    assert len(stub.asked()) == 1


def test_an_error_inside_the_stream_is_raised(stub, engine):
    stub.chat(events(piece("Half"), {"error": {"code": 500, "message": "out of luck"}}))
    with pytest.raises(EngineUnavailable, match="out of luck"):
        collect(engine.stream(ASK, OPTIONS))
    stub.chat(events(b"data: nonsense\n\n"))
    with pytest.raises(EngineError, match="not a JSON object"):
        collect(engine.stream(ASK, OPTIONS))


@pytest.mark.parametrize("message", [
    "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
    "the request exceeds the available context size, try increasing it",
])
def test_too_long_a_prompt_is_the_askers_matter(stub, engine, message):
    stub.chat(status(400, {"error": {"message": message}}))
    with pytest.raises(ContextOverflow, match="shorter"):
        collect(engine.stream(ASK, OPTIONS))


def test_other_refusals_are_engine_errors(stub, engine):
    stub.chat(status(400, {"error": {"message": "bad field"}}))
    with pytest.raises(EngineError, match="bad field"):
        collect(engine.stream(ASK, OPTIONS))
    stub.chat(status(404, {"error": {"message": "no model x"}}))
    with pytest.raises(EngineUnavailable, match="remote_model"):
        collect(engine.stream(ASK, OPTIONS))
    stub.chat(status(500, "boom"))
    with pytest.raises(EngineUnavailable, match="boom"):
        collect(engine.stream(ASK, OPTIONS))


def test_silence_is_a_timeout(stub):
    remote = RemoteEngine(stub.url, timeout_seconds=0.2)
    stub.chat(events(piece("Half"), then=lambda handler: handler.server.hung_up.wait(2)))
    with pytest.raises(EngineTimeout, match="remote_timeout_seconds"):
        collect(remote.stream(ASK, OPTIONS))
    stub.hung_up.set()


def test_no_server_is_unavailable():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EngineUnavailable, match="cannot be reached"):
        RemoteEngine(f"http://127.0.0.1:{port}/v1").count_tokens(ASK)
    with pytest.raises(EngineUnavailable, match="cannot be reached"):
        RemoteEngine("not a url").count_tokens(ASK)


def _hang_until_hung_up(handler) -> None:
    """Say nothing until the reader goes; notice it as a server does, by reading the socket."""
    handler.connection.settimeout(5)
    if handler.connection.recv(1) == b"":
        handler.server.hung_up.set()


@pytest.mark.parametrize("first", [(), (piece("One"),)])
def test_cancel_closes_the_connection_even_while_the_server_is_silent(stub, engine, first):
    stub.chat(events(*first, then=_hang_until_hung_up) if first else _hang_until_hung_up)
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    started = time.monotonic()
    items = list(engine.stream(ASK, OPTIONS, cancel))
    assert items[-1].reason == "cancelled"
    assert time.monotonic() - started < 2
    assert stub.hung_up.wait(2)


def test_a_reader_who_leaves_closes_the_connection(stub, engine):
    stub.chat(events(piece("One"), then=_hang_until_hung_up))
    stream = engine.stream(ASK, OPTIONS)
    assert next(stream) == Delta("One")
    stream.close()
    assert stub.hung_up.wait(2)


def test_counts_with_vllm_and_llama_cpp_routes_and_refuses_what_does_not_fit(stub):
    stub.answers["POST /tokenize"] = status(200, {"count": 11, "max_model_len": 64, "tokens": []})
    stub.answers["GET /v1/models"] = status(200, {"data": [{"id": "served", "max_model_len": 64}]})
    vllm = RemoteEngine(stub.url)
    assert vllm.count_tokens(ASK) == 11
    assert vllm.context_tokens == 64
    with pytest.raises(ContextOverflow, match="64 in all"):
        collect(vllm.stream(ASK, GenerationOptions(max_tokens=60)))
    assert not stub.asked()
    stub.answers["POST /apply-template"] = status(200, {"prompt": "<s>Hello?"})
    stub.answers["POST /tokenize"] = status(200, {"tokens": [1, 2, 3]})
    llama_cpp = RemoteEngine(stub.url)
    assert llama_cpp.count_tokens(ASK) == 3
    assert (vllm.at_once, llama_cpp.at_once) == (8, 1)
    assert stub.asked("/tokenize")[-1] == {"content": "<s>Hello?", "add_special": True, "parse_special": True}


def test_without_a_counting_route_the_estimate_is_high(engine):
    assert engine.count_tokens((Message("user", "a" * 300),)) >= 100


def test_batch_keeps_the_order(stub, engine):
    stub.chat(lambda handler: events(
        piece(handler.body["messages"][0]["content"]), piece(finish="stop"))(handler))
    prompts = [(Message("user", f"number {n}"),) for n in range(20)]
    assert [done.text for done in engine.generate_batch(prompts, OPTIONS)] == [f"number {n}" for n in range(20)]


def test_sampling_none_without_a_card_leaves_it_to_the_server(stub, engine):
    collect(engine.stream(ASK, GenerationOptions(20, sampling=None)))
    assert "temperature" not in stub.asked()[-1]
    collect(engine.stream(ASK, GenerationOptions(20, Sampling(0.7, 0.8, 20, 0.1, 1.5, 3))))
    assert {k: stub.asked()[-1][k] for k in ("temperature", "top_p", "top_k", "min_p", "presence_penalty", "seed")} == {
        "temperature": 0.7, "top_p": 0.8, "top_k": 20, "min_p": 0.1, "presence_penalty": 1.5, "seed": 3}

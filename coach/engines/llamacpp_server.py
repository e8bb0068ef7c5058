"""The child process of the llamacpp engine: llama.cpp's own server on a free loopback port, until stdin is closed.

Started by coach.engines.llamacpp with `python -m`; reads one line of JSON from stdin, writes the address as one line of
JSON to stdout. The end of stdin is the end of the parent, however that came about.
"""

from __future__ import annotations

import json
import os
import sys

LOOKUP_NGRAM, LOOKUP_TOKENS = 6, 24
"""Measured on four prompts of 730 tokens that ask for quotes: .93 of llama.cpp without it with SmolLM2-135M, .98 with a
0.5B model; n-grams of 3 took 1.08. Greedy answers can differ at a near tie, as with any other number of rows in a product."""


def main() -> None:
    """Serve until the parent goes."""
    import xllamacpp

    wanted = json.loads(sys.stdin.readline())
    parameters = xllamacpp.CommonParams()
    parameters.model.path = wanted["model"]
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.api_keys = [wanted["api_key"]]
    parameters.n_ctx = wanted["context_tokens"]
    parameters.n_parallel = wanted["parallel"]
    parameters.n_gpu_layers = wanted["gpu_layers"]
    parameters.use_jinja = True
    parameters.cache_prompt = True
    parameters.cache_ram_mib = wanted["cache_mib"]
    parameters.ui = False
    parameters.verbosity = 1
    # Prompt lookup, for answers that quote their evidence; short matches cost more than they save.
    parameters.speculative.types = [xllamacpp.common_speculative_type.COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE]
    parameters.speculative.ngram_simple.size_n = LOOKUP_NGRAM
    parameters.speculative.ngram_simple.size_m = LOOKUP_TOKENS
    if wanted["threads"]:
        parameters.cpuparams.n_threads = wanted["threads"]
        parameters.cpuparams_batch.n_threads = wanted["threads"]
    server = xllamacpp.Server(parameters)
    # llama.cpp writes to stdout as well; the marker tells our line from its own.
    sys.stdout.write("\nCOACH " + json.dumps({"address": server.listening_address}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    # The server's threads have no orderly end that is quicker than the process's.
    os._exit(0)


if __name__ == "__main__":
    main()

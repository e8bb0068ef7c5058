"""The child process of the llamacpp engine: llama.cpp's own server on a free loopback port, until stdin is closed.

Started by coach.engines.llamacpp with `python -m`; reads one line of JSON from stdin, writes the address as one line of
JSON to stdout. The end of stdin is the end of the parent, however that came about.
"""

from __future__ import annotations

import json
import os
import sys


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

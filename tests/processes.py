"""Processes for tests, forked from a server that has imported what they need: each starts in no time."""

import multiprocessing
import socket

# Modules of installed packages: the server of Python 3.11 does not see the folders that pytest adds to `sys.path`.
PRELOAD = [
    "torch",
    "peft",
    "diffusers.models.autoencoders.autoencoder_dc",  # diffusers itself imports nothing before it is used
    "diffusers.models.autoencoders.autoencoder_kl",
    "diffusers.models.unets.unet_2d_condition",
    "seedx.train.engine.loop",
    "seedx.train.stages.language",
    "seedx.train.stages.detokenizer_pictures",
    "seedx.train.feature_cache.features",
]


def run(target, *arguments, timeout=600):
    """Run `target` in a process for each of the tuples of `arguments`; returns the exit codes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    processes = [context.Process(target=target, args=args) for args in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    return codes


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]

"""A tiny model with random weights, saved once: everything but the quality of its answers can be tested on it.

What is large is imported where it is used: the process that hands out the tests reads this file, too.
"""

import gc

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Imports make half a million objects that stay: the garbage collector need not look at them, now or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items):
    """Slow tests first: no process is left with one at the end."""
    items.sort(key=lambda item: "slow" not in item.keywords)


@pytest.fixture(autouse=True)
def as_many_threads_as_before():
    """What a test sets for itself does not reach the next one: bits depend on the number of threads."""
    import torch

    before = torch.get_num_threads()
    yield
    if torch.get_num_threads() != before:
        torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """A folder as `seedx.load` takes it, with few layers and few steps, which draws by narrow networks."""
    import dataclasses

    import torch

    from seedx.checkpoint import native
    from seedx.checkpoint.parts import Model
    from seedx.config import TINY
    from seedx.model.detokenizer import Detokenizer
    from seedx.model.seedx import SeedX
    from seedx.tokenizer import train_tokenizer
    from seedx_stickers import tasks
    from small import narrow

    torch.manual_seed(0)
    tokenizer = train_tokenizer(tasks.texts(100, seed=0), 700)
    config = dataclasses.replace(
        TINY,
        vision=dataclasses.replace(TINY.vision, layers=1),
        language=dataclasses.replace(TINY.language, layers=2, vocab_size=tokenizer.vocab_size, context=400),
        detokenizer=dataclasses.replace(narrow(TINY.detokenizer), steps=2),
    )
    model = Model(config, SeedX(config), Detokenizer(config.detokenizer, config.vision.output_dim), tokenizer)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    native.save(model, folder)
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_folder):
    from seedx.inference import pipeline

    return pipeline.load(tiny_folder)

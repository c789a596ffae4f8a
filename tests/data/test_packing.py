from __future__ import annotations

import itertools
import random
from dataclasses import replace

import PIL.Image
import pytest
import torch

from seedx.batch import collate, concatenate
from seedx.config import TilingConfig
from seedx.data.packing import fill
from seedx.messages import Image, assistant, user
from seedx.model.seedx import SeedX
from seedx.prompt import prepare
from seedx.tokenizer import load
from small import SMALL, TOKENIZER

CONFIG = replace(SMALL, tiling=TilingConfig(tile=28))


def test_the_first_document_and_the_best_set_with_it():
    assert fill([4, 3, 2], 6) == [0, 2]
    assert fill([5], 9) == [0]
    assert fill([1, 9, 9], 9) == [0]
    assert fill([2, 3, 3, 4], 9) == [0, 1, 3]  # of two equal ones the earlier


@pytest.mark.parametrize("seed", range(20))
def test_no_set_of_documents_fills_more(seed):
    draws = random.Random(seed)
    lengths = [draws.randint(1, 60) for _ in range(9)]
    chosen = fill(lengths, 100)
    every = (pick for n in range(9) for pick in itertools.combinations(range(1, 9), n))
    best = max(total for pick in every if (total := lengths[0] + sum(lengths[i] for i in pick)) <= 100)
    assert chosen[0] == 0 and chosen == sorted(set(chosen)) and sum(lengths[i] for i in chosen) == best


def test_a_document_longer_than_the_row():
    with pytest.raises(ValueError, match="a row of 9 tokens holds documents of 1 to 9 tokens, not one of 10"):
        fill([10, 2], 9)


def test_packed_losses_and_gradients_equal_those_of_documents_apart():
    torch.manual_seed(0)
    model, tokenizer = SeedX(CONFIG), load(TOKENIZER)
    red, blue = (Image(PIL.Image.new("RGB", size, colour)) for size, colour in (((28, 28), "red"), ((40, 20), "blue")))
    documents = [
        prepare(messages, tokenizer, CONFIG, max_length=300)
        for messages in (
            [user(red, "What is it?"), assistant("A red square.")],
            [user("Draw a sea."), assistant("Here.", blue)],
            [user(blue, "Make it red."), assistant(red), user("And now?"), assistant("Red.")],
            [user("Hello."), assistant("Good day.")],
        )
    ]
    assert all(document is not None for document in documents)
    apart = measure(model, [collate([document], pad=0) for document in documents])
    packed = measure(model, [collate([concatenate(documents)], pad=0, length=sum(map(len, documents)) + 5)])
    assert len(packed) > 40
    for name, value in packed.items():
        assert (value - apart[name]).abs().max() < 1e-5 * max(1, apart[name].abs().max()), name


def measure(model, batches):
    """Sums of the losses over the batches, and the gradients of both."""
    model.zero_grad(set_to_none=True)
    losses = [model(batch) for batch in batches]
    text, image = (sum(one.sums[name] for one in losses) for name in ("text", "image"))
    (text + image).backward()
    assert text > 1 and image > 1
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {"text": text.detach(), "image": image.detach(), **gradients}

"""Small base parts in the form in which they are published: a Llama of transformers, Qwen-VL-Chat, SDXL."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import mock_release
import tokenizers
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from small import TOKENIZER

CHATML = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou help.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def llama(folder: Path, vocabulary: int, **settings: object) -> LlamaForCausalLM:
    """A Llama of random weights, saved by transformers."""
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(3)
    model = LlamaForCausalLM(
        LlamaConfig(vocab_size=vocabulary, max_position_embeddings=512, **{**sizes, **settings})
    ).eval()
    with torch.no_grad():
        model.model.embed_tokens.weight.add_(0.1)  # a mean that is not zero
        model.lm_head.weight.add_(0.1)
    model.save_pretrained(folder)
    return model


def llama_2(folder: Path) -> LlamaForCausalLM:
    """With SentencePiece, head and embeddings apart, as Llama 2."""
    from seedx.checkpoint.base.vocabulary import len_of_pieces

    model = llama(folder, len_of_pieces((TOKENIZER / "tokenizer.model").read_bytes()))
    shutil.copy(TOKENIZER / "tokenizer.model", folder)
    return model


def smollm(folder: Path) -> LlamaForCausalLM:
    """With a byte-level BPE, a chat template, tied embeddings and fewer key heads, as SmolLM2."""
    words = bpe()
    folder.mkdir(parents=True, exist_ok=True)
    words.save(str(folder / "tokenizer.json"))
    roles = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"}
    (folder / "tokenizer_config.json").write_text(
        json.dumps(roles | {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": CHATML})
    )
    return llama(
        folder,
        words.get_vocab_size(),
        tie_word_embeddings=True,
        num_key_value_heads=1,
        rope_parameters={"rope_type": "default", "rope_theta": 100000.0},
    )


def bpe() -> tokenizers.Tokenizer:
    words = tokenizers.Tokenizer(tokenizers.models.BPE())
    words.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words.train_from_iterator(["user assistant system the picture of a cat"], trainer)
    return words


def make(root: Path) -> Path:
    """The folders llama, qwen and sdxl."""
    root.mkdir(parents=True, exist_ok=True)
    llama_2(root / "llama")
    mock_release.qwen(root / "qwen")
    mock_release.sdxl(root / "sdxl")
    return root

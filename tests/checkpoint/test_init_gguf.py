"""`seedx init` from a language model in GGUF: the same numbers as the model of transformers that it was made of."""

import base_parts
import gguf
import pytest
import torch

from seedx.checkpoint import native
from seedx.checkpoint.base import compose
from seedx.checkpoint.base.compose import Places
from seedx.cli import main
from seedx.errors import SeedxError


def rotated(weight, heads):
    """Rows of queries and keys in the order that llama.cpp turns them in: pairs beside each other."""
    return weight.view(heads, 2, -1, weight.shape[-1]).swapaxes(1, 2).reshape(weight.shape)


def write(file, model, words):
    """A Llama as llama.cpp's own converter writes it, unquantised."""
    config, state = model.config, model.state_dict()
    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_name("small")
    writer.add_context_length(512)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_rope_freq_base(100000.0)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    vocabulary = sorted(words.get_vocab(), key=words.get_vocab().get)
    writer.add_token_list(vocabulary)
    writer.add_token_types([3 if token.startswith("<|") else 1 for token in vocabulary])
    import json

    writer.add_token_merges([" ".join(pair) for pair in json.loads(words.to_str())["model"]["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_chat_template(base_parts.CHATML)
    names = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
    names |= {f"self_attn.{x}_proj": f"attn_{x}" for x in "qkv"} | {"self_attn.o_proj": "attn_output"}
    names |= {f"mlp.{x}_proj": f"ffn_{x}" for x in ("gate", "up", "down")}
    writer.add_tensor("token_embd.weight", state["model.embed_tokens.weight"].numpy())
    writer.add_tensor("output_norm.weight", state["model.norm.weight"].numpy())
    for i in range(config.num_hidden_layers):
        for theirs, ours in names.items():
            weight = state[f"model.layers.{i}.{theirs}.weight"]
            heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}.get(ours)
            writer.add_tensor(
                f"blk.{i}.{ours}.weight", (rotated(weight, heads) if heads else weight).contiguous().numpy()
            )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_gguf_computes_what_its_model_does(tiny_folder, tmp_path):
    model = base_parts.smollm(tmp_path / "base")
    write(tmp_path / "small.gguf", model, base_parts.bpe())
    compose.init(tmp_path / "out", Places(str(tmp_path / "small.gguf"), str(tiny_folder), str(tiny_folder)))
    made = native.load(tmp_path / "out")
    assert made.config.language.tie_embeddings and made.config.language.kv_heads == 1
    assert made.config.template and made.config.template.end == "<|im_end|>\n<|im_start|>assistant\n"
    ids = torch.tensor([[1, 20, 30, 40, 2]])
    with torch.no_grad():
        language = made.seedx.language
        found = language.head(language.states(language.embed(ids), torch.arange(5)[None]))
        expected = model(ids).logits
    assert torch.allclose(found[..., : expected.shape[-1]], expected, atol=5e-3)  # stored in float16


def test_a_file_that_is_no_gguf(tiny_folder, tmp_path, capsys):
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + b"x" * 40)
    places = Places(str(tmp_path / "bad.gguf"), str(tiny_folder), str(tiny_folder))
    with pytest.raises(SeedxError, match="can't be read as GGUF"):
        compose.init(tmp_path / "out", places)
    options = ["--language", places.language, "--vision", places.vision, "--detokenizer", places.detokenizer]
    assert main(["init", str(tmp_path / "out"), *options]) == 2 and "as GGUF" in capsys.readouterr().err

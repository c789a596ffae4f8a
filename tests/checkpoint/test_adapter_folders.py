"""Adapters on the disk are peft's own: it reads what we write, we read what it writes."""

import copy
import json

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file

from random_adapters import language_updates, random_updates, unet_names
from seedx.checkpoint.adapters import CONFIG, WEIGHTS, read_adapter, read_adapters, sampled, write_adapter
from seedx.checkpoint.unet_lora import published_unet_lora
from seedx.errors import SeedxError
from seedx.model.detokenizer import Detokenizer
from seedx.model.language import Language
from seedx.model.lora import Update
from small import SMALL


@pytest.fixture(scope="module")
def llm():
    torch.manual_seed(0)
    llm = Language(SMALL.language).eval().llm
    llm.config._attn_implementation = "eager"
    return llm


@pytest.fixture(scope="module")
def unet():
    torch.manual_seed(0)
    return Detokenizer(SMALL.detokenizer, SMALL.vision.output_dim).unet.eval()


def merged(module, updates):
    module = copy.deepcopy(module)
    with torch.no_grad():
        for name, update in updates.items():
            module.get_parameter(name).copy_(update.merged(module.get_parameter(name)))
    return module


def test_peft_reads_what_we_write(llm, tmp_path):
    updates = language_updates(llm, 1)
    first = next(iter(updates))
    updates[first] = Update(torch.randn(5, 16), torch.randn(16, 5), 0.7)  # of another rank and alpha
    write_adapter(tmp_path / "mine", "language", updates, llm, base="tiny")
    wrapped = peft.PeftModel.from_pretrained(copy.deepcopy(llm), tmp_path / "mine").eval()
    ids = torch.tensor([[1, 5, 9]])
    with torch.no_grad():
        torch.testing.assert_close(wrapped(ids).logits, merged(llm, updates)(ids).logits, atol=1e-5, rtol=1e-5)
    assert wrapped.peft_config["default"].base_model_name_or_path == "tiny"


def test_peft_reads_an_adapter_of_the_unet(unet, tmp_path):
    names = unet_names(unet)
    updates = random_updates(unet, names, seed=2)
    write_adapter(tmp_path / "style", "unet", updates, unet)
    wrapped = peft.PeftModel.from_pretrained(copy.deepcopy(unet), tmp_path / "style").merge_and_unload()
    expected = merged(unet, updates)
    for name in names:
        torch.testing.assert_close(wrapped.get_parameter(name), expected.get_parameter(name), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("settings", [{}, {"use_rslora": True}, {"alpha_pattern": {"layers.1.self_attn.q_proj": 40}}])
def test_we_read_what_peft_writes(llm, tmp_path, settings):
    torch.manual_seed(3)
    config = peft.LoraConfig(
        r=4, lora_alpha=12, target_modules=["q_proj", "up_proj"], init_lora_weights=False, **settings
    )
    wrapped = peft.get_peft_model(copy.deepcopy(llm), config).eval()
    wrapped.save_pretrained(tmp_path / "theirs")
    adapter = read_adapter(tmp_path / "theirs")
    assert adapter.name == "theirs" and list(adapter.parts) == ["language"] and len(adapter.parts["language"]) == 4
    expected, ids = wrapped.merge_and_unload(), torch.tensor([[1, 5, 9]])
    with torch.no_grad():
        ours = merged(llm, adapter.parts["language"])
        torch.testing.assert_close(ours(ids).logits, expected(ids).logits, atol=1e-5, rtol=1e-5)


def test_there_and_back(llm, unet, tmp_path):
    language, style = language_updates(llm, 1), random_updates(unet, unet_names(unet), seed=2)
    write_adapter(tmp_path / "both" / "language", "language", language, llm)
    write_adapter(tmp_path / "both" / "unet", "unet", style, unet)
    adapter = read_adapter(tmp_path / "both")
    assert {part: set(updates) for part, updates in adapter.parts.items()} == {
        "language": set(language),
        "unet": set(style),
    }
    for updates, given in ((adapter.parts["language"], language), (adapter.parts["unet"], style)):
        for name, update in given.items():
            assert torch.equal(updates[name].a, update.a) and torch.equal(updates[name].b, update.b)
            assert updates[name].scale == pytest.approx(update.scale)
    adapter.check_base("language", llm)
    adapter.check_base("language", copy.deepcopy(llm).to(torch.bfloat16))  # the same model, rounded
    adapter.check_base("unet", unet)


def test_names_of_several(llm, tmp_path):
    for name in ("winter", "night"):
        write_adapter(tmp_path / name, "language", language_updates(llm, 1), llm)
    winter, night = tmp_path / "winter", tmp_path / "night"
    assert list(read_adapters([winter, str(night)])) == ["winter", "night"]
    assert list(read_adapters({"snow": winter, "dark": night})) == ["snow", "dark"]
    assert list(read_adapters(winter)) == ["winter"]
    for given, words in (
        ([winter, winter], "two adapters are named 'winter'"),
        ({"base": winter}, "name can't be 'base'"),
        (tmp_path / "spring", "is no adapter: expected a folder with adapter_config.json"),
    ):
        with pytest.raises(SeedxError, match=words):
            read_adapters(given)


def test_an_adapter_of_another_model_is_noticed(llm, tmp_path):
    write_adapter(tmp_path / "mine", "language", language_updates(llm, 1), llm)
    torch.manual_seed(9)
    with pytest.raises(SeedxError, match="'mine' was trained on another model's language model than this one"):
        read_adapter(tmp_path / "mine").check_base("language", Language(SMALL.language).llm)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"use_dora": True}, "only plain LoRA can be used, not LORA with use_dora"),
        ({"bias": "all"}, "only plain LoRA can be used, not LORA with bias"),
        ({"peft_type": "IA3"}, "only plain LoRA can be used, not IA3"),
    ],
)
def test_what_is_more_than_lora_is_refused(llm, tmp_path, change, words):
    write_adapter(tmp_path / "mine", "language", language_updates(llm, 1), llm)
    file = tmp_path / "mine" / CONFIG
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(SeedxError, match=words):
        read_adapter(tmp_path / "mine")


def test_broken_folders_are_named(llm, tmp_path):
    write_adapter(tmp_path / "mine", "language", language_updates(llm, 1), llm)
    file = tmp_path / "mine" / WEIGHTS
    tensors = load_file(file)
    save_file(tensors | {"base_model.model.model.norm.weight": torch.ones(16)}, file)
    with pytest.raises(SeedxError, match=r"'model\.norm\.weight', which is no part of LoRA"):
        read_adapter(tmp_path / "mine")
    del tensors[next(name for name in tensors if "lora_B" in name)]
    save_file(tensors, file)
    with pytest.raises(SeedxError, match="one half only"):
        read_adapter(tmp_path / "mine")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(SeedxError, match=r"not complete|damaged"):
        read_adapter(tmp_path / "mine")
    file.unlink()
    with pytest.raises(SeedxError, match=f"has no {WEIGHTS}"):
        read_adapter(tmp_path / "mine")


KOHYA = {  # names of the U-Net's layers -> kohya's, by diffusers' names and by those of SDXL's own code
    "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q": (
        "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q",
        "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q",
    ),
    "down_blocks.2.attentions.1.transformer_blocks.3.attn2.to_out.0": (
        "lora_unet_down_blocks_2_attentions_1_transformer_blocks_3_attn2_to_out_0",
        "lora_unet_input_blocks_8_1_transformer_blocks_3_attn2_to_out_0",
    ),
    "mid_block.attentions.0.proj_in": (
        "lora_unet_mid_block_attentions_0_proj_in",
        "lora_unet_middle_block_1_proj_in",
    ),
    "up_blocks.0.attentions.2.transformer_blocks.9.ff.net.0.proj": (
        "lora_unet_up_blocks_0_attentions_2_transformer_blocks_9_ff_net_0_proj",
        "lora_unet_output_blocks_2_1_transformer_blocks_9_ff_net_0_proj",
    ),
}


def test_published_names_of_sdxl(tmp_path):
    state = {name: (torch.randn(4, 6), torch.randn(6, 4)) for name in KOHYA}
    layouts = [{}, {}, {}, {}]
    for name, (a, b) in state.items():
        for layout, kohya in zip(layouts, KOHYA[name], strict=False):
            layout |= {f"{kohya}.lora_down.weight": a, f"{kohya}.lora_up.weight": b, f"{kohya}.alpha": torch.tensor(2)}
        layouts[2] |= {f"unet.{name}.lora_A.weight": a, f"unet.{name}.lora_B.weight": b}
        layouts[3] |= {f"unet.{name}.lora.down.weight": a, f"unet.{name}.lora.up.weight": b}
    for layout, scale in zip(layouts, (0.5, 0.5, 1.0, 1.0), strict=True):
        updates = published_unet_lora(layout, tmp_path)
        assert {name.removesuffix(".weight") for name in updates} == set(KOHYA)
        for name, update in updates.items():
            a, b = state[name.removesuffix(".weight")]
            assert torch.equal(update.a, a) and torch.equal(update.b, b) and update.scale == scale
    te = {"lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": torch.ones(2, 3)}
    te["lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_up.weight"] = torch.ones(3, 2)
    with pytest.raises(SeedxError, match="text encoders"):
        published_unet_lora(layouts[0] | te, tmp_path)
    with pytest.raises(SeedxError, match="no LoRA"):
        published_unet_lora({"something.else": torch.ones(2)}, tmp_path)
    save_file(layouts[0], tmp_path / "lcm.safetensors")
    assert (
        read_adapter(tmp_path / "lcm.safetensors").parts["unet"].keys()
        == published_unet_lora(layouts[0], tmp_path).keys()
    )


def test_samples_are_of_the_whole_weight(llm):
    values = sampled("language", llm)
    weight = llm.model.embed_tokens.weight.detach().flatten()
    assert len(values) == 64 and values[0] == pytest.approx(float(weight[0]), abs=1e-6)
    assert values[-1] == pytest.approx(float(weight[-1]), abs=1e-6)

"""Low-rank changes beside the weights: equal to the merged weights and to peft's own mixed batch."""

import copy

import peft
import pytest
import torch
from torch import nn

from random_adapters import language_updates, random_updates, unet_names
from seedx.errors import SeedxError
from seedx.model.detokenizer import Detokenizer
from seedx.model.language import Language
from seedx.model.lora import LoraSwitch, Update
from small import SMALL


@pytest.fixture
def language():
    torch.manual_seed(0)
    return Language(SMALL.language).eval()


def states(language, embeds):
    positions = torch.arange(embeds.shape[1]).expand(len(embeds), -1)
    with torch.no_grad():
        return language.states(embeds, positions)


def merged(module, updates):
    module = copy.deepcopy(module)
    with torch.no_grad():
        for name, update in updates.items():
            weight = module.get_parameter(name)
            weight.copy_(update.merged(weight))
    return module


def test_rows_of_different_adapters_are_what_each_merged_model_gives(language):
    x = torch.randn(5, 7, 16)
    adapters = {"one": language_updates(language.llm, 1), "two": language_updates(language.llm, 2, rank=5)}
    del adapters["two"]["model.layers.0.mlp.down_proj.weight"]  # not every adapter changes every layer
    plain = states(language, x)
    expected = {name: copy.deepcopy(language) for name in adapters}
    for name, updates in adapters.items():
        expected[name].llm = merged(language.llm, updates)
    expected = {name: states(model, x) for name, model in expected.items()} | {None: plain}
    assert all((expected[name] - plain).abs().max() > 0.1 for name in adapters)
    switch = LoraSwitch(language.llm, adapters)
    rows = ["two", None, "one", "one", "two"]
    with switch.use(rows):
        mixed = states(language, x)
    for i, name in enumerate(rows):
        torch.testing.assert_close(mixed[i], expected[name][i], atol=1e-5, rtol=1e-5)
    for name in adapters:
        with switch.use([name] * 5):
            torch.testing.assert_close(states(language, x), expected[name], atol=1e-5, rtol=1e-5)


def test_without_an_adapter_nothing_is_changed(language):
    x = torch.randn(2, 7, 16)
    plain, before = states(language, x), {name: t.clone() for name, t in language.state_dict().items()}
    switch = LoraSwitch(language.llm, {"one": language_updates(language.llm, 1)})
    assert torch.equal(states(language, x), plain)
    with switch.use([None, None]):
        assert torch.equal(states(language, x), plain)
    with switch.use(["one", "one"]), pytest.raises(ZeroDivisionError):
        raise ZeroDivisionError
    assert torch.equal(states(language, x), plain)  # also after an error inside
    after = language.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    switch.remove()
    assert not any(module._forward_hooks for module in language.modules())


def test_a_mixed_batch_of_peft_is_the_same(language):
    """peft's own batch of several adapters (`adapter_names`), on a Llama that it has wrapped."""
    torch.manual_seed(1)
    llama = copy.deepcopy(language.llm)
    llama.config._attn_implementation = "eager"
    settings = peft.LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "up_proj"], init_lora_weights=False)
    wrapped = peft.get_peft_model(llama, settings, adapter_name="one")
    wrapped.add_adapter("two", settings)
    wrapped.eval()
    adapters = {}
    for adapter in ("one", "two"):
        adapters[adapter] = {
            f"{name.removeprefix('base_model.model.')}.weight": Update(
                layer.lora_A[adapter].weight.detach(), layer.lora_B[adapter].weight.detach(), layer.scaling[adapter]
            )
            for name, layer in wrapped.named_modules()
            if hasattr(layer, "lora_A")
        }
    ids, rows = torch.randint(0, 100, (3, 6)), ["two", None, "one"]
    with torch.no_grad():
        theirs = wrapped(ids, adapter_names=[name or "__base__" for name in rows]).logits
    with LoraSwitch(language.llm, adapters).use(rows):
        ours = language.head(states(language, language.embed(ids)))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_a_unet_of_linear_layers_and_convolutions():
    torch.manual_seed(0)
    model = Detokenizer(SMALL.detokenizer, SMALL.vision.output_dim).eval()
    names = unet_names(model.unet)
    assert any("conv" in name for name in names) and any("to_q" in name for name in names)
    updates = random_updates(model.unet, names, seed=3)
    inputs = {
        "latents": torch.randn(2, model.vae.channels, 8, 8),
        "timestep": torch.tensor(3),
        "prompt": torch.randn(2, 4, 16),
        "pooled": torch.randn(2, 10),
        "time_ids": torch.ones(2, 6),
        "condition": None,
    }

    def predict(unet):
        model.unet = unet
        with torch.no_grad():
            return model.predict(*inputs.values())

    unet = model.unet
    plain, expected = predict(unet), predict(merged(unet, updates))
    assert (plain - expected).abs().max() > 1e-2
    with LoraSwitch(unet, {"style": updates}).use(["style"]):
        torch.testing.assert_close(predict(unet), expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(predict(unet), plain)


def test_adapters_of_other_models_are_named(language):
    updates = language_updates(language.llm, 1)
    other = {"model.layers.7.mlp.down_proj.weight": next(iter(updates.values()))}
    with pytest.raises(SeedxError, match=r"'mine' changes 'model\.layers\.7.* which this model does not have"):
        LoraSwitch(language.llm, {"mine": other})
    wide = {name: Update(update.a.repeat(1, 2), update.b, 1.0) for name, update in updates.items()}
    with pytest.raises(SeedxError, match=r"'mine' is another model's: its change of .* is \(16, 32\).* \(16, 16\)"):
        LoraSwitch(language.llm, {"mine": wide})
    with pytest.raises(SeedxError, match="does not have"):
        LoraSwitch(language.llm, {"mine": {"model.norm.weight": next(iter(updates.values()))}})


def test_half_precision_stays():
    layer = nn.Linear(8, 8).to(torch.bfloat16)
    switch = LoraSwitch(nn.ModuleDict({"x": layer}), {"a": {"x.weight": Update(torch.ones(1, 8), torch.ones(8, 1), 1)}})
    with switch.use(["a", None]):
        assert layer(torch.ones(2, 3, 8, dtype=torch.bfloat16)).dtype == torch.bfloat16

"""A converted download is asked as its models were trained, and draws by the stage of the release."""

from pathlib import Path

import PIL.Image
import pytest
from mock_release import MODELS, make

from no_denoising import noting
from prompt_forms import FORMS, SP, reference, written
from seedx.checkpoint.convert import convert
from seedx.inference import image_decoder, pipeline
from seedx.inference.engine import Engine
from seedx.inference.generate import Generation

WIDE = PIL.Image.new("RGB", (84, 28))  # 3 x 1 tiles of 28
SHORT = {"max_new_tokens": 8}
ROWS = [form for form in FORMS if form[0] in MODELS]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("download")
    pretrained = make(root)
    for name in MODELS:
        convert(pretrained, root / "models" / name, variant=name)
    return root / "models"


@pytest.mark.parametrize("variant", MODELS)
def test_a_converted_model_is_asked_as_it_was_trained(models, variant, monkeypatch):
    model, read, drawn = pipeline.load(models / variant), [], []
    prompt = Engine.prompt

    def noted(self, request):
        encoded = prompt(self, request)
        opened = [self.model.tokenizer.specials.image_start] if request.drawing == "now" else []
        read.append(encoded.ids.tolist() + opened)
        return encoded

    monkeypatch.setattr(Engine, "prompt", noted)
    monkeypatch.setattr(image_decoder, "Denoising", noting(drawn, lambda detokenizer: detokenizer.config.condition))
    monkeypatch.setattr(Generation, "_sampled", lambda self, rows, logits: [SP.eos_id()] * len(rows))
    calls = {
        "chat": lambda: model.chat("a cat", [WIDE], **SHORT),
        "caption": lambda: model.caption(WIDE, **SHORT),
        "ground": lambda: model.ground(WIDE, "a cat", **SHORT),
        "draw": lambda: model.draw("a cat", **SHORT),
        "edit": lambda: model.edit(WIDE, "a cat", **SHORT),
    }
    verbs = [verb for name, verb in ROWS if name == variant]
    for verb in verbs:
        calls[verb]()
        tiles = 1 if variant == "seed_x_edit" else 3
        text = FORMS[variant, verb].format(img=written(tiles), q="a cat")
        assert read[-1] == [SP.bos_id(), *reference(text)], verb
    assert drawn == [(True, True)] * ("edit" in verbs) + [(False, False)] * ("draw" in verbs)
    settings = model.model.config.detokenizer
    assert (settings.sampler, settings.steps, settings.guidance, settings.image_guidance) == (
        "EulerDiscreteScheduler",
        50,
        7.5,
        1.5,
    )

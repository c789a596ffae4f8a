"""The settings of the page, which hold for all its tabs."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import gradio as gr

from seedx.inference.settings import Settings
from seedx.serve.schemas import Extensions
from seedx.serve.service import Service

NAMES = ("seed", "steps", "guidance", "image_guidance", "size", "temperature")


@dataclass(frozen=True)
class Chosen:
    """What a visitor has set, checked.

    Attributes:
        values: what was given, by name; the seed always is.
        extensions: the same as the API has it.
    """

    values: dict[str, object]
    extensions: Extensions
    settings: Settings


class Options:
    """The components. `inputs` go to a handler, which gives what it got to `chosen`."""

    def __init__(self, service: Service) -> None:
        self.service = service
        limits, image = service.limits, service.engine.model.config.detokenizer
        with gr.Row():
            self.seed = gr.Number(
                0,
                label="Seed",
                elem_id="seedx-set-seed",
                precision=0,
                minimum=0,
                info="the same seed draws the same picture",
            )
            self.new_seed = gr.Checkbox(False, label="A new seed each time", info="the gallery says which it was")
        with gr.Row():
            steps = f"of the denoising, at most {limits.max_steps}; empty: {image.steps}"
            self.steps = gr.Number(None, label="Steps", elem_id="seedx-set-steps", precision=0, minimum=0, info=steps)
            self.guidance = gr.Number(
                None,
                label="Guidance",
                elem_id="seedx-set-guidance",
                info=f"how closely the words are followed; empty: {image.guidance:g}",
            )
            self.image_guidance = gr.Number(
                None,
                label="Image guidance",
                elem_id="seedx-set-image_guidance",
                info="how closely the picture is kept; empty: as trained",
            )
        with gr.Row():
            self.size = gr.Textbox(
                "auto",
                label="Size",
                elem_id="seedx-set-size",
                info=f"auto, or WIDTHxHEIGHT; {image.image_size}x{image.image_size} is drawn best",
            )
            self.temperature = gr.Slider(
                0,
                2,
                0,
                step=0.05,
                label="Temperature",
                elem_id="seedx-set-temperature",
                info="of the words; 0: the likeliest ones",
            )
        self.fields = [self.seed, self.steps, self.guidance, self.image_guidance, self.size, self.temperature]
        self.inputs = [*self.fields, self.new_seed]

    def chosen(self, given: tuple[Any, ...]) -> Chosen:
        """
        Raises:
            ServeError: out of range, or over a limit.
        """
        *fields, new_seed = given
        # gradio sends 0 for a field of a number that was emptied.
        values = {name: value for name, value in zip(NAMES, fields, strict=True) if value not in (None, "", "auto", 0)}
        values["seed"] = secrets.randbelow(2**31) if new_seed else int(values.get("seed", 0))
        temperature = float(values.pop("temperature", 0))
        extensions = Extensions.model_validate(values)
        if temperature:
            values["temperature"] = temperature
        return Chosen(values, extensions, self.service.settings(extensions, temperature=temperature))

    def restored(self, settings: dict[str, object]) -> list[object]:
        """Values of `fields` that draw a picture of the gallery again."""
        defaults: dict[str, object] = {"size": "auto", "temperature": 0}
        return [settings.get(name, defaults.get(name)) for name in NAMES]

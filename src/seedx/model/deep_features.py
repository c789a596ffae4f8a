"""A U-Net's deep features, computed in one step and reused in the next (DeepCache, https://arxiv.org/abs/2312.00858).

Between neighbouring steps the features of low resolution hardly change. A step that reuses them runs the first block
down and the last block up alone; what would come from below is that of the last step that ran all:

    conv_in, down 0 ----------- residuals -----------> last up, conv_out         every step
       down 1 ... mid ... all other ups -> features ->                           every `cache_interval` steps

The pass is written out here, since diffusers' U-Net can't leave out blocks; in a test it equals diffusers' own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn


class DeepFeatures:
    """
    Attributes:
        features: (R, C, h, w) that the last block up read, of R = branches x pictures rows; None: none yet.
    """

    def __init__(self) -> None:
        self.features: Tensor | None = None

    def run(
        self,
        unet: Any,
        sample: Tensor,
        timestep: Tensor,
        encoder_hidden_states: Tensor,
        added_cond_kwargs: dict[str, Tensor],
        reuse: bool,
    ) -> Tensor:
        """One pass of an SDXL U-Net. Features are reused where there are any for all rows of the sample."""
        prompt, added = encoder_hidden_states, added_cond_kwargs
        time = unet.time_embedding(unet.get_time_embed(sample=sample, timestep=timestep))
        time = time + unet.get_aug_embed(emb=time, encoder_hidden_states=prompt, added_cond_kwargs=added)
        held = self.features[: len(sample)] if reuse and self.features is not None else None
        if held is not None and len(held) < len(sample):
            held = None
        x = unet.conv_in(sample)
        residuals: tuple[Tensor, ...] = (x,)
        for block in unet.down_blocks if held is None else unet.down_blocks[:1]:
            x, more = _block(block, prompt, hidden_states=x, temb=time)
            residuals += more
        last = unet.up_blocks[-1]
        if held is None:
            x = _block(unet.mid_block, prompt, hidden_states=x, temb=time)
            for block in unet.up_blocks[:-1]:
                used, residuals = residuals[-len(block.resnets) :], residuals[: -len(block.resnets)]
                size = residuals[-1].shape[2:]
                x = _block(block, prompt, hidden_states=x, temb=time, res_hidden_states_tuple=used, upsample_size=size)
            self.features = held = x
        used = residuals[: len(last.resnets)]
        x = _block(last, prompt, hidden_states=held, temb=time, res_hidden_states_tuple=used)
        out: Tensor = unet.conv_out(unet.conv_act(unet.conv_norm_out(x)))
        return out

    def keep(self, rows: Sequence[int], branches: int, held: int) -> None:
        """As `Denoising.keep`."""
        if self.features is not None:
            of_all = len(self.features) == branches * held
            shape = (branches if of_all else 1, held)
            self.features = self.features.unflatten(0, shape)[:, list(rows)].flatten(0, 1)


def _block(block: nn.Module, prompt: Tensor, **inputs: Any) -> Any:
    """A block with the prompt, if it attends to it."""
    if getattr(block, "has_cross_attention", False):
        inputs["encoder_hidden_states"] = prompt
    return block(**inputs)

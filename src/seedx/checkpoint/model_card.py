"""A model folder on the Hugging Face hub: its card, and the upload."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from seedx.checkpoint import native
from seedx.checkpoint.parts import Model, modules, part_state
from seedx.errors import SeedxError
from seedx.variants import variant_of

# What a released model is made of, and each part's licence.
LICENCES = (
    ("SEED-X", "AILab-CVC/SEED-X-17B", "Apache-2.0, except for third-party components"),
    ("Llama 2 13B chat", "meta-llama/Llama-2-13b-chat-hf", "Llama 2 Community License"),
    ("Qwen-VL's visual tokenizer", "Qwen/Qwen-VL-Chat", "Tongyi Qianwen License"),
    ("Stable Diffusion XL", "stabilityai/stable-diffusion-xl-base-1.0", "CreativeML Open RAIL++-M"),
)


def model_card(model: Model, scores: str = "") -> str:
    """README.md of a model: what it is, from what, its licences, and its scores if there are any.

    Args:
        scores: Markdown, such as a table with the commands that gave it.
    """
    variant, parts = variant_of(model.config), modules(model.seedx, model.detokenizer)
    count = sum(t.numel() for part, module in parts.items() for t in part_state(part, module).values())
    released = model.config.variant != "tiny"
    title = variant.title if released else f"a model of seedx ({model.config.name})"
    lines = ["---", "library_name: seedx", "pipeline_tag: any-to-any", *(["license: other"] if released else []), "---"]
    lines += ["", f"# {title}", "", f"Reads text and pictures, answers in text and boxes, draws. {count:,} weights."]
    lines += ["", "```python", "import seedx", "", 'model = seedx.load("ORGANISATION/NAME")', "```", ""]
    if released:
        lines += [
            "Converted by `seedx convert` from the release; the weights are its own and come under its licences:",
            "",
        ]
        lines += ["| part | from | licence |", "|---|---|---|"]
        lines += [
            f"| {part} | [{source}](https://huggingface.co/{source}) | {terms} |" for part, source, terms in LICENCES
        ]
        lines += [""]
    return "\n".join([*lines, *(["## Scores", "", scores, ""] if scores else [])])


def push(
    model: Model, repository: str, *, private: bool = True, scores: str = "", dtype: torch.dtype | None = None
) -> str:
    """Upload a model with its card; returns the address of the commit.

    Args:
        repository: "organisation/name"; made if it is not there.
        dtype: precision to store; None: as the model has it.

    Raises:
        SeedxError: the hub refuses it.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        native.save(model, folder, dtype)
        (folder / "README.md").write_text(
            model_card(model, scores).replace("ORGANISATION/NAME", repository), encoding="utf-8"
        )
        try:
            api.create_repo(repository, private=private, exist_ok=True)
            made = api.upload_folder(repo_id=repository, folder_path=folder, commit_message="Model of seedx")
        except HfHubHTTPError as error:
            raise SeedxError(f"the hub refused {repository!r}: {str(error).splitlines()[0]}") from error
    return str(made.commit_url)

"""What clients send, as pydantic models: https://platform.openai.com/docs/api-reference and the field's extensions.

A field is one of three: honoured (declared here), without effect on the answer (`WITHOUT_EFFECT`), or refused by name;
one that says what is the case anyway (`n: 1`, `tools: []`, `store: false`) is never refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from seedx.inference.settings import Drawing
from seedx.serve.errors import refused

WITHOUT_EFFECT = (
    "user",
    "safety_identifier",
    "metadata",
    "prompt_cache_key",
    "prompt_cache_retention",
    "service_tier",
)
# Values that ask for nothing. A field of any other value that is not declared is refused.
NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "frequency_penalty": (0, 0.0),
    "presence_penalty": (0, 0.0),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "response_format": ({"type": "text"},),
    "store": (False,),
    "background": (False, "auto", "opaque"),
    "truncation": ("disabled",),
    "quality": ("auto", "standard"),
    "style": ("natural",),
    "moderation": ("auto", "low"),
    "input_fidelity": ("high", "low"),
    "include": ([],),
    "text": ({"format": {"type": "text"}},),
    "reasoning": ({},),
}


class Strict(BaseModel):
    """An object whose fields are all known, or say nothing. null is the same as leaving a field out."""

    model_config = ConfigDict(extra="forbid", strict=False, protected_namespaces=())

    ignored: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _known(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        names = {info.alias or name for name, info in cls.model_fields.items()}
        kept = {}
        for name, value in data.items():
            if name in names:
                if value is not None:
                    kept[name] = value
            elif value is not None and name not in cls.ignored and value not in NEUTRAL.get(name, ()):
                raise refused(str(name)[:80], "this server can't honour this field; leave it out")
        return kept


class Request(Strict):
    """What every request may have besides."""

    ignored = WITHOUT_EFFECT

    model: str = "seedx"


class Extensions(BaseModel):
    """How a reply and its images are made: fields that OpenAI's API does not have."""

    seed: int | None = None
    drawing: Drawing | None = None
    condition: bool | None = None
    steps: int | None = None
    num_inference_steps: int | None = None
    guidance: float | None = None
    guidance_scale: float | None = None
    image_guidance: float | None = None
    size: str | None = None
    sampler: str | None = None
    adapter: str | None = None


class ImageUrl(Strict):
    url: str
    detail: Literal["auto", "low", "high"] = "auto"


class TextPart(Strict):
    ignored = ("annotations", "logprobs")

    type: Literal["text", "input_text", "output_text"]
    text: str


class ImagePart(Strict):
    """Chat's form, and that of a reply's `images` when it is sent back."""

    type: Literal["image_url"]
    image_url: ImageUrl | str
    index: int = 0


class InputImagePart(Strict):
    """The form of /v1/responses."""

    type: Literal["input_image"]
    image_url: str
    detail: Literal["auto", "low", "high"] = "auto"


Part = Annotated[TextPart | ImagePart | InputImagePart, Field(discriminator="type")]


class BoxField(Strict):
    label: str = ""
    box: tuple[float, float, float, float]


class ChatMessage(Strict):
    """`images` and `boxes`: as a reply of this server had them."""

    ignored = ("name", "refusal", "audio", "annotations", "reasoning_content", "id", "status", "phase", "type")

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part] = ""
    images: list[ImagePart] = []
    boxes: list[BoxField] = []


class StreamOptions(Strict):
    ignored = ("include_obfuscation",)

    include_usage: bool = False


class ChatRequest(Request, Extensions):
    """POST /v1/chat/completions."""

    messages: list[ChatMessage] = Field(min_length=1)
    modalities: list[Literal["text", "image"]] | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    n: int = 1
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()


class GenerationRequest(Request, Extensions):
    """POST /v1/images/generations, and the fields of /v1/images/edits that are no pictures."""

    prompt: str
    n: int = 1
    response_format: Literal["b64_json", "url"] = "b64_json"
    output_format: Literal["png", "jpeg", "webp"] = "png"
    output_compression: int = Field(default=100, ge=0, le=100)
    stream: bool = False
    partial_images: int = Field(default=0, ge=0, le=3)
    temperature: float | None = None
    top_p: float | None = None


class ImageTool(Strict, Extensions):
    """The tool of /v1/responses. `action`: "generate" draws freely, "edit" keeps the detail of the last picture."""

    type: Literal["image_generation"]
    action: Literal["auto", "generate", "edit"] = "auto"
    partial_images: int = Field(default=0, ge=0, le=3)
    output_format: Literal["png", "jpeg", "webp"] = "png"
    output_compression: int = Field(default=100, ge=0, le=100)
    model: str = ""


class ImageCallItem(Strict):
    """An image of an earlier reply, sent back."""

    ignored = ("id", "status", "revised_prompt", "size", "quality", "background", "output_format", "action")

    type: Literal["image_generation_call"]
    result: str


class ResponsesRequest(Request, Extensions):
    """POST /v1/responses, without memory of its own."""

    input: str | list[ChatMessage | ImageCallItem]
    instructions: str | None = None
    tools: list[ImageTool] = []
    tool_choice: Literal["none", "auto", "required"] | ImageTool = "auto"
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stream: bool = False

"""Slides: a page of texts and pictures that a model writes as JSON, with loc tokens for places.

slide = Slide.parse(reply.content)     # repaired where the meaning is clear: slide.repairs
slide.problems()                       # what overlaps, sticks out, does not fit
slide.fitted().to_pptx("slide.pptx")   # to_image(), to_json()
"""

from __future__ import annotations

from seedx.slides.elements import Element, ImageElement, Paragraph, TextElement
from seedx.slides.slide import Slide

__all__ = ["Element", "ImageElement", "Paragraph", "Slide", "TextElement"]

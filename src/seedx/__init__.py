"""SEED-X: one model that reads text and images, answers in text and boxes, draws and edits."""

__version__ = "0.1.0"

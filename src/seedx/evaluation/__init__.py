"""The field's own benchmarks: a model for lmms-eval, and pictures in the layouts that other scorers read."""

"""Benchmarks of the field: a model for lmms-eval, and pictures in the layouts that GenEval, ImgEdit and GEdit score."""

"""The verbs of the command line. Each signature is a verb's options, each docstring its help (see `cli.py`).

Everything heavy is imported inside, so that help is instant.
"""

"""The verbs of the command line, a file for each; the table of them is in `cli.py`.

A verb is a function: its signature is its options, its docstring its help. Everything heavy is imported inside it, so
that help is instant. What several verbs share is in `options.py` (which model answers) and `output.py` (results).
"""

"""The paper's claims, rerun in miniature: `python -m seedx_stickers.claims`, or `make claims`.

A claim (`claim.py`, the eight of them in `rows.py` and `more_rows.py`) is a list of variants: where each begins, which
recipes of `recipes/claims` train it, what is measured of it, and which variant should be the better. `runner.py` makes
one result of each variant and seed, a file; `page.py` writes docs/claims.md from the files that are there.
"""

"""The paper's claims, tested in miniature: `python -m seedx_stickers.claims`, or `make claims`.

claim.py              what a claim is: variants, measurements, comparisons
definitions.py        the eight claims
init_variant.py       the initial model of a variant, and loading it
deep_resampler.py     a resampler that only one claim needs, with its training stage
reading.py, drawing.py, redrawing.py    what is measured of a variant
runner.py             trains and measures every variant for every seed; results.py stores the results
verdict.py, report.py    the verdicts, and docs/results/claims.md
estimate.py           the time that all of it takes
"""

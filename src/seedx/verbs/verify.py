"""`seedx verify`."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

from seedx.checkpoint.placement import Dtype
from seedx.errors import SeedxError
from seedx.verbs.output import file_errors, print_json


def verify(
    folder: Path | None = None,
    /,
    *,
    model: str | None = None,
    device: str = "cpu",
    dtype: Dtype | None = None,
    steps: int | None = None,
    report: Path | None = None,
    json: bool = False,
) -> int:
    """Check this installation against golden cases, or a converted model with what can be checked of it.

    Args:
        folder: folder of the cases, NAME.json and NAME.safetensors: numbers that the release's own code computed.
        model: instead of cases, check a model ("tiny", a folder, or a hub id): fingerprints of its parts, a fixed
            picture through every module, one answer and one drawing.
        device: with --model, where it runs: cpu, cuda.
        dtype: with --model, precision of the weights; by default float32 on the CPU, bfloat16 elsewhere.
        steps: with --model, denoising steps of the drawing; by default those of the model.
        report: with --model, the file to write all numbers to, to keep or to send.
        json: print one object instead of a table.
    """
    if (folder is None) == (model is None):
        raise SeedxError("give a folder of golden cases, or a model: seedx verify FOLDER, seedx verify --model MODEL")
    if folder is None:
        assert model is not None
        return _model(model, device, dtype, steps, report, json)
    return _cases(folder, json)


def _cases(folder: Path, json: bool) -> int:
    from seedx import verify as golden
    from seedx.terminal import print_table

    results = golden.verify(folder)
    passed = sum(result.passed for result in results)
    if json:
        cases = [dataclasses.asdict(r) | {"error": r.error if math.isfinite(r.error) else None} for r in results]
        print_json({"tolerance": golden.TOLERANCE, "passed": passed == len(results), "cases": cases})
    else:
        print_table(golden.table(results))
        print(f"{passed} of {len(results)} pass at {golden.TOLERANCE:g}")
    return 0 if passed == len(results) else 1


def _model(model: str, device: str, dtype: Dtype | None, steps: int | None, report: Path | None, json: bool) -> int:
    from seedx.terminal import print_table
    from seedx.verify import model_report

    checks, facts = model_report.report(model, device, steps, dtype)
    if report:
        with file_errors():
            model_report.write(facts, report)
    passed = sum(check.passed for check in checks)
    if json:
        print_json(facts)
    else:
        print_table(model_report.table(checks))
        memory = facts["machine"]["peak_memory"] / 1e9
        where = f"; {report} has all numbers" if report else "; --report FILE writes all numbers"
        print(f"{passed} of {len(checks)} pass; at most {memory:.1f} GB of memory{where}")
    return 0 if passed == len(checks) else 1

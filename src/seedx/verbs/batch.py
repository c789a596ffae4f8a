"""`seedx batch`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from seedx.bulk.job import Form, Job, PictureForm, RayOptions, Runner
from seedx.bulk.tasks import Columns, TaskName
from seedx.inference.settings import Drawing, Settings
from seedx.verbs.options import SETTINGS, TINY, Source
from seedx.verbs.output import file_errors, print_json

COLUMNS = Columns()
RAY = RayOptions()


def batch(
    task: TaskName,
    input: str,
    output: Path,
    /,
    *,
    prompt: str | None = None,
    columns: Columns = COLUMNS,
    batch_size: int = 32,
    format: Form = "jsonl",
    pictures: PictureForm = "files",
    drawing: Drawing = "auto",
    condition: bool = False,
    runner: Runner = "local",
    ray: RayOptions = RAY,
    json: bool = False,
    source: Source = TINY,
    settings: Settings = SETTINGS,
) -> None:
    """Caption, ask about, locate in, draw or edit many inputs; a run that was killed resumes by the same command.

    Args:
        task: what is asked of each input.
        input: a folder of pictures, or files by name, glob or URL: pictures, .jsonl, .json, .parquet, .tar.
        output: folder of the rows: id, source, answer, boxes, picture, error, seconds.
        prompt: the text of inputs that have none: the question, the phrase to locate, the instruction.
        batch_size: inputs that are answered together.
        format: of the rows.
        pictures: drawn pictures as files, or in a tar beside each part.
        drawing: of chat. auto: the model decides; force: at least one image; now: an image first; forbid: none.
        condition: edit also by a model that was not trained to edit.
        runner: local: this process; ray: actors of Ray Data, here or on the cluster that RAY_ADDRESS names.
        json: print one object of rows, errors, new rows and seconds.
    """
    from seedx.bulk.command import run

    job = Job(
        task,
        input,
        output,
        prompt,
        source.model,
        columns,
        batch_size,
        drawing,
        condition or None,
        dataclasses.asdict(settings),
        dict(source.options()),
        format,
        pictures,
    )
    with file_errors():
        done = run(job, runner, ray)
    if json:
        print_json(dataclasses.asdict(done))
        return
    rate = f", {done.new / done.seconds:.1f} a second" if done.new and done.seconds else ""
    print(f"{output}: {done.rows:,} rows, {done.errors:,} with an error; {done.new:,} of them in this run{rate}")

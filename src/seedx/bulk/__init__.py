"""Many inputs at once: read as a stream, answered in batches, written so that a killed run resumes.

    tasks      what is asked of each input, and the columns that it is read from
    inputs     a folder, glob, JSONL, Parquet, tar or object store -> a stream of inputs
    rows       what goes into a worker and what comes out
    worker     a plain callable: columns in, columns out; the same here, in Ray Data, in anyone's pipeline
    results    rows on disk, each once, whatever kills the process
    local      one process: reading and decoding beside the model
    on_ray     the same worker as actors of Ray Data

`job.py` is what a run is asked to do, `command.py` checks it, runs it and resumes it.
"""

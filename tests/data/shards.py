"""Small sources of all kinds, written as other people's tools write them."""

import io
import json
import tarfile


def add(tar, name, content, **attributes):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in attributes.items():
        setattr(member, key, value)
    tar.addfile(member, io.BytesIO(content))


def write_tar(path, count, *, prefix="", format=tarfile.USTAR_FORMAT, **attributes):
    """`count` samples of a "picture" and its JSON; sample i has 100 * i bytes of picture."""
    with tarfile.open(path, "w", format=format) as tar:
        for i in range(count):
            add(tar, f"{prefix}{i:06d}.jpg", b"\xff" * (100 * i), **attributes)
            add(tar, f"{prefix}{i:06d}.json", json.dumps({"number": i}).encode(), **attributes)
    return str(path)


def write_jsonl(path, count):
    path.write_text("".join(json.dumps({"number": i, "text": "x" * (i * 7 % 50)}) + "\n" for i in range(count)))
    return str(path)


def write_parquet(path, count, group):
    import pyarrow
    from pyarrow import parquet

    rows = [{"number": i, "image": {"bytes": bytes([i % 256]) * 50, "path": None}} for i in range(count)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=group)
    return str(path)


def number(item):
    """Which of the samples above an item is."""
    return item.fields["json"]["number"] if "json" in item.fields else item.fields["number"]


def items(units):
    return [item for unit in units for _, item in unit.read()]

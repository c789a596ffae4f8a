"""What the task `stickers` asks of Python: whether an answer is right."""

from seedx_stickers.tasks import normalise


def process_results(doc: dict[str, str], results: list[str]) -> dict[str, float]:
    return {"accuracy": float(normalise(results[0]) == normalise(doc["answer"]))}

"""The server under load: is each answer the one that the library gives alone, is any lost, how fast is it?

    python benchmarks/serve.py --clients 32 --seconds 600 [--mix reading|all] [--json]

starts `seedx serve` in a process of its own, and asks it with so many clients at once: questions and boxes, and in the
mix "all" also drawings, edits, requests that are aborted on the way, and bad ones. Every answer is compared with the
one that this process got alone before. First one client asks alone for a while, so that the throughput of both is of
one run.

    lost        requests without an answer, or with an error that is not theirs
    wrong       answers that are not those alone: texts and boxes equal, pixels within one level
    ratio       answers a second, all clients over one
    memory_mb   of the server: before, at each sixth of the time, after
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import PIL.Image

import seedx
from seedx.inference.pipeline import Pipeline
from seedx_stickers import tasks
from seedx_stickers.bundled import tiny as tiny_folder
from seedx_stickers.scenes import render

CHAT, IMAGES, EDITS = "/v1/chat/completions", "/v1/images/generations", "/v1/images/edits"
WARM_UP = 5.0  # seconds
READING = ("question", "ground")
ALL = {"question": 8, "ground": 4, "draw": 3, "edit": 2, "abort": 2, "bad": 1}  # shares


@dataclass
class Case:
    """A request and its right answer: text, boxes and picture."""

    kind: str
    path: str
    body: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)
    text: str = ""
    boxes: list[list[float]] = field(default_factory=list)
    image: PIL.Image.Image | None = None


@dataclass
class Result:
    kind: str
    seconds: float
    first: float | None = None  # to the first text
    picture: float | None = None  # to the picture
    lost: str = ""
    wrong: str = ""


def png(image: PIL.Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def chat_body(text: str, picture: PIL.Image.Image | None, **extra: object) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": text}]
    if picture is not None:
        url = f"data:image/png;base64,{base64.b64encode(png(picture)).decode()}"
        content.insert(0, {"type": "image_url", "image_url": {"url": url}})
    return {"messages": [{"role": "user", "content": content}], "stream": True, **extra}


def cases(model: Pipeline, count: int, seed: int) -> dict[str, list[Case]]:
    """`count` requests of each kind, with the answers that the library gives to each alone."""
    rng, found = random.Random(seed), dict[str, list[Case]]()
    words = model.engine.variant.ground.text
    for number in range(count):
        example = tasks.sample(rng, "question")
        picture, text = render(example.scenes[0]), str(example.messages[0].content[1].text)  # type: ignore[union-attr]
        for kind, said in (("question", text), ("ground", words.format(it="all things"))):
            reply = model.chat(said, [picture], drawing="forbid")
            boxes = [[round(side, 4) for side in box.box] for box in reply.boxes]
            body = chat_body(said, picture, drawing="forbid")
            found.setdefault(kind, []).append(Case(kind, CHAT, body, text=reply.text, boxes=boxes))
        prompt = f"draw a {rng.choice(('cat', 'star', 'car', 'tree'))} and a {rng.choice(('dog', 'heart', 'boat'))}"
        drawn = model.chat(prompt, drawing="force", seed=number)
        body = chat_body(prompt, None, drawing="force", seed=number)
        found.setdefault("draw", []).append(Case("draw", CHAT, body, text=drawn.text, image=drawn.images[0]))
        edited = model.edit(picture, "make it night", seed=number)
        fields = {"prompt": "make it night", "seed": str(number)}
        found.setdefault("edit", []).append(Case("edit", EDITS, fields, {"image": png(picture)}, image=edited))
    found["abort"] = [Case("abort", case.path, case.body) for case in found["draw"] + found["question"]]
    found["bad"] = [
        Case("bad", CHAT, {"messages": []}),
        Case("bad", CHAT, chat_body("hello", None, tools=[{"type": "function"}])),
        Case("bad", IMAGES, {"prompt": "a cat", "size": "1x"}),
    ]
    return found


def ask(client: httpx.Client, case: Case, rng: random.Random) -> Result:
    """Send one request, and compare its answer."""
    start = time.monotonic()
    result = Result(case.kind, 0)
    try:
        if case.kind == "bad":
            response = client.post(case.path, json=case.body)
            if response.status_code != 400 or "error" not in response.json():
                result.wrong = f"{response.status_code} for a bad request"
        elif case.files:
            response = client.post(case.path, data=case.body, files=case.files)
            response.raise_for_status()
            result.picture = time.monotonic() - start
            result.wrong = unlike(response.json()["data"][0]["b64_json"], case.image)
        else:
            stream(client, case, rng, result, start)
    except (httpx.HTTPError, KeyError, ValueError) as error:
        result.lost = repr(error)[:200]
    result.seconds = time.monotonic() - start
    return result


def stream(client: httpx.Client, case: Case, rng: random.Random, result: Result, start: float) -> None:
    text, boxes, image, ended = "", list[list[float]](), "", False
    leave = rng.randrange(1, 6) if case.kind == "abort" else None
    with client.stream("POST", case.path, json=case.body) as response:
        response.raise_for_status()
        for number, line in enumerate(line for line in response.iter_lines() if line.startswith("data: ")):
            if number == leave:
                return
            ended = line == "data: [DONE]"
            choices = [] if ended else json.loads(line[6:])["choices"]
            for delta in (choice["delta"] for choice in choices):
                if delta.get("content") and result.first is None:
                    result.first = time.monotonic() - start
                text += delta.get("content") or ""
                boxes += [each["box"] for each in delta.get("boxes", [])]
                if delta.get("images"):
                    image, result.picture = delta["images"][0]["image_url"]["url"], time.monotonic() - start
    if case.kind == "abort":
        return
    if not ended:
        result.lost = "the stream broke off"
    elif text != case.text or boxes != case.boxes:
        result.wrong = f"{text!r} {boxes} in place of {case.text!r} {case.boxes}"[:300]
    elif case.image is not None:
        result.wrong = unlike(image, case.image)


def unlike(encoded: str, image: PIL.Image.Image | None) -> str:
    """What is wrong with a picture in base64."""
    got = PIL.Image.open(io.BytesIO(base64.b64decode(encoded.split(",")[-1]))).convert("RGB")
    if image is None or got.size != image.size:
        return f"a picture of {got.size}"
    worst = int(np.abs(np.asarray(got, int) - np.asarray(image.convert("RGB"), int)).max())
    return f"a pixel is off by {worst}" if worst > 1 else ""


def load(url: str, known: dict[str, list[Case]], shares: dict[str, int], clients: int, seconds: float) -> list[Result]:
    """So many clients, each of which asks one request after another, for so long."""
    results: list[Result] = []
    end = time.monotonic() + seconds
    kinds, weights = list(shares), list(shares.values())

    def run(number: int) -> None:
        rng = random.Random(number)
        with httpx.Client(base_url=url, timeout=600) as client:
            while time.monotonic() < end:
                kind = rng.choices(kinds, weights)[0]
                results.append(ask(client, rng.choice(known[kind]), rng))

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def served(arguments: list[str]) -> Iterator[tuple[str, int]]:
    """The address and process of a server that ends with this."""
    command = [sys.executable, "-m", "seedx.cli", "serve", "--port", "0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        match = re.search(r"http://[\d.]+:\d+", process.stdout.readline())
        if match is None:
            raise SystemExit("the server did not start")
        yield match[0], process.pid
    finally:
        process.terminate()
        process.wait(60)


def resident(pid: int) -> float:
    """Megabytes of memory that a process has (Linux)."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


def sample(pid: int, every: float, ended: threading.Event, into: list[float]) -> None:
    while not ended.wait(every):
        into.append(resident(pid))


def quantiles(values: list[float]) -> dict[str, float]:
    if len(values) < 2:
        return {}
    cuts = statistics.quantiles(values, n=20, method="inclusive")
    return {"p50": round(cuts[9], 3), "p95": round(cuts[18], 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--mix", choices=("all", "reading"), default="all")
    parser.add_argument("--count", type=int, default=12, help="requests of each kind")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("server", nargs="*", help="options of seedx serve, after --")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server ends with it
    known = cases(seedx.load(tiny_folder()), options.count, seed=11)
    shares = ALL if options.mix == "all" else {kind: ALL[kind] for kind in READING}
    alone_seconds = max(20.0, options.seconds / 10)
    for url, pid in served(options.server):
        load(url, known, shares, 4, WARM_UP)
        alone = load(url, known, shares, 1, alone_seconds)
        memory, ended = [resident(pid)], threading.Event()
        watch = threading.Thread(target=sample, args=(pid, options.seconds / 6, ended, memory))
        watch.start()
        started = time.monotonic()
        results = load(url, known, shares, options.clients, options.seconds)
        seconds = time.monotonic() - started
        ended.set()
        watch.join()
        memory.append(resident(pid))
    rate_alone = len(alone) / sum(result.seconds for result in alone)
    everything = alone + results
    report = {
        "clients": options.clients,
        "mix": options.mix,
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "requests": len(results),
        "lost": sum(bool(result.lost) for result in everything),
        "wrong": sum(bool(result.wrong) for result in everything),
        "throughput_alone": round(rate_alone, 2),
        "throughput": round(len(results) / seconds, 2),
        "throughput_ratio": round(len(results) / seconds / rate_alone, 2),
        "first_text": quantiles([result.first for result in results if result.first is not None]),
        "picture": quantiles([result.picture for result in results if result.picture is not None]),
        "answer": quantiles([result.seconds for result in results if result.kind in READING]),
        "first_text_alone": quantiles([result.first for result in alone if result.first is not None]),
        "memory_mb": [round(each) for each in memory],
        "examples": [result.lost or result.wrong for result in everything if result.lost or result.wrong][:5],
    }
    print(json.dumps(report, indent=None if options.json else 2))
    sys.exit(1 if report["lost"] or report["wrong"] else 0)


if __name__ == "__main__":
    main()

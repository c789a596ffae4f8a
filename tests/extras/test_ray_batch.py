"""`seedx batch` by Ray Data, and its worker in a pipeline of one's own."""

import json
import random

import pytest

from seedx.bulk import on_ray
from seedx.bulk.command import run
from seedx.bulk.job import Job, RayOptions
from seedx.bulk.worker import Worker
from seedx.cluster import start_ray
from seedx.errors import SeedxWarning
from seedx_stickers import scenes

COUNT = 6


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("photos"), random.Random(0)
    for number in range(COUNT):
        scenes.sample(rng, count=2, unseen=False).render().save(folder / f"{number}.png")
    (folder / "bad.png").write_bytes(b"no picture")
    return folder


def rows_of(folder):
    rows = [json.loads(line) for file in sorted((folder / "rows").iterdir()) for line in file.open()]
    assert len({row["id"] for row in rows}) == len(rows)
    return {row["id"]: (row["answer"], row["boxes"], bool(row["error"])) for row in rows}


def test_ray_gives_the_rows_of_one_process_and_resumes_them(photos, tmp_path):
    here = Job("ground", str(photos), tmp_path / "here", "all things")
    assert run(here).rows == COUNT + 1
    by_ray = Job("ground", str(photos), tmp_path / "ray", "all things", batch_size=2)
    (photos / "5.png").rename(tmp_path / "5.png")
    first = run(by_ray, "ray", RayOptions(2, 0.5))
    (tmp_path / "5.png").rename(photos / "5.png")
    assert (first.rows, first.errors) == (COUNT, 1)
    assert run(by_ray).new == 1  # without Ray
    assert rows_of(tmp_path / "ray") == rows_of(tmp_path / "here")


def test_the_worker_runs_in_anyones_pipeline(photos):
    ray = start_ray(1)
    try:
        paths = [{"image": str(photos / name), "name": name} for name in ("0.png", "1.png", "bad.png")]
        answered = ray.data.from_items(paths).map_batches(
            Worker,
            fn_constructor_kwargs={"task": "ground", "prompt": "all things"},
            batch_size=2,
            compute=ray.data.ActorPoolStrategy(size=1),
        )
        rows = {row["name"]: row for row in answered.take_all()}
    finally:
        ray.shutdown()
    expected = Worker("ground", prompt="all things")({"image": [str(photos / "0.png")]})
    assert rows["0.png"]["boxes"] == expected["boxes"][0] and expected["boxes"][0]
    assert "is not a picture" in rows["bad.png"]["error"] and rows["1.png"]["error"] is None


def test_a_cluster_whose_cpus_are_all_taken_by_actors_is_warned_of():
    with pytest.warns(SeedxWarning, match="has 2 CPUs, and 3 are needed: 2 for 2 actors, one to read"):
        on_ray._warn_of_cpus(2, RayOptions(2, 1))

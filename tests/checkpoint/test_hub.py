"""Models on the hub, against a local stand-in of its API: the requests and their order."""

from __future__ import annotations

import dataclasses
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub
import huggingface_hub.constants
import pytest

from seedx.checkpoint.hub import Hub, locate
from seedx.checkpoint.model_card import model_card
from seedx.errors import SeedxError
from seedx.inference import pipeline

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class StandIn(ThreadingHTTPServer):
    """Serves repositories "org/NAME" of files, at any revision; `asked` has the paths of files that were fetched."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_HEAD(self) -> None:
        self._serve(body=False)

    def do_GET(self) -> None:
        self._serve(body=True)

    def _serve(self, body: bool) -> None:
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"] and (files := self._files(parts[2:4])) is not None:
            if parts[4:5] == ["tree"]:
                tree = [{"type": "file", "path": k, "size": len(v), "oid": COMMIT} for k, v in files.items()]
                return self._send(json.dumps(tree).encode(), body)
            siblings = [{"rfilename": name} for name in files]
            values = {"id": "/".join(parts[2:4]), "sha": COMMIT, "siblings": siblings, "private": False}
            return self._send(json.dumps(values).encode(), body)
        files = self._files(parts[:2])
        if files is None:
            return self._missing("RepoNotFound")
        name = "/".join(parts[4:])
        if parts[2:3] != ["resolve"] or name not in files:
            return self._missing("EntryNotFound")
        if body:
            self.server.asked.append(f"{parts[3]}/{name}")
        self._send(files[name], body)

    def _files(self, repository: list[str]) -> dict[str, bytes] | None:
        return self.server.repositories.get("/".join(repository))

    def _send(self, content: bytes, body: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hash(content)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def _missing(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    stand_in = StandIn()
    thread = threading.Thread(target=stand_in.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{stand_in.server_address[1]}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
    monkeypatch.setattr(
        huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
    )
    yield stand_in
    stand_in.shutdown()
    stand_in.server_close()


def test_config_is_fetched_first_and_only_what_a_model_needs(server: StandIn, tmp_path: Path) -> None:
    server.repositories["org/model"] = {
        "README.md": b"hello",
        "config.json": b"{}",
        "vision.safetensors": b"weights",
        "tokenizer.json": b"{}",
        "evil.py": b"print('run')",
    }
    folder = locate("org/model", Hub("v1", tmp_path))
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "tokenizer.json", "vision.safetensors"]
    assert server.asked[0] == "v1/config.json" and folder.is_relative_to(tmp_path)
    server.asked.clear()
    assert locate("org/model", Hub("v1", tmp_path, local_files_only=True)) == folder and server.asked == []
    with pytest.raises(SeedxError, match="'org/model' is no folder here, and not in the cache"):
        locate("org/model", Hub("v1", tmp_path / "empty", local_files_only=True))


def test_another_librarys_model_is_refused_before_its_weights(server: StandIn, tmp_path: Path) -> None:
    server.repositories["org/llama"] = {"config.json": b'{"model_type": "llama"}', "model.safetensors": b"weights"}
    server.repositories["org/data"] = {"README.md": b"hello"}
    with pytest.raises(SeedxError, match=r"no model of this library.*unknown setting 'model_type'"):
        locate("org/llama", Hub(cache_dir=tmp_path))
    assert not [path for path in server.asked if path.endswith(".safetensors")]
    with pytest.raises(SeedxError, match=r"'org/data' on the hub is no model of this library: it has no config\.json"):
        locate("org/data", Hub(cache_dir=tmp_path))
    with pytest.raises(SeedxError, match="no model of that name could be fetched"):
        locate("org/nothing", Hub(cache_dir=tmp_path))


def test_the_releases_own_repositories_are_recognised(server: StandIn, tmp_path: Path) -> None:
    with pytest.raises(SeedxError, match=r"hf download AILab-CVC/seed-x-17b-edit .*seedx convert pretrained OUT"):
        locate("AILab-CVC/seed-x-17b-edit", Hub(cache_dir=tmp_path))
    assert server.asked == []


def test_a_model_is_pushed_with_its_card(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[tuple[str, str]] = []

    def upload(_: object, repo_id: str, folder_path: Path, commit_message: str) -> object:
        calls.append(("upload", repo_id))
        shutil.copytree(folder_path, tmp_path / "uploaded")
        return type("Commit", (), {"commit_url": "https://hub/commit"})()

    def create(_: object, repository: str, *, private: bool, exist_ok: bool) -> None:
        calls.append(("create", f"{repository} private={private}"))

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", create)
    monkeypatch.setattr(huggingface_hub.HfApi, "upload_folder", upload)
    model = pipeline.load(tiny_folder)
    assert model.push_to_hub("org/mine", scores="| POPE | 84.1 |") == "https://hub/commit"
    assert calls == [("create", "org/mine private=True"), ("upload", "org/mine")]
    card = (tmp_path / "uploaded" / "README.md").read_text()
    assert 'seedx.load("org/mine")' in card and "| POPE | 84.1 |" in card and "Llama" not in card
    assert pipeline.load(tmp_path / "uploaded").model.config == model.model.config
    released = dataclasses.replace(model.model.config, variant="seed_x_i")
    assert "meta-llama/Llama-2-13b-chat-hf" in model_card(dataclasses.replace(model.model, config=released))

"""What frozen parts make is computed once, by all ranks together, and written by one of them."""

import torch
from processes import free_port
from safetensors.torch import load_file
from toy import bank_of_one_rank, together

from seedx_stickers.training.bank import CHUNK, kept

ROWS = 3 * CHUNK - 7


def test_one_process_makes_all_rows_once(tmp_path):
    asked = []

    def made(rows):
        asked.append(rows)
        return {"row": torch.arange(rows.start, rows.stop)}

    first, again = (kept(tmp_path / "rows.safetensors", "key", ROWS, made) for _ in range(2))
    assert torch.equal(first["row"], torch.arange(ROWS)) and torch.equal(again["row"], first["row"])
    assert asked == [range(ROWS)]
    kept(tmp_path / "rows.safetensors", "of another model", ROWS, made)
    assert len(asked) == 2


def test_two_ranks_make_a_part_each_and_have_the_whole(tmp_path):
    assert together(2, free_port(), tmp_path, target=bank_of_one_rank) == [0, 0]
    said = [(tmp_path / f"rank-{rank}.txt").read_text() for rank in range(2)]
    assert said == [str([(0, CHUNK)] * 2), str([(CHUNK, ROWS)] * 2)]  # the second time it was read
    assert [file.name for file in (tmp_path / "bank").iterdir()] == ["squares.safetensors"]
    assert load_file(tmp_path / "bank/squares.safetensors")["squares"][-1] == (ROWS - 1) ** 2

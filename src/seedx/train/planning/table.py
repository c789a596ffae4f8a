"""A plan as tables in the terminal."""

from __future__ import annotations

import dataclasses
import io

from rich.console import Console, Group
from rich.table import Table

from seedx.train.planning.clusters import GIB
from seedx.train.planning.costs import Setting
from seedx.train.planning.plan import Choice, Plan

T = 1e12
SHOWN = 0.0005  # share of the total that is worth a line
WIDTH = 120  # columns, where the terminal's width is unknown


def table(plan: Plan, samples: float | None = None, everything: bool = False) -> str:
    """The plan as text.

    Args:
        samples: show the days for this number; None: for the recipe's steps.
        everything: show settings that don't fit, too.
    """
    console = Console(file=io.StringIO(), width=WIDTH, color_system=None)
    parts = (_head(plan), _flops(plan), _memory(plan.choices[0]), _settings(plan, samples, everything))
    with console.capture() as captured:
        for part in parts:
            console.print(part, highlight=False, markup=False)
            console.print()
    return "\n".join(line.rstrip() for line in captured.get().strip().splitlines())


def _head(plan: Plan) -> str:
    recipe, cluster, sizes, sample = plan.recipe, plan.cluster, plan.sizes, plan.sample
    nodes = -(-plan.gpus // cluster.per_node)
    lines = [
        f"{recipe.name}: stage {recipe.stage} of {recipe.config} on {plan.gpus} x {cluster.name} ({nodes} nodes)",
        f"trained: {sizes.trained:,} of {sizes.total:,} sharded parameters",
        "a sample: one picture",
    ]
    if recipe.stage == "language":
        lines[-1] = (
            f"a sample: {sample.tokens:.0f} tokens ({sample.supervised:.0f} supervised), {sample.tiles:.1f} tiles "
            f"read, {sample.drawn:.2f} images drawn; {plan.samples_per_row:.1f} samples in a row of "
            f"{recipe.max_seq_len:,}"
        )
    return "\n".join(lines)


def _flops(plan: Plan) -> Group:
    total = sum(plan.flops.values())
    rows = [(part, f"{flops / T:.3f}", f"{flops / total:.1%}", "") for part, flops in plan.flops.items()]
    shown = [row for row, flops in zip(rows, plan.flops.values(), strict=True) if flops >= SHOWN * total]
    repeated = (f"{plan.repeated / T:.3f}", f"{plan.repeated / total:.1%}", "with activation checkpointing")
    return _table(
        "TFLOPs of a sample, forward and backward",
        ("part", "TFLOPs", "share", ""),
        [*shown, ("total", f"{total / T:.3f}", "", ""), ("repeated", *repeated)],
        left=(0, 3),
    )


def _memory(own: Choice) -> Group:
    sizes = {field.name: getattr(own.memory, field.name) for field in dataclasses.fields(own.memory)}
    rows = [(name, f"{size / GIB:.2f}") for name, size in sizes.items() if size]
    total = ("total", f"{own.memory.total / GIB:.2f}")
    title = f"memory of a GPU by the recipe ({_words(own.setting)})"
    return _table(title, ("use", "GiB"), [*rows, total])


def _settings(plan: Plan, samples: float | None, everything: bool) -> Group:
    shown = [choice for choice in plan.choices if everything or choice.fits or choice is plan.choices[0]]
    work = (
        f"{samples:,.0f} samples" if samples else f"{plan.recipe.steps:,} steps of {plan.recipe.global_batch_size} rows"
    )
    columns = ("", "micro", "replicas", "checkpoint", "GiB", "fits", "compute s", "traffic s")
    found = _table(
        f"days for {work}; compute and traffic of one micro-batch; * the recipe's own setting",
        (*columns, "step s", "samples/s", "MFU", "days"),
        [_row(plan, choice, samples) for choice in shown],
        left=(0, 3),
    )
    hidden = len(plan.choices) - len(shown)
    return Group(found, *([f"({hidden} settings that do not fit are not shown)"] if hidden else []))


def _row(plan: Plan, choice: Choice, samples: float | None) -> tuple[str, ...]:
    setting = choice.setting
    return (
        "*" if choice is plan.choices[0] else "",
        str(setting.micro_batch_size),
        str(setting.replicas),
        _yes(setting.activation_checkpointing),
        f"{choice.memory.total / GIB:.1f}",
        _yes(choice.fits),
        f"{choice.compute:.3f}",
        f"{choice.traffic.seconds:.3f}",
        f"{choice.step:.2f}",
        f"{choice.samples:.1f}",
        f"{choice.mfu:.0%}",
        f"{plan.days(choice, samples):.2f}",
    )


def _table(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]], left: tuple[int, ...] = (0,)) -> Group:
    """Numbers are on the right, the columns `left` on the left."""
    made = Table(box=None, padding=(0, 0, 0, 2))
    for index, name in enumerate(columns):
        made.add_column(name, justify="left" if index in left else "right", no_wrap=True)
    for row in rows:
        made.add_row(*row)
    return Group(title, made)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _words(setting: Setting) -> str:
    checkpointing = "with" if setting.activation_checkpointing else "without"
    size, replicas = setting.micro_batch_size, setting.replicas
    return f"micro-batches of {size}, replicas = {replicas}, {checkpointing} activation checkpointing"

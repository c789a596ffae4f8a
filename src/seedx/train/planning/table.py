"""A plan as tables in the terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable

from seedx.terminal import new_table, table_text
from seedx.train.planning.clusters import GIB
from seedx.train.planning.costs import Setting
from seedx.train.planning.plan import Choice, Plan

T = 1e12
SHOWN = 0.0005  # share of the total that is worth a line


def table(plan: Plan, samples: float | None = None, everything: bool = False) -> str:
    """The plan as text.

    Args:
        samples: show the days for this number; None: for the recipe's steps.
        everything: show settings that don't fit, too.
    """
    parts = (_head(plan), _flops(plan), _memory(plan.choices[0]), _settings(plan, samples, everything))
    return "\n\n".join(part.rstrip() for part in parts)


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


def _flops(plan: Plan) -> str:
    total = sum(plan.flops.values())
    rows = [(part, f"{flops / T:.3f}", f"{flops / total:.1%}", "") for part, flops in plan.flops.items()]
    shown = [row for row, flops in zip(rows, plan.flops.values(), strict=True) if flops >= SHOWN * total]
    repeated = (f"{plan.repeated / T:.3f}", f"{plan.repeated / total:.1%}", "with activation checkpointing")
    return _table(
        "TFLOPs of a sample, forward and backward",
        ("part", "TFLOPs", "share", ""),
        [*shown, ("total", f"{total / T:.3f}", "", ""), ("repeated", *repeated)],
        words=("",),
    )


def _memory(own: Choice) -> str:
    sizes = {field.name: getattr(own.memory, field.name) for field in dataclasses.fields(own.memory)}
    rows = [(name, f"{size / GIB:.2f}") for name, size in sizes.items() if size and name != "host"]
    host = [("in the machine's memory", f"{sizes['host'] / GIB:.2f}")] if sizes["host"] else []
    total = ("total", f"{own.memory.total / GIB:.2f}")
    title = f"memory of a GPU by the recipe ({_words(own.setting)})"
    return _table(title, ("use", "GiB"), [*rows, total, *host])


def _settings(plan: Plan, samples: float | None, everything: bool) -> str:
    shown = [choice for choice in plan.choices if everything or choice.fits or choice is plan.choices[0]]
    work = (
        f"{samples:,.0f} samples" if samples else f"{plan.recipe.steps:,} steps of {plan.recipe.global_batch_size} rows"
    )
    columns = ("", "micro", "replicas", "checkpoint", "GiB", "fits", "compute s", "traffic s")
    found = _table(
        f"days for {work}; compute and traffic of one micro-batch; * the recipe's own setting",
        (*columns, "step s", "samples/s", "MFU", "days"),
        [_row(plan, choice, samples) for choice in shown],
        words=("checkpoint",),
    )
    hidden = len(plan.choices) - len(shown)
    return f"{found}({hidden} settings that do not fit are not shown)" if hidden else found


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


def _table(title: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]], words: Collection[str] = ()) -> str:
    table = new_table(*columns, words=words)
    for row in rows:
        table.add_row(*row)
    return f"{title}\n{table_text(table)}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _words(setting: Setting) -> str:
    checkpointing = "with" if setting.activation_checkpointing else "without"
    size, replicas = setting.micro_batch_size, setting.replicas
    return f"micro-batches of {size}, replicas = {replicas}, {checkpointing} activation checkpointing"

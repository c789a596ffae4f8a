"""A plan as text."""

from __future__ import annotations

from seedx.train.planning.clusters import GIB
from seedx.train.planning.plan import Choice, Plan

T = 1e12
SHOWN = 0.0005  # share of the whole that is worth a line


def table(plan: Plan, samples: float | None = None, everything: bool = False) -> str:
    """The plan for people.

    Args:
        samples: days are for so many; None: for the recipe's steps.
        everything: settings that don't fit, too.
    """
    own = plan.choices[0]
    return "\n".join(
        [
            *_head(plan),
            "",
            *_flops(plan),
            "",
            *_memory(own),
            "",
            *_settings(plan, samples, everything),
        ]
    )


def _head(plan: Plan) -> list[str]:
    recipe, cluster, of, sample = plan.recipe, plan.cluster, plan.sizes, plan.sample
    nodes = -(-plan.gpus // cluster.per_node)
    lines = [
        f"{recipe.name}: stage {recipe.stage} of {recipe.config} on {plan.gpus} x {cluster.name} ({nodes} nodes)",
        f"trained: {of.trained:,} of {of.total:,} sharded parameters",
    ]
    if recipe.stage != "language":
        return [*lines, "a sample: one picture"]
    return [
        *lines,
        f"a sample: {sample.tokens:.0f} tokens ({sample.learned:.0f} learned), {sample.tiles:.1f} tiles read, "
        f"{sample.drawn:.2f} images drawn; {plan.samples_per_row:.1f} samples in a row of {recipe.max_seq_len:,}",
    ]


def _flops(plan: Plan) -> list[str]:
    total = sum(plan.flops.values())
    parts = {part: flops for part, flops in plan.flops.items() if flops >= SHOWN * total}
    rows = [f"  {part:<20}{flops / T:>10.3f}{flops / total:>8.1%}" for part, flops in parts.items()]
    return [
        "TFLOPs of a sample, forward and backward",
        *rows,
        f"  {'together':<20}{total / T:>10.3f}",
        f"  {'repeated':<20}{plan.repeated / T:>10.3f}{plan.repeated / total:>8.1%}  with activation checkpointing",
    ]


def _memory(own: Choice) -> list[str]:
    parts = {name: getattr(own.memory, name) for name in own.memory.__dataclass_fields__}
    rows = [f"  {name:<20}{size / GIB:>10.2f}" for name, size in parts.items() if size]
    together = f"  {'together':<20}{own.memory.total / GIB:>10.2f}"
    return [f"GiB on a GPU, as the recipe says ({_words(own)})", *rows, together]


def _settings(plan: Plan, samples: float | None, everything: bool) -> list[str]:
    shown = [choice for choice in plan.choices if everything or choice.fits or choice is plan.choices[0]]
    work = (
        f"{samples:,.0f} samples" if samples else f"{plan.recipe.steps:,} steps of {plan.recipe.global_batch_size} rows"
    )
    head = f"{'':2}{'micro':>5}{'replicas':>10}  {'checkpoint':<11}{'GiB':>7}{'fits':>6}"
    head += f"{'compute s':>11}{'traffic s':>11}{'step s':>9}{'samples/s':>11}{'MFU':>6}{'days':>8}"
    rows = [_row(plan, choice, samples) for choice in shown]
    hidden = len(plan.choices) - len(shown)
    more = [f"({hidden} settings that do not fit are not shown)"] if hidden else []
    return [f"days for {work}; compute and traffic of one micro-batch; * the recipe's own", head, *rows, *more]


def _row(plan: Plan, choice: Choice, samples: float | None) -> str:
    setting, mark = choice.setting, "*" if choice is plan.choices[0] else " "
    text = f"{mark:<2}{setting.micro:>5}{setting.replicas:>10}  {'yes' if setting.checkpointing else 'no':<11}"
    text += f"{choice.memory.total / GIB:>7.1f}{'yes' if choice.fits else 'no':>6}"
    text += f"{choice.compute:>11.3f}{choice.traffic.seconds:>11.3f}{choice.step:>9.2f}{choice.samples:>11.1f}"
    return text + f"{choice.mfu:>6.0%}{plan.days(choice, samples):>8.2f}"


def _words(choice: Choice) -> str:
    setting = choice.setting
    checkpointing = "with" if setting.checkpointing else "without"
    return f"micro-batches of {setting.micro}, replicas = {setting.replicas}, {checkpointing} activation checkpointing"

"""Plan of a training run: estimated memory and time here, and settings that would fit if it does not."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import jax
from rich.table import Table

from airmass.core.errors import InputError
from airmass.core.tables import duration, gigabytes, table
from airmass.models.footprint import available_memory, matmul_rate, on_accelerator, parameter_count
from airmass.recipes.recipes import Recipe
from airmass.training.footprint import TrainingFootprint, axes, training_footprint

Saving = Callable[[Recipe], Recipe]


@dataclass(frozen=True)
class Resources:
    """Resources of a run: rows and columns of the grid, frames of its data, devices and the bytes of each.

    `rate` is the speed of a device in flop/s, by precision.
    """

    shape: tuple[int, int]
    times: int
    devices: int
    memory: float
    whose: str
    rate: Mapping[str, float]
    accelerator: bool

    @classmethod
    def of_this_machine(cls, shape: tuple[int, int], times: int, devices: int, memory: float | None) -> "Resources":
        """Resources of this machine, with its measured speed; `memory` in GB replaces that of this machine."""
        limit, whose = available_memory() if memory is None else (memory * 1e9, "given by --memory")
        rate = {precision: matmul_rate(precision) for precision in ("float32", "bfloat16")}
        return cls(shape, times, devices, limit, whose, rate, on_accelerator())

    def needed(self, recipe: Recipe, rollout: int | None = None) -> TrainingFootprint:
        return training_footprint(recipe, self.shape, rollout, self.devices, self.accelerator, self.times)

    def seconds(self, recipe: Recipe, rollout: int | None = None) -> float:
        return self.needed(recipe, rollout).seconds(self.rate[recipe.training.precision])

    def curriculum(self, recipe: Recipe) -> float:
        """Seconds of the whole curriculum."""
        stages = zip(recipe.training.updates, recipe.training.rollout, strict=True)
        return sum(updates * self.seconds(recipe, rollout) for updates, rollout in stages)

    def fits(self, recipe: Recipe) -> bool:
        return self.needed(recipe).peak <= self.memory


@dataclass(frozen=True)
class Proposal:
    """Options that change a recipe, and the changed recipe."""

    options: str
    where: Resources
    recipe: Recipe

    @property
    def fits(self) -> bool:
        return self.where.fits(self.recipe)


def proposals(recipe: Recipe, where: Resources) -> list[Proposal]:
    """Settings that fit: single changes, then combined ones; if none fits, the one that needs the least memory."""
    changes = list(_changes(recipe, where))
    alone = [_proposal(recipe, where, [change]) for change in changes]
    joint = [_proposal(recipe, where, changes[:k]) for k in range(2, len(changes) + 1)]
    fitting = [p for p in alone if p.fits] + [p for p in joint if p.fits][:1]
    spread = [p for p in _spread(recipe, where, changes) if p.fits]
    found = fitting + (spread[:1] if fitting else spread[:2])
    return found or [min([*alone, *joint], key=lambda p: p.where.needed(p.recipe).peak)] if changes else found


def _proposal(recipe: Recipe, where: Resources, changes: Sequence[tuple[str, Saving]]) -> Proposal:
    for _, change in changes:
        recipe = change(recipe)
    return Proposal(" ".join(words for words, _ in changes), where, recipe)


def _changes(recipe: Recipe, where: Resources) -> Iterator[tuple[str, Saving]]:
    """Yield changes that reduce the memory of an update, the cheapest first."""

    def training(**fields) -> Saving:
        return lambda old: replace(old, training=replace(old.training, **fields))

    held, members = recipe.training, recipe.family.training_members(recipe.model)
    data, _, _ = axes(recipe.devices, held, members, where.devices)
    if held.batch // held.accumulate > data:
        parts = held.batch // data
        yield f"--training.accumulate {parts}", training(accumulate=parts)
    if not held.recompute and max(held.rollout) > 1:
        yield "--training.recompute", training(recompute=True)
    if not asdict(recipe.model).get("recompute", 1):
        again = {"recompute": 1}
        yield "--model.recompute 1", lambda old: replace(old, model=replace(old.model, **again))
    other = "bfloat16" if held.precision == "float32" else "float32"
    # On a CPU, bfloat16 arrays may be kept in float32 too.
    if where.needed(training(precision=other)(recipe)).peak < where.needed(recipe).peak:
        yield f"--training.precision {other}", training(precision=other)
    if (longest := _longest(recipe, where)) < max(held.rollout):
        kept = tuple(min(rollout, longest) for rollout in held.rollout)
        yield f"--training.rollout {' '.join(map(str, kept))}", training(rollout=kept)


def _longest(recipe: Recipe, where: Resources) -> int:
    """Longest rollout of the curriculum that fits; the shortest if none does."""
    rollouts = sorted(set(recipe.training.rollout))
    return max((r for r in rollouts if where.needed(recipe, r).peak <= where.memory), default=rollouts[0])


def _spread(recipe: Recipe, where: Resources, changes: Sequence[tuple[str, Saving]]) -> Iterator[Proposal]:
    """Yield the recipe on more devices: along data as far as the batch allows, then along space."""
    lossless = [change for change in changes if not change[0].startswith(("--training.rollout", "--training.acc"))]
    part = recipe.training.batch // recipe.training.accumulate
    for total in (2, 4, 8, 16, 32, 64):
        if total <= where.devices:
            continue
        data = max(n for n in range(1, total + 1) if part % n == 0 and total % n == 0)
        devices = replace(recipe.devices, data=data, member=1, space=total // data)
        words = f"--count {total} --devices.data {data} --devices.space {total // data}"
        for more in ([], lossless):
            spread = _proposal(replace(recipe, devices=devices), replace(where, devices=total), more)
            yield replace(spread, options=f"{words} {spread.options}".strip())


def plan(recipe: Recipe, where: Resources, boxed: bool) -> Iterator[Table]:
    """Yield tables to print: the run, memory by part, arithmetic and time, and settings that fit if it does not."""
    needed = where.needed(recipe)
    yield table("training run", _about(recipe, where), boxed)
    sums = {"total": gigabytes(needed.peak), where.whose: gigabytes(where.memory)}
    parts = {name: gigabytes(size) for name, size in needed.parts.items()}
    each = "of each device" if where.devices > 1 else "of the device" if where.accelerator else "of the process"
    yield table(f"memory {each} (estimate)", parts | sums, boxed)
    yield table("time on this machine (estimate)", _times(recipe, where), boxed)
    if where.fits(recipe):
        return
    found = proposals(recipe, where)
    title = "does not fit; it would with" if any(p.fits for p in found) else "does not fit; closest"
    depth = recipe.family.parameter_layout(recipe.task, recipe.model).depth
    smaller = {"a smaller model": f"--model.width, --model.{depth}"}
    yield table(title, {p.options: _cost(p) for p in found} or smaller, boxed)


def _about(recipe: Recipe, where: Resources) -> dict[str, str]:
    count = parameter_count(recipe.task, recipe.model)
    rows, columns = where.shape
    training = recipe.training
    stages = zip(training.updates, training.rollout, strict=True)
    return {
        "parameters": f"{count:,} ({4 * count / 1e6:,.1f} MB in float32)",
        "grid": f"{columns} x {rows}",
        "devices": str(where.devices),
        "batch": f"{training.batch} in {training.accumulate} part{'s' * (training.accumulate > 1)}",
        "curriculum": ", ".join(f"{updates:,} updates of {rollout}" for updates, rollout in stages),
        "expected score": recipe.expect or "not known",
    }


def _times(recipe: Recipe, where: Resources) -> dict[str, str]:
    training, device = recipe.training, jax.local_devices()[0].device_kind
    rate = where.rate[training.precision]
    shown = {"matrix products": f"{rate / 1e9:,.0f} Gflop/s in {training.precision} measured now on {device}"}
    for rollout in sorted({min(training.rollout), max(training.rollout)}):
        flops = where.needed(recipe, rollout).flops
        shown[f"an update, rollout {rollout}"] = f"{duration(where.seconds(recipe, rollout))}, {flops / 1e9:,.1f} Gflop"
    return shown | {"to the end of the curriculum": f"{duration(where.curriculum(recipe))}, {training.total:,} updates"}


def _cost(proposal: Proposal) -> str:
    where, recipe = proposal.where, proposal.recipe
    each = " a device" if where.devices > 1 else ""
    return (
        f"{gigabytes(where.needed(recipe).peak)}{each}, {duration(where.seconds(recipe))} an update, "
        f"{duration(where.curriculum(recipe))} in all"
    )


def grid_shape(text: str) -> tuple[int, int]:
    """Rows and columns of a grid such as 181x360."""
    rows, _, columns = text.partition("x")
    if not (re.fullmatch(r"\d{1,5}", rows) and re.fullmatch(r"\d{1,5}", columns) and min(int(rows), int(columns)) > 1):
        raise InputError(f"grid {text}: expected rows x columns such as 181x360, up to 99999 of each")
    return int(rows), int(columns)

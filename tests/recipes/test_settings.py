"""What all settings must be: every number of every field has a declared range, which is held when they are made."""

import math
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

import pytest

from airmass.commands.main import main
from airmass.core.errors import InputError
from airmass.core.typed import Range, field_types
from airmass.data.simulate.settings import SimulateSettings
from airmass.diffusion.samplers import known_samplers
from airmass.models.family import families
from airmass.recipes.recipes import RECIPES, Recipe


def parts(kind: Any) -> Iterator[Any]:
    """The types that a declared type is made of, itself included; not into `Annotated`."""
    yield kind
    if get_origin(kind) is not Annotated:
        for inner in get_args(kind):
            yield from parts(inner)


def classes(kind: Any) -> Iterator[Any]:
    """A settings class and all that it is made of."""
    yield kind
    for declared in field_types(kind).values():
        yield from (found for part in parts(declared) if is_dataclass(part) for found in classes(part))


OF_PARTS = [*(family.settings for family in families().values()), *known_samplers().values()]
ALL = list(dict.fromkeys(found for kind in (Recipe, SimulateSettings, *OF_PARTS) for found in classes(kind)))
NUMBERS = [
    pytest.param(kind, name, declared, id=f"{kind.__name__}.{name}")
    for kind in ALL
    for name, declared in field_types(kind).items()
    if any(part in (int, float) or get_origin(part) is Annotated for part in parts(declared))
]


def some(kind: Any) -> dict[str, Any]:
    """What the constructor must be given."""
    required = {"updates": (5,), "rollout": (1,), "days": 1, "levels": (500,)}
    task = {"prognostic": ("temperature",), "diagnostic": (), "forcing": (), "static": ()}
    given = required | task
    names = [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]
    return {name: given[name] for name in names}


def holding(declared: Any, value: Any) -> Any:
    """`value` as the first number of a field so declared."""
    origin, args = get_origin(declared), get_args(declared)
    if origin is tuple:
        inner = holding(args[0], value)
        return (inner,) if args[-1] is Ellipsis else tuple(inner for _ in args)
    if origin is dict:
        return {"temperature": holding(args[1], value)}
    if NoneType in args:
        return holding(next(arg for arg in args if arg is not NoneType), value)
    return value


def test_the_settings_are_found():
    assert {"Task", "GraphCastSettings", "GenCastSettings", "DPMSolver2S", "LoaderSettings", "MonitoringSettings"} <= {
        kind.__name__ for kind in ALL
    }
    assert len(NUMBERS) > 70


@pytest.mark.parametrize("kind, name, declared", NUMBERS)
def test_every_number_has_a_range(kind, name, declared):
    assert not [part for part in parts(declared) if part in (int, float)], f"{name}: {declared} without a Range"


@pytest.mark.parametrize("kind, name, declared", NUMBERS)
def test_what_is_out_of_range_or_of_another_type_is_refused_by_name(kind, name, declared):
    marked = next(part for part in parts(declared) if get_origin(part) is Annotated)
    number, allowed = get_args(marked)[0], next(mark for mark in get_args(marked)[1:] if isinstance(mark, Range))
    below = allowed.least if allowed.above else allowed.least - 1
    wrong = [below, math.nan, -math.inf, True, "1", None, 2.5 if number is int else "a"]
    wrong += [] if allowed.infinite else [math.inf, 1e400]
    wrong += [allowed.most if allowed.below else allowed.most + 1] if allowed.most < 1e300 else []
    wrong = [value for value in wrong if not (value is None and NoneType in get_args(declared))]
    for value in wrong:
        with pytest.raises(InputError, match=rf"\b{name}\b.* is .*, expected") as raised:
            kind(**some(kind) | {name: holding(declared, value)})
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("command", ["plan", "train"])
@pytest.mark.parametrize(
    "option, words",
    [
        ("--model.width 0", "model.width is 0, expected 1 to 16384"),
        ("--model.width 1000000000000000", "model.width is 1000000000000000"),
        ("--model.steps 0", "model.steps is 0"),
        ("--model.mesh-level 99", "model.mesh_level is 99, expected 0 to 8"),
        ("--model.mesh-level -1", "model.mesh_level is -1"),
        ("--optimiser.peak-rate nan", "optimiser.peak_rate is nan, expected 0 to 1000"),
        ("--optimiser.peak-rate inf", "optimiser.peak_rate is inf"),
        ("--optimiser.beta2 2", "optimiser.beta2 is 2.0, expected 0 or more, below 1"),
        ("--optimiser.warmup -1", "optimiser.warmup is -1"),
        ("--training.seed -1", "training.seed is -1"),
        ("--training.seed 9223372036854775808", "training.seed is 9223372036854775808"),
        ("--training.batch 0", "training.batch is 0"),
        ("--task.levels 500 300", "task.levels is (500, 300), expected rising levels"),
        ("--task.levels 500 500", "task.levels is (500, 500), expected rising levels"),
    ],
)
def test_commands_refuse_alike_before_anything_is_made(command, option, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    own = ["--data", "s.zarr", "--run", "r"] if command == "train" else []
    assert main([command, "demo", *own, *option.split()]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"airmass {command}: {words}") and shown.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "option, words",
    [
        ("--model.heads 3", "model.width is 64, expected a multiple of model.heads, 3"),
        ("--diffusion.sampling.levels 1", "sampler.levels is 1"),
        ("--diffusion.training.rho nan", "diffusion.training.rho is nan"),
        ("--memory -5", "--memory is -5.0, expected a number above 0"),
        ("--memory nan", "--memory is nan, expected a number above 0"),
        ("--count 0", "--count is 0, expected 1 or more"),
    ],
)
def test_plan_refuses(option, words, capsys):
    assert main(["plan", "gencast-demo", *option.split()]) == 2
    assert capsys.readouterr().err.startswith(f"airmass plan: {words}")


def test_every_recipe_is_within_the_ranges():
    assert all(isinstance(made, Recipe) for made in RECIPES.values())

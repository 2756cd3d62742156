"""Recipes as saved in runs and model files, of this version or an older one."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from airmass.core.errors import InputError
from airmass.core.typed import field_types, typed
from airmass.diffusion.samplers import known_samplers
from airmass.models.family import family_named
from airmass.models.objectives.settings import OWN
from airmass.recipes.recipes import Recipe
from airmass.recipes.settings import DeviceSettings


def as_settings(made: Recipe) -> dict:
    """A recipe as nested dictionaries for JSON, with the name of its model family."""
    return {"family": made.family.name} | asdict(made)


# What the oldest files hold of a sampler, of every kind.
_OF_CHURN = ("churn", "churn_min", "churn_max", "inflation")
_OF_EVERY_SAMPLER = ("max_noise", "min_noise", "levels", "rho", "kind", *_OF_CHURN)
# Fields added after the oldest format that is still read; older files lack them.
_LATER = frozenset(
    [f"loss.{name}" for name in OWN]
    + [
        "loss.stages",
        "task.nonnegative",
        "training.rotate",
        "model.linear_residual",
        "model.noise_scale",
        "diffusion.calibration",
        "loader.block",
        "loader.blocks_at_once",
    ]
    + [
        f"diffusion.sampling.{name}"
        for sampler in known_samplers().values()
        for name in field_types(sampler)
        if name not in _OF_EVERY_SAMPLER
    ]
)


def from_settings(settings: Mapping, source: str | Path = "settings") -> Recipe:
    """Recipe from the dictionaries of `as_settings`, of this or an older version.

    Raises InputError, beginning with `source`, for a field that is missing, unknown, of the wrong type or out of range.
    """
    try:
        parts = _completed(typed(settings, dict, "recipe"))
        family = family_named(typed(parts.pop("family"), str, "family"))
        model = typed(parts["model"], family.settings, "model", _LATER)
        return typed(parts | {"model": model}, Recipe, "", _LATER)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


def in_full(settings: Mapping, source: str | Path) -> dict:
    """The recipe of a run's settings as this version writes it, fields that it lacks at their defaults.

    `devices` holds the axes that the run was started on, and stays as it is. Raises InputError as `from_settings`.
    """
    made = from_settings(dict(settings) | {"devices": asdict(DeviceSettings())}, source)
    return json.loads(json.dumps(as_settings(made))) | {"devices": settings.get("devices")}


def _completed(settings: Mapping) -> dict:
    """Saved settings of a recipe, completed with fields that older versions did not write.

    Older versions had only GraphCast and GenCast, and only the squared error.
    """
    if missing := next((name for name in ("model", "loss") if name not in settings), None):
        raise InputError(f"{missing} is missing")
    model, loss = (typed(settings[name], dict, name) for name in ("model", "loss"))
    if isinstance(every := model.get("recompute"), bool):  # before it was a number of layers
        model = model | {"recompute": int(every)}
    if (diffusion := settings.get("diffusion")) is not None:
        settings = dict(settings) | {"diffusion": _with_own_settings(typed(diffusion, dict, "diffusion"))}
    if "innovation" in model:  # what the linear residual was called
        model = {"linear_residual" if name == "innovation" else name: value for name, value in model.items()}
    old = {"family": "gencast" if "heads" in model else "graphcast"}
    return old | dict(settings) | {"model": model, "loss": {"kind": "squared_error"} | loss}


def _with_own_settings(diffusion: Mapping) -> dict:
    """Saved settings of diffusion without settings of churn where the sampler has none."""
    sampling = typed(diffusion.get("sampling", {}), dict, "diffusion.sampling")
    if (kind := sampling.get("kind")) not in known_samplers():
        return dict(diffusion)
    own = field_types(known_samplers()[kind])
    kept = {name: value for name, value in sampling.items() if name in own or name not in _OF_CHURN}
    return dict(diffusion) | {"sampling": kept}

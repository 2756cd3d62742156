"""Settings and options outside their range, of recipes and of commands."""

from pathlib import Path

from tests.border.case import Case
from tests.border.healthy import DATES, Home

_ALIKE = ("plan options", "train options")


def _nothing(home: Home, folder: Path) -> Path:
    return folder


def _options(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# What comes last counts, so these stand behind the healthy ones; the word must be in the refusal.
_RECIPE: dict[str, str] = {
    "--model.width 0": "width",
    "--model.width -1": "width",
    "--model.width 1000000000000000": "width",
    "--model.width 2.5": "width",
    "--model.steps 0": "steps",
    "--model.steps -1": "steps",
    "--model.mesh-level -1": "mesh",
    "--model.mesh-level 2.5": "mesh",
    "--model.mesh-level 40": "mesh",
    "--model.hidden-layers -1": "hidden",
    "--model.radius-fraction 0": "radius",
    "--model.radius-fraction nan": "radius",
    "--model.corner-length -1": "corner",
    "--model.recompute -1": "recompute",
    "--optimiser.peak-rate nan": "peak",
    "--optimiser.peak-rate inf": "peak",
    "--optimiser.peak-rate -1": "peak",
    "--optimiser.tail-rate nan": "tail",
    "--optimiser.warmup -1": "warmup",
    "--optimiser.beta1 2": "beta1",
    "--optimiser.beta2 2": "beta2",
    "--optimiser.beta2 nan": "beta2",
    "--optimiser.weight-decay -1": "weight",
    "--optimiser.weight-decay nan": "weight",
    "--optimiser.clip-norm 0": "clip",
    "--optimiser.clip-norm nan": "clip",
    "--optimiser.average 1": "average",
    "--optimiser.average 1.5": "average",
    "--optimiser.kind sgd": "sgd",
    "--training.seed -1": "seed",
    "--training.seed 9223372036854775808": "seed",
    "--training.batch 0": "batch",
    "--training.updates 0": "updates",
    "--training.rollout 0": "rollout",
    "--training.precision float8": "precision",
    "--training.input-noise nan": "noise",
    "--training.input-noise inf": "noise",
    "--training.dates 2000-11-02 2000-11-01": "2000-11-02",
    "--training.dates yesterday today": "yesterday",
    "--training.dates 2000-13-01 2000-14-01": "2000-13-01",
    "--task.levels 0 500": "level",
    "--task.levels 500 500": "level",
    "--task.levels 850 500": "level",
    "--task.levels -500": "level",
    "--task.step 0": "step",
    "--task.step 7": "",
    "--task.step 1000000000000": "step",
    "--task.history 0": "history",
    "--task.prognostic colour": "colour",
    "--loader.threads 0": "threads",
    "--loader.ahead -1": "ahead",
    "--loader.hold-gib nan": "hold",
    "--devices.data 0": "data",
    "--devices.space 7": "",
    "--safety.spike nan": "spike",
    "--safety.save-minutes -1": "save",
    "--safety.save-minutes nan": "save",
    "--safety.time-limit-minutes -5": "limit",
    "--watch.every 0": "every",
    "--adaptation.rank 0": "rank",
    "--adaptation.scale nan": "scale",
    "--adaptation.freeze nothing.like.it": "nothing.like.it",
}
# Decided by the store or the devices, which plan may not have looked at.
_TRAINING_ALONE = ("--adaptation.freeze", "--loader", "--devices.space", "--task.step 7")

CASES = [
    Case(
        f"option {text}",
        _nothing,
        _ALIKE[1:] if text.startswith(_TRAINING_ALONE) else _ALIKE,
        (word,),
        _options(text),
        named=False,
    )
    for text, word in _RECIPE.items()
]
CASES += [
    Case(f"gencast option {text}", _nothing, ("plan gencast",), (word,), _options(text), named=False)
    for text, word in {
        "--model.heads 0": "heads",
        "--model.heads 3": "heads",
        "--model.hops 0": "hops",
        "--model.layers 0": "layers",
        "--model.feedforward 0": "feedforward",
        "--model.base-period 0": "period",
        "--model.frequencies 0": "frequencies",
        "--diffusion.sampling.levels 0": "levels",
        "--diffusion.sampling.churn nan": "churn",
        "--diffusion.sampling.max-noise inf": "noise",
        "--diffusion.training.min-noise 0": "noise",
        "--diffusion.sampling.rho 0": "rho",
    }.items()
]
_COMMANDS: dict[str, dict[str, str]] = {
    "plan options": {
        "--count 0": "count",
        "--memory -1": "memory",
        "--memory nan": "memory",
        "--memory 0": "memory",
    },
    "plan gencast": {
        "--grid 0x16": "grid",
        "--grid -8x16": "grid",
        "--grid 8by16": "8by16",
        "--grid 1e9x1e9": "grid",
        "--grid 999999999x999999999": "grid",
    },
    "inspect options": {
        "--members 0": "members",
        "--members -3": "members",
        "--grid 0x0": "grid",
        "--grid 7x7x7": "7x7x7",
        "--precision float16": "precision",
    },
    "forecast options": {
        "--lead-time 9e20d": "9e20d",
        "--lead-time 99999999999999999999d": "lead",
        "--lead-time 0h": "lead",
        "--lead-time -6h": "lead",
        "--lead-time 7h": "lead",
        "--lead-time soon": "soon",
        "--init-time yesterday": "yesterday",
        "--init-time 2000-11-31": "2000-11-31",
        "--init-time 1950-01-01": "1949-12-31",
        "--init-time NaT": "nat",
        "--init-time 2000-11-01T06:30": "06:30",
        "--init-time 2000-11-01T06 2000-11-01T06": "once",
        "--levels 300": "300",
        "--members 4": "members",
        "--seed -1": "seed",
        "--memory-limit 0": "memory",
        "--memory-limit nan": "memory",
        "--perturb nan --members 2": "perturb",
        "--perturb -1 --members 2": "perturb",
        "--perturb 0.1 --members 2 --perturb-length 0": "length",
        "--perturb 0.1 --members 2 --perturb-length nan": "length",
        "--perturb 0.1 --members 2 --seed -1": "seed",
        "--perturb 0.1 --members 2 --first-member -1": "member",
        "--sampler heun": "sampler",
    },
    "evaluate options": {
        "--lead-times 9e20d": "9e20d",
        "--lead-times soon": "soon",
        "--lead-times 240h": "240",
        "--init-times 1999-01-01": "1999-01-01",
        "--init-times never": "never",
        "--spectra 240h": "240",
    },
    "plot options": {
        "--fields colour": "colour",
        "--fields z123": "123",
        "--lead-times nan": "nan",
        "--lead-times -6": "-6",
        "--lead-times 240": "240",
        "--init-time never": "never",
        "--init-time 1999-01-01": "1999-01-01",
        "--animate colour": "colour",
    },
    "plumes options": {
        "--places 91 0": "91",
        "--places nan 0": "nan",
        "--places 0 900": "900",
    },
    "stats options": {
        "--dates 2000-11-02 2000-11-01": "2000-11-02",
        "--dates never ever": "never",
        "--dates 1999-01-01 1999-02-01": "1999",
        "--dates 2000-11-01 2000-11-02 --step 0": "step",
        "--dates 2000-11-01 2000-11-02 --step -6": "step",
        "--dates 2000-11-01 2000-11-02 --step 7": "7",
        "--dates 2000-11-01 2000-11-02 --levels 300": "300",
        "--dates 2000-11-01 2000-11-02 --levels 500 500": "500",
        "--dates 2000-11-01 2000-11-02 --variables colour": "colour",
        "--dates 2000-11-01 2000-11-02 --variables 2t 2m_temperature": "2m_temperature",
    },
    "simulate options": {
        "--days 0": "days",
        "--days -1": "days",
        "--days 1 --start never": "never",
    },
}
CASES += [
    Case(f"{way}: {text}", _nothing, (way,), (word,), _options(text), named=False)
    for way, options in _COMMANDS.items()
    for text, word in options.items()
]

# The second would win without a word.
_TWICE = {
    "train options": "--model.width 8 --model.width 16",
    "plan options": "--count 1 --count 2",
    "forecast options": "--precision float32 --precision bfloat16",
    "evaluate options": "--lead-times 6h --lead-times 12h",
    "plot options": "--fields 2t --fields z500",
    "stats options": f"--dates {' '.join(DATES)} --dates {' '.join(DATES)}",
    "inspect options": "--members 1 --members 2",
}
CASES += [
    Case(f"{way}: an option twice", _nothing, (way,), (text.split()[0],), _options(text), named=False)
    for way, text in _TWICE.items()
]
CASES += [
    Case(f"{way}: an option that nobody knows", _nothing, (way,), ("--colour",), ("--colour", "red"), named=False)
    for way in ("inspect options", "evaluate options", "forecast options", "plot options", "simulate options")
]

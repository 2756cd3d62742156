"""Choosing among programs for local attention: on a CPU, with candidates made for it and a clock of their own."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.core.errors import InputError
from airmass.forecasting.system import load_system
from airmass.models.gencast.model import gencast
from airmass.models.mesh.icosphere import icosphere
from airmass.models.mesh.neighbours import Neighbours
from airmass.models.nn import attention_choice
from airmass.models.nn.attention import attend_plainly
from airmass.models.nn.attention_choice import Choice, choose
from tests.golden_case import GOLDEN_GENCAST


class Clock:
    """A second goes by whenever it is read, and what candidates cost."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now

    def costing(self, seconds: float):
        """Plain attention that moves the clock as it runs."""

        def spend() -> np.ndarray:
            self.now += seconds
            return np.float32(0)

        def run(query, key, value, neighbours):
            none = jax.pure_callback(spend, jax.ShapeDtypeStruct((), jnp.float32))
            return attend_plainly(query, key, value, neighbours) + none.astype(query.dtype)

        return run


def _neighbours() -> Neighbours:
    return Neighbours.within(icosphere(1), 2, 16)


def _failing(*_):
    raise NotImplementedError("no such head\nand more")


def _wrong(*given):
    return 1.1 * attend_plainly(*given)


def _not_a_number(*given):
    return attend_plainly(*given) * jnp.nan


@jax.custom_vjp
def _wrong_backwards(query, key, value, neighbours):
    return attend_plainly(query, key, value, neighbours)


def _twice_for_value(back, gradient):
    for_query, for_key, for_value = back(gradient)
    return for_query, for_key, 2 * for_value, None


_wrong_backwards.defvjp(
    lambda query, key, value, neighbours: jax.vjp(lambda *maps: attend_plainly(*maps, neighbours), query, key, value),
    _twice_for_value,
)


def _chosen(candidates, clock: Clock, gradient: bool = False, precision: str = "float32") -> Choice:
    return choose(_neighbours, 2, 8, precision, gradient, candidates, clock)


@pytest.mark.parametrize(("precision", "gradient"), [("float32", True), ("bfloat16", False)])
def test_the_fastest_that_is_exact_is_taken(precision, gradient):
    clock = Clock()
    candidates = {"slow": clock.costing(5), "fast": clock.costing(-0.5), "wrong": _wrong, "failing": _failing}
    choice = _chosen(candidates | {"nan": _not_a_number}, clock, gradient, precision)
    assert choice.name == "fast" and choice.attend is candidates["fast"]
    assert "fast 500.00 ms, plain 1000.00 ms, slow 6000.00 ms" in choice.report
    assert "without failing: NotImplementedError: no such head;" in choice.report
    assert "without wrong: error 1e-01" in choice.report or "without wrong: error 9e-02" in choice.report
    assert "without nan: error nan" in choice.report


def test_plain_jax_is_kept_where_nothing_is_faster_and_exact():
    clock = Clock()
    choice = _chosen({"slow": clock.costing(5), "failing": _failing, "wrong": _wrong}, clock)
    assert choice.name == "plain" and choice.attend is None


def test_gradients_are_looked_at_where_they_are_asked_for():
    # Without them it costs what plain JAX does, and plain JAX comes first.
    assert "without backwards" not in _chosen({"backwards": _wrong_backwards}, Clock()).report
    assert "without backwards: error" in _chosen({"backwards": _wrong_backwards}, Clock(), gradient=True).report


def test_nothing_is_tried_on_a_cpu():
    def never() -> Neighbours:
        raise AssertionError

    assert choose(never, 4, 128, "float32", gradient=True) == Choice("plain", None, "")


def test_the_environment_names_one(monkeypatch):
    monkeypatch.setenv("AIRMASS_ATTENTION", "wrong")
    assert _chosen({"wrong": _wrong}, Clock()) == Choice("wrong", _wrong, "wrong, set by AIRMASS_ATTENTION")
    monkeypatch.setenv("AIRMASS_ATTENTION", "plain")
    assert _chosen({"wrong": _wrong}, Clock()).attend is None
    monkeypatch.setenv("AIRMASS_ATTENTION", "pallas")
    with pytest.raises(InputError, match=r"AIRMASS_ATTENTION is pallas, expected one of plain$"):
        choose(_neighbours, 2, 8, "float32")


def test_a_system_is_made_with_what_was_chosen_and_says_so(monkeypatch):
    made = []

    def noted(*given, **named):
        made.append(gencast(*given, **named))
        return made[-1]

    monkeypatch.setattr(attention_choice, "on_this_machine", lambda: {"mine": attend_plainly})
    monkeypatch.setattr("airmass.models.gencast.model.gencast", noted)
    monkeypatch.setenv("AIRMASS_ATTENTION", "mine")
    folder, golden = GOLDEN_GENCAST.folder, GOLDEN_GENCAST
    system = load_system(folder / "checkpoint.npz", folder)
    assert system.attention == "mine" and system.about["attention"] == "mine, set by AIRMASS_ATTENTION"
    system.runner(golden.grid, golden.static)
    assert made[0].neighbours.by is attend_plainly


def test_pallas_is_not_imported_without_a_gpu():
    code = (
        "import sys, airmass.forecasting.forecast, airmass.training.train\n"
        "from airmass.models.nn.attention_choice import attention_here\n"
        "from airmass.models.gencast.settings import GenCastSettings\n"
        "assert attention_here(GenCastSettings(), 'float32', True).name == 'plain'\n"
        # Other libraries load parts of it; what defines kernels is neither ours nor theirs to need.
        "parts = ('jax.experimental.pallas', 'airmass.models.nn.attention_kernel')\n"
        "print([name for name in parts if name in sys.modules])\n"
    )
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    assert done.stdout == "[]\n", done.stderr

"""Training that starts from published weights: their parameters, scales and fill, without the fields of cyclones."""

import dataclasses

import jax
import numpy as np
import pytest

from airmass.core.errors import InputError
from airmass.forecasting.checkpoints.model_file import named_leaves
from airmass.models.family import new_network
from airmass.training.warm_start import restored_fill, restored_scales, start_from
from tests.models.fgn.golden import FOLDER, GOLDEN_FGN

SOURCE = FOLDER / "checkpoint.npz", FOLDER / "config.json"


def test_all_but_the_columns_of_cyclones_is_taken_over():
    made = GOLDEN_FGN.configuration
    task = dataclasses.replace(made.task, diagnostic=("total_precipitation_6hr",))
    network, report = start_from(new_network(task, made.settings, jax.random.key(0)), task, made.settings, *SOURCE)
    assert {channel.name[:8] for channel in report.dropped} == {"cyclone_"} and not report.new_columns
    old, new = named_leaves(GOLDEN_FGN.model.network), named_leaves(network)
    last = "decoder.output.layers.1.weight"
    kept = [i for i, (name, _) in enumerate(GOLDEN_FGN.layout.channels) if not name.startswith("cyclone_")]
    np.testing.assert_array_equal(new[last], old[last][:, kept])
    for name in old.keys() - {last, last.replace("weight", "bias")}:
        np.testing.assert_array_equal(new[name], old[name], err_msg=name)
    parts = {part: getattr(made.normaliser, part)[kept] for part in ("target_offset", "target_scale")}
    own = dataclasses.replace(made.normaliser, **{part: value + 1 for part, value in parts.items()})
    scales = restored_scales(own, task, SOURCE[0], None, SOURCE[1])
    np.testing.assert_array_equal(scales.target_scale, made.normaliser.target_scale[kept])
    np.testing.assert_array_equal(restored_fill(made.fill + 1, task, SOURCE[0], None, SOURCE[1]), made.fill)


def test_without_its_configuration_it_is_refused():
    made = GOLDEN_FGN.configuration
    with pytest.raises(InputError, match="has no settings; give its configuration"):
        start_from(GOLDEN_FGN.model.network, made.task, made.settings, SOURCE[0])

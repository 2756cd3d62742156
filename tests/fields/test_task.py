"""Tasks: roles that fit together, and what is refused."""

from dataclasses import replace

import pytest

from airmass.core.errors import InputError
from airmass.fields.task import Task

TASK = Task(
    prognostic=("temperature", "2m_temperature"),
    diagnostic=("total_precipitation_6hr",),
    forcing=("day_progress_sin",),
    static=("land_sea_mask",),
    levels=(500, 850),
)


def test_targets_are_sorted_by_name():
    assert TASK.targets == ("2m_temperature", "temperature", "total_precipitation_6hr")
    assert TASK.from_store == TASK.targets


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prognostic": ("temprature",)}, "unknown variable 'temprature'"),
        ({"diagnostic": ("temperature",)}, "temperature more than one role"),
        ({"forcing": ("specific_humidity",)}, "forcing 'specific_humidity' is on levels, expected a field at"),
        (
            {"forcing": ("land_sea_mask",), "static": ()},
            "forcing 'land_sea_mask' is static, expected a field at the surface",
        ),
        ({"levels": (850, 500)}, "expected rising levels, each once"),
        ({"levels": (500, 500)}, "expected rising levels, each once"),
        ({"prognostic": ()}, "task.prognostic is empty"),
        ({"step": 0}, "task.step is 0, expected 1"),
        ({"history": 0}, "task.history is 0"),
    ],
)
def test_contradictions_are_refused(change, said):
    with pytest.raises(InputError, match=said):
        replace(TASK, **change)

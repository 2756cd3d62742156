"""Train, fine-tune, run, evaluate and plot global weather models of the GraphCast, GenCast and WeatherNext 2 family.

```python
import airmass

model = airmass.load("demo/run")
for frame in model.forecast("demo/simulated.zarr", steps=40, init_time="2000-12-31"):
    print(frame["2m_temperature"].mean().item(), frame.units)
```

The names in `__all__` are stable; all others may change.
"""

from typing import TYPE_CHECKING

__version__ = "0.2.0"

# Public name -> its module, imported on first use: `import airmass` is fast and does not load JAX.
_PUBLIC = {
    "ForecastModel": "airmass.forecasting.model",
    "ForecastRequest": "airmass.forecasting.request",
    "ForecastState": "airmass.forecasting.model",
    "InputError": "airmass.core.errors",
    "RECIPES": "airmass.recipes.recipes",
    "VARIABLES": "airmass.fields.variables",
    "evaluate": "airmass.evaluation.notebook",
    "forecast": "airmass.forecasting.forecast",
    "load": "airmass.forecasting.model",
    "open_forecast": "airmass.data.formats.forecast_reader",
    "open_store": "airmass.data.formats.store",
    "simulate": "airmass.data.simulate",
    "train": "airmass.training.train",
}
__all__ = [
    "RECIPES",
    "VARIABLES",
    "ForecastModel",
    "ForecastRequest",
    "ForecastState",
    "InputError",
    "__version__",
    "evaluate",
    "forecast",
    "load",
    "open_forecast",
    "open_store",
    "simulate",
    "train",
]
if TYPE_CHECKING:
    from airmass.core.errors import InputError
    from airmass.data.formats.forecast_reader import open_forecast
    from airmass.data.formats.store import open_store
    from airmass.data.simulate import simulate
    from airmass.evaluation.notebook import evaluate
    from airmass.fields.variables import VARIABLES
    from airmass.forecasting.forecast import forecast
    from airmass.forecasting.model import ForecastModel, ForecastState, load
    from airmass.forecasting.request import ForecastRequest
    from airmass.recipes.recipes import RECIPES
    from airmass.training.train import train


def __getattr__(name: str):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'airmass' has no attribute {name!r}; public are {', '.join(_PUBLIC)}")
    import importlib

    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

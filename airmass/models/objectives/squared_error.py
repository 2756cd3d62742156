"""The published GraphCast loss: weighted mean squared error in the scaled space."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from airmass.core.types import Array
from airmass.fields.channels import Layout
from airmass.fields.grid import LatLonGrid
from airmass.models.objectives.settings import LossSettings
from airmass.models.objectives.weights import channel_weights, node_weights, variable_weights


class SquaredError(eqx.Module):
    """Mean over latitude, longitude and level of weighted squared errors, then a weighted sum over variables.

    Lam et al. 2023, equation 19. Called with scaled outputs and targets, [node, target] each; returns the loss and the
    mean over nodes of squared errors by channel.
    """

    nodes: Float[Array, " node"]
    by_channel: Float[Array, "target variable"]
    by_variable: Float[Array, " variable"]

    def __init__(self, settings: LossSettings, layout: Layout, grid: LatLonGrid):
        self.nodes = node_weights(settings, grid) / grid.size
        table = np.zeros((len(layout), len(layout.variables)), np.float32)
        weights = channel_weights(settings, layout)
        for column, name in enumerate(layout.variables):
            table[layout.columns(name), column] = weights[layout.columns(name)]
        self.by_channel = table
        self.by_variable = variable_weights(settings, layout)

    def __call__(
        self, output: Float[Array, "node target"], target: Float[Array, "node target"]
    ) -> tuple[Float[Array, ""], Float[Array, " target"]]:
        errors = jnp.einsum("n,nc->c", self.nodes, jnp.square(output - target))
        return self.terms(errors) @ self.by_variable, errors

    def terms(self, errors: Float[Array, "*lead target"]) -> Float[Array, "*lead variable"]:
        """The loss by variable before the variables' weights, in the order of the layout's variables."""
        return errors @ self.by_channel

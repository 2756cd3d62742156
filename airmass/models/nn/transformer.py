"""A transformer over mesh nodes with local attention and conditional norms (Price et al. 2025, supplement)."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from airmass.core.types import Array
from airmass.models.mesh.neighbours import Neighbours
from airmass.models.nn.attention import attend
from airmass.models.nn.interaction import fused_matmul
from airmass.models.nn.loops import over_groups
from airmass.models.nn.mlp import ConditionalNorm, Linear, unit_gain


class Block(eqx.Module):
    """A transformer block: x + attention(norm x), then x + feedforward(norm x)."""

    attention_norm: ConditionalNorm
    query: Float[Array, "width width"]
    key: Float[Array, "width width"]
    value: Float[Array, "width width"]
    attended: Linear
    feedforward_norm: ConditionalNorm
    up: Linear
    down: Linear
    heads: int = eqx.field(static=True)

    def __init__(self, width: int, heads: int, hidden: int, size_condition: int, *, key: PRNGKeyArray):
        keys = iter(jax.random.split(key, 8))
        self.attention_norm = ConditionalNorm(width, size_condition, key=next(keys))
        self.query, self.key, self.value = (unit_gain(next(keys), width, width) for _ in range(3))
        self.attended = Linear(width, width, key=next(keys))
        self.feedforward_norm = ConditionalNorm(width, size_condition, key=next(keys))
        self.up, self.down = Linear(width, hidden, key=next(keys)), Linear(hidden, width, key=next(keys))
        self.heads = heads

    def __call__(
        self, x: Float[Array, "node width"], neighbours: Neighbours, condition: Float[Array, " condition"]
    ) -> Float[Array, "node width"]:
        normed = self.attention_norm(x, condition).astype(self.query.dtype)
        maps = fused_matmul(normed, self.query, self.key, self.value)
        query, key, value = (mapped.reshape(len(x), self.heads, -1).swapaxes(0, 1) for mapped in maps)
        out = attend(query, key, value, neighbours)
        x = x + self.attended(out.swapaxes(0, 1).reshape(x.shape))
        normed = self.feedforward_norm(x, condition).astype(self.query.dtype)
        return x + self.down(jax.nn.gelu(self.up(normed)))


class Transformer(eqx.Module):
    """Transformer blocks, then a last norm."""

    blocks: Block  # leaves are stacked over blocks
    norm: ConditionalNorm

    def __init__(self, width: int, layers: int, heads: int, hidden: int, size_condition: int, *, key: PRNGKeyArray):
        norm_key, *keys = jax.random.split(key, layers + 1)
        self.blocks = eqx.filter_vmap(lambda k: Block(width, heads, hidden, size_condition, key=k))(jnp.stack(keys))
        self.norm = ConditionalNorm(width, size_condition, key=norm_key)

    def __call__(
        self,
        x: Float[Array, "node width"],
        neighbours: Neighbours,
        condition: Float[Array, " condition"],
        recompute: int = 0,
    ) -> Float[Array, "node width"]:
        """The nodes after the last norm, in float32 at every precision of the weights, as sums over blocks are.

        The backward pass recomputes the activations of `recompute` blocks at a time; with 0 all are saved.
        """

        def step(x, block):
            return block(x, neighbours, condition), None

        def run(x, blocks):
            return jax.lax.scan(step, x, blocks)[0]

        return self.norm(over_groups(run, x.astype(jnp.float32), self.blocks, recompute), condition)

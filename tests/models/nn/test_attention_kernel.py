"""The kernels for a GPU, interpreted on a CPU and lowered for a GPU that is not there; cuDNN's blocks without cuDNN."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np
import pytest

from airmass.models.mesh.icosphere import icosphere
from airmass.models.mesh.neighbours import Neighbours
from airmass.models.nn.attention import attend, attend_densely, attend_plainly
from airmass.models.nn.attention_choice import TOLERANCE, choose, on_this_machine
from airmass.models.nn.attention_gpu import attend_by_cudnn, attend_by_pallas
from airmass.models.nn.attention_kernel import attend_by_kernel
from airmass.models.nn.transformer import Transformer
from tests.models.nn.test_attention import _arrays, _near, _neighbours, _with_gradients

NAMES = ("out", "query", "key", "value")
BY_16, BY_32 = (partial(attend_by_kernel, chunk=chunk, interpret=True) for chunk in (16, 32))
BLOCKED = partial(attend_by_cudnn, implementation="xla")
# Level, hops and block. A mesh has 162 or 642 nodes, which no block divides, and 256 is larger than one of them; no
# list is a multiple of 16 or 32 keys long (`test_lists_end_within_a_chunk`).
CASES = [(2, 1, 16), (2, 2, 64), (2, 4, 256), (3, 2, 64)]
ALL = pytest.mark.parametrize(("level", "hops", "block"), CASES)


def _close(found, expected, share: float = 1e-5) -> None:
    for name, a, b in zip(NAMES, found, expected, strict=True):
        apart = np.abs(np.asarray(a, np.float32) - b).max() / jnp.abs(b).max()
        assert apart < share, (name, apart)


@pytest.mark.parametrize("function", [BY_16, BY_32, BLOCKED], ids=["16", "32", "blocked"])
@ALL
def test_forward_and_gradients_are_those_of_the_definition(function, level, hops, block):
    arrays, graph = _arrays(level), _neighbours(level, hops, block)
    found = _with_gradients(function, graph, *arrays)
    _close(found, _with_gradients(attend_densely, _near(level, hops), *arrays))
    _close(found, _with_gradients(attend_plainly, graph, *arrays))


@ALL
def test_lists_end_within_a_chunk(level, hops, block):
    assert _neighbours(level, hops, block).keys.shape[1] % 16


@pytest.mark.parametrize("function", [BY_16, BLOCKED], ids=["16", "blocked"])
def test_bfloat16_is_as_close_as_its_rounding(function):
    low = [x.astype(jnp.bfloat16) for x in _arrays(2)]
    found = _with_gradients(function, _neighbours(2, 2, 64), *low)
    assert all(x.dtype == jnp.bfloat16 for x in found)
    _close(found, _with_gradients(attend_densely, _near(2, 2), *(x.astype(jnp.float32) for x in low)), 0.02)


def test_under_vmap():
    arrays = _arrays(2, lead=(3,))
    found = jax.vmap(partial(_with_gradients, BY_32, _neighbours(2, 2, 64)))(*arrays)
    for member in range(3):
        expected = _with_gradients(attend_densely, _near(2, 2), *(x[member] for x in arrays))
        _close([x[member] for x in found], expected)


def test_very_large_scores_do_not_overflow():
    query, key, value = _arrays(2, 3)
    found = _with_gradients(BY_16, _neighbours(2, 2, 64), 1e4 * query, 1e4 * key, value, value)
    assert all(np.isfinite(x).all() for x in found)


def test_a_key_that_is_not_near_has_no_influence_at_all():
    near, neighbours = _near(2, 1), _neighbours(2, 1, 16)
    query, key, value, incoming = _arrays(2)
    before, *_ = _with_gradients(BY_16, neighbours, query, key, value, incoming)
    for node in (0, 77, len(near) - 1):
        unseen = jnp.where(jnp.asarray(near[:, node])[:, None], 0.0, incoming)
        other = query, key.at[:, node].add(5.0), value.at[:, node].set(1e30), unseen
        after, _, for_key, for_value = _with_gradients(BY_16, neighbours, *other)
        changed = np.any(np.asarray(before) != after, axis=(0, 2))
        np.testing.assert_array_equal(changed, near[:, node])
        assert not np.any(for_key[:, node]) and not np.any(for_value[:, node])


@pytest.mark.parametrize(("block", "chunk"), [(50, 16), (8, 16), (64, 24), (64, 8)])
def test_what_triton_cannot_multiply_is_refused(block, chunk):
    with pytest.raises(ValueError, match="expected a power of two from 16 on"):
        attend_by_kernel(*_arrays(2, 3), _neighbours(2, 1, block), chunk, True)


def _transformer(width: int, level: int):
    """What a small transformer makes, weighted and summed, and its module, nodes and condition."""
    module = Transformer(width, 2, 2, 2 * width, 5, key=jax.random.key(0))
    x, weights = jax.random.normal(jax.random.key(1), (2, len(icosphere(level).vertices), width))

    def made(given, neighbours):
        module, x, condition = given
        # Activations are made again on the way back.
        return (weights * module(x, neighbours, condition, 1)).sum()

    return made, (module, x, jax.random.normal(jax.random.key(2), (5,)))


@pytest.mark.slow
def test_neighbours_bring_along_what_attends_to_them():
    made, given = _transformer(12, 1)
    plain = _neighbours(1, 1, 16)
    found, expected = (jax.jit(made)(given, graph) for graph in (replace(plain, by=BY_16), plain))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    sevens = replace(plain, by=lambda query, *_: jnp.full_like(query, 7))
    np.testing.assert_array_equal(attend(*_arrays(1, 3), sevens), 7)


# Up to this version lowering ends at Triton's own language, which needs no GPU; later ones compile as they lower.
LOWERS = pytest.mark.skipif(jaxlib.version.__version_info__ > (0, 10, 2), reason="this JAX lowers with CUDA's plugin")


def _lowered_for_cuda(function, *given) -> str:
    return jax.jit(function).trace(*given).lower(lowering_platforms=("cuda",)).as_text()


@LOWERS
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("size", [32, 80, 128])
@pytest.mark.parametrize("chunk", [32, 64])
def test_lowers_for_a_gpu(precision, size, chunk):
    arrays = [jax.ShapeDtypeStruct((4, 642, size), precision)] * 4
    function = partial(attend_by_pallas, chunk=chunk)
    text = _lowered_for_cuda(partial(_with_gradients, function), _neighbours(3, 2, 64), *arrays)
    # One kernel forwards and two backwards, each over 11 blocks of 64 nodes and 4 heads.
    assert text.count("xla.gpu.triton") == 3
    assert text.count("grid_x = 11 : i32, grid_y = 4 : i32") == 3


@LOWERS
def test_lowers_for_a_gpu_in_a_batch_and_in_a_transformer():
    made, given = _transformer(64, 2)
    gradient = jax.grad(made)
    graph = replace(_neighbours(2, 1, 64), by=attend_by_pallas)
    # In the scan forwards; made again, and two backwards, in the scan back.
    assert _lowered_for_cuda(gradient, given, graph).count("xla.gpu.triton") >= 3
    batch = jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), given)
    text = _lowered_for_cuda(jax.vmap(gradient, in_axes=(0, None)), batch, graph)
    assert "grid_z = 3" in text


@pytest.mark.gpu
@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize("gradient", [False, True])
def test_on_a_gpu(precision, gradient):
    """All that is there agrees with plain JAX, but for cuDNN, which has no float32; the line says how fast each is."""
    if not on_this_machine():
        pytest.skip("no GPU")
    choice = choose(lambda: Neighbours.within(icosphere(4), 8), 4, 128, precision, gradient)
    print(precision, "with" if gradient else "without", "gradient:", choice.report)
    assert "without pallas" not in choice.report
    assert precision == "float32" or "without cudnn" not in choice.report

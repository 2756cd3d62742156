from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

from airmass.diffusion.samplers import sampler_kind

rng = np.random.default_rng(0)
angles = np.linspace(0, 2 * np.pi, 7, endpoint=False)
centres, width = 1.2 * np.stack([np.cos(angles), np.sin(angles)], -1), 0.12  # data: seven blobs on a ring


def denoiser(y, level):
    """Mean of the data that could have become y with noise of this level: exact, for Gaussian blobs."""
    y = np.asarray(y)
    variance = width**2 + level**2
    logits = -((y[:, None] - centres) ** 2).sum(-1) / (2 * variance)
    share = np.exp(logits - logits.max(1, keepdims=True))
    share /= share.sum(1, keepdims=True)
    near = centres + (y[:, None] - centres) * width**2 / variance
    return (share[..., None] * near).sum(1)


def path(points, levels):
    """DDIM: at each level keep the noise that the denoiser finds, at the next level's size."""
    seen = [points]
    for level, following in pairwise(levels):
        clean = denoiser(points, level)
        points = clean + (points - clean) * following / level
        seen.append(points)
    return np.array(seen)


figure, axes = plt.subplots(1, 4, figsize=(13, 3.5), layout="constrained", sharex=True, sharey=True)
for axis, level in zip(axes, (3.0, 0.8, 0.25), strict=False):
    grid = np.stack(np.meshgrid(np.linspace(-2, 2, 15), np.linspace(-2, 2, 15)), -1).reshape(-1, 2)
    score = (denoiser(grid, level) - grid) / level**2
    noisy = centres[rng.integers(7, size=600)] + rng.normal(size=(600, 2)) * np.hypot(width, level)
    axis.plot(*noisy.T, ".", ms=2, color="#9fb8cc")
    direction = score / np.linalg.norm(score, axis=1, keepdims=True)
    axis.quiver(*grid.T, *direction.T, color="#333333", scale=30, width=0.004)
    axis.set(title=f"noise level {level}: arrows are the score", xlim=(-2.2, 2.2), ylim=(-2.2, 2.2), aspect="equal")
levels = np.geomspace(20, 0.01, 20)
track = path(20 * rng.normal(size=(300, 2)), levels)
for at in range(12):
    axes[3].plot(*track[:, at].T, lw=0.8, color="#d55e00")
axes[3].plot(*track[-1].T, ".", ms=3, color="#0072b2")
axes[3].set(title="twenty steps from noise (DDIM)", aspect="equal")
figure.savefig("diffusion-toy.png", dpi=110)

# Every sample lies in a blob, and airmass's own samplers agree.
assert np.linalg.norm(track[-1][:, None] - centres, axis=-1).min(1).max() < 5 * width
assert sampler_kind("ddim").order == 1 and sampler_kind("dpmpp-2m").order == 2

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax


def loss(w):  # a valley fifty times steeper across than along
    return 0.5 * (w[0] ** 2 + 50 * w[1] ** 2)


start = jnp.array([-4.0, 0.6])
gradient = jax.grad(loss)(start)
assert loss(start) == loss(jnp.array([-4.0, 0.6])) and gradient.shape == start.shape  # nothing has changed


def path(optimiser, steps):
    w, state, points = start, optimiser.init(start), [start]
    for _ in range(steps):
        updates, state = optimiser.update(jax.grad(loss)(w), state, w)
        w = optax.apply_updates(w, updates)  # this line learns
        points.append(w)
    return np.array(points)


figure, axis = plt.subplots(figsize=(9, 3.6), layout="constrained")
x, y = np.meshgrid(np.linspace(-4.5, 1, 200), np.linspace(-0.9, 0.9, 200))
axis.contour(x, y, 0.5 * (x**2 + 50 * y**2), levels=np.geomspace(0.05, 20, 12), colors="#c4c9d0", linewidths=0.8)
for name, optimiser, steps, colour in (
    ("gradient descent, rate 0.03", optax.sgd(0.03), 60, "#0072b2"),
    ("the same, rate 0.041: diverges", optax.sgd(0.041), 12, "#d55e00"),
    ("Adam, rate 0.1", optax.adam(0.1), 60, "#009e73"),
):
    points = path(optimiser, steps)
    label = f"{name}: loss {loss(points[-1]):.2g} after {steps} steps"
    axis.plot(*points.T, ".-", color=colour, label=label, lw=1, ms=4)
axis.set(xlim=(-4.5, 1), ylim=(-0.9, 0.9), xlabel="first parameter", ylabel="second parameter")
axis.legend(loc="lower right")
figure.savefig("optimiser.png", dpi=110)

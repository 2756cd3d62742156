import matplotlib.pyplot as plt
import numpy as np

from airmass.models.mesh.icosphere import icosphere, multi_mesh_edges

figure, axes = plt.subplots(1, 4, figsize=(14, 3.9), layout="constrained")
for axis, level in zip(axes, (0, 1, 2), strict=False):
    points, edges = icosphere(level).vertices, multi_mesh_edges(level)
    near = points[edges].mean(1)[:, 1] < 0  # the side that faces us
    for a, b in points[edges[near]]:
        length = np.linalg.norm(a - b)
        colour, width = ("#d55e00", 1.6) if length > 1 else ("#009e73", 1.1) if length > 0.5 else ("#0072b2", 0.7)
        axis.plot([a[0], b[0]], [a[2], b[2]], color=colour, lw=width)
    axis.set(title=f"mesh level {level}: {len(points)} nodes", aspect="equal")
    axis.axis("off")

nodes = [icosphere(level).vertices for level in range(7)]
axis = axes[3]
axis.plot([len(points) for points in nodes], 7054 / 2.0 ** np.arange(7), ".-", color="#0072b2")
for level, points in enumerate(nodes):
    axis.annotate(f"{level}", (len(points), 7054 / 2.0**level), textcoords="offset points", xytext=(6, 4))
axis.set(
    xscale="log", yscale="log", xlabel="nodes", ylabel="length of the shortest edges, about, km", title="levels 0 to 6"
)
figure.savefig("networks.png", dpi=110)
assert [len(points) for points in nodes] == [10 * 4**level + 2 for level in range(7)]

import matplotlib.pyplot as plt
import numpy as np

from airmass.evaluation.metrics.base import Fields
from airmass.evaluation.metrics.crps import fair_crps

rng = np.random.default_rng(0)
cases, members = 20_000, 10
figure, axes = plt.subplots(1, 4, figsize=(13, 3.2), layout="constrained")
kinds = ("reliable", 1, 0), ("too little spread", 0.4, 0), ("too much spread", 2, 0), ("too warm", 1, 1)
for axis, (name, spread, bias) in zip(axes, kinds, strict=True):
    centre = rng.normal(size=cases)  # what can be known; truth and members scatter about it
    truth = centre + rng.normal(size=cases)
    forecast = bias + centre + spread * rng.normal(size=(members, cases))
    ranks = (forecast < truth).sum(0)
    crps = float(fair_crps(Fields(forecast, truth, np.full(cases, 1.0))))
    event = truth > 1
    brier = np.mean(((forecast > 1).mean(0) - event) ** 2)
    skill = 1 - brier / np.mean((event.mean() - event) ** 2)
    axis.bar(range(members + 1), np.bincount(ranks, minlength=members + 1) / cases, color="#0072b2")
    axis.axhline(1 / (members + 1), color="#d55e00", ls="--")
    title = f"{name}\nCRPS {crps:.2f}, Brier skill {skill:+.2f}"
    axis.set(title=title, xlabel="members below the truth", ylim=(0, 0.4))
figure.savefig("scores.png", dpi=110)

import matplotlib.pyplot as plt
import numpy as np

levels = np.array([50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000])
errors = np.random.default_rng(0).uniform(0.5, 2, len(levels))  # mean squared errors by level, any numbers

unit_mean = levels / levels.mean()  # GraphCast's published code, then a mean over levels
unit_sum = levels / levels.sum()  # the paper's formula, then a sum over levels
assert np.isclose((unit_mean * errors).mean(), (unit_sum * errors).sum())
wrong = (unit_mean * errors).sum()  # the first weights with the second's sum: 13 times too large
assert np.isclose(wrong / (unit_sum * errors).sum(), len(levels))

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
left.barh(range(len(levels)), unit_sum * 100, color="#0072b2")
left.set(yticks=range(len(levels)), yticklabels=levels, xlabel="share of the loss of one variable, %", ylabel="hPa")
left.invert_yaxis()
names = ["2 m temperature", "geopotential (all 13 levels)", "10 m wind, u", "mean sea level pressure"]
right.barh(names, [1, 1, 0.1, 0.1], color=["#d55e00", "#0072b2", "#d55e00", "#d55e00"])
right.set(xlabel="weight of a variable")
right.invert_yaxis()
figure.savefig("weights.png", dpi=110)

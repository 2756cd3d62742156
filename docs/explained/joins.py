import matplotlib.pyplot as plt
import numpy as np

rows = np.linspace(90, -90, 19)  # north to south, as in many archives
truth = np.cos(np.deg2rad(rows)) * 60 - 20  # °C, the same along each circle of latitude
forecast = truth[::-1].copy() + 1  # south to north, as in others, and 1 K too warm

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
tilt = np.where(rows > 0, 25 * np.sin(np.deg2rad(rows)), 0)  # the northern winter is colder
truth, forecast = truth - tilt, forecast - tilt[::-1]
by_position = forecast - truth
by_name = forecast[::-1] - truth
left.plot(truth, rows, "k", label="truth")
left.plot(forecast[::-1], rows, color="#0072b2", label="forecast")
left.set(xlabel="°C", ylabel="latitude")
left.legend()
right.plot(
    by_position, rows, color="#d55e00", label=f"joined by position: RMSE {np.sqrt((by_position**2).mean()):.1f} K"
)
right.plot(by_name, rows, color="#0072b2", label=f"joined by latitude: RMSE {np.sqrt((by_name**2).mean()):.1f} K")
right.set(xlabel="forecast − truth, K")
right.legend(loc="upper left")
figure.savefig("joins.png", dpi=110)
assert np.isclose(np.sqrt((by_name**2).mean()), 1)

"""Draw training curve and scores of the recipe `simulated-year`, from the tables in simulated-year/."""

import csv
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

FOLDER = Path(__file__).with_name("simulated-year")
COLOURS = {"graphcast": "#0072b2", "persistence": "#999999", "climatology": "#444444"}


def table(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open() as file:
        return list(csv.DictReader(file))


def main() -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    curve, z500 = table("curve.csv"), [row for row in table("scores.csv") if row["variable"] == "geopotential"]
    for rollout in dict.fromkeys(row["rollout"] for row in curve):
        rows = [row for row in curve if row["rollout"] == rollout]
        losses = [float(row["loss"]) for row in rows]
        left.plot([int(row["update"]) for row in rows], losses, label=f"{rollout} step{'s' * (rollout != '1')}", lw=1)
    left.set(
        xlabel="update",
        ylabel="loss (mean over the steps)",
        yscale="log",
        yticks=[0.5, 1, 2, 4],
        yticklabels=["0.5", "1", "2", "4"],
    )
    left.minorticks_off()
    left.legend(frameon=False)
    for system, colour in COLOURS.items():
        rows = [row for row in z500 if row["level"] == "500" and row["system"] == system]
        leads, errors = ([float(row[name]) for row in rows] for name in ("lead_time_hours", "rmse"))
        right.plot([lead / 24 for lead in leads], errors, "o-", color=colour, label=system)
    right.set(xlabel="lead time, days", ylabel="RMSE of Z500, m²/s²", ylim=(0, None))
    right.legend(frameon=False)
    figure.savefig(FOLDER.with_suffix(".png"), dpi=110)


if __name__ == "__main__":
    main()

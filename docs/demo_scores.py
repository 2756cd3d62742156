"""Draw the scores in the tables of demo.md against lead time, as demo-scores.png.

The numbers are read from the page, so that the picture cannot differ from it.
"""

import re
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

PAGE = Path(__file__).with_name("demo.md")
LEADS = (6, 24, 72, 120, 240)
# Okabe and Ito's colours, told apart by people with colour blindness.
COLOURS = {
    "GraphCast": "#0072b2", "with a curriculum": "#009e73", "ConvLSTM": "#d55e00", "GenCast": "#cc79a7",
    "GraphCast, perturbed": "#56b4e9", "persistence": "#999999", "climatology": "#444444",
}  # fmt: skip


def row(section: str, label: str) -> list[float]:
    """Z500 in the first row of a section's tables that is labelled so: values between slashes."""
    text = PAGE.read_text().split(f"## {section}", 1)[1].split("\n## ", 1)[0]
    cells = re.search(rf"^\|(?: \d? ?\|)? {re.escape(label)} \| ([^|]+)\|", text, re.MULTILINE)
    return [float(value) for value in cells[1].split("/")]


def main() -> None:
    convlstm, curriculum, gencast = "ConvLSTM is", "A curriculum", "GenCast has"
    errors = {
        "GraphCast": row(curriculum, "plain"),
        "with a curriculum": row(curriculum, "curriculum"),
        **{name: row(convlstm, name) for name in ("ConvLSTM", "persistence", "climatology")},
    }
    crps = {
        "GenCast": row(gencast, "CRPS at 24 / 72 / 120 h"),
        "GraphCast, perturbed": row(gencast, "perturbed GraphCast's"),
        "GraphCast": row(gencast, "absolute error of GraphCast"),
    }
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axis, scores, leads, title in (
        (axes[0], errors, LEADS, "RMSE"),
        (axes[1], crps, (24, 72, 120), "Fair CRPS (GraphCast: absolute error)"),
    ):
        for name, values in scores.items():
            axis.plot(leads, values, marker="o", label=name, color=COLOURS[name], zorder=2)
        axis.set(title=title, xlabel="lead time (h)", ylabel="m²/s²", xticks=leads, ylim=0)
        axis.legend(frameon=False)
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle("500 hPa geopotential, seed 0")
    figure.savefig(PAGE.with_name("demo-scores.png"), dpi=100)


if __name__ == "__main__":
    main()

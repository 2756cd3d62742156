"""Draw zonal power and rank histograms of Z500 from the folder of an evaluation with --spectra, as fgn-spectra.png.

python docs/fgn_spectra.py SCORES
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

LEADS = (24, 72, 120)
# Okabe and Ito's colours, told apart by people with colour blindness.
SYSTEMS = {
    "truth": ("truth", "#222222"),
    "fgn": ("fgn-demo", "#d55e00"),
    "graphcast_ensemble": ("graphcast-ensemble-demo", "#009e73"),
    "gencast": ("gencast-demo", "#cc79a7"),
}


def of_z500(path: Path) -> dict[tuple[str, float], dict]:
    """Entries for Z500 by system and lead time in hours; of members, not of their mean."""
    entries = json.loads(path.read_text())
    return {
        (entry["system"], entry["lead_time_hours"]): entry
        for entry in entries
        if (entry["variable"], entry["level"]) == ("geopotential", 500) and not entry.get("of_mean")
    }


def main(folder: Path) -> None:
    spectra, ranks = of_z500(folder / "spectra.json"), of_z500(folder / "rank_histograms.json")
    ensembles = [system for system in SYSTEMS if (system, LEADS[0]) in ranks]
    figure, (above, below) = plt.subplots(2, 3, figsize=(10, 5.6), layout="constrained")
    for power, histogram, lead in zip(above, below, LEADS, strict=True):
        for system, (label, colour) in SYSTEMS.items():
            if (system, lead) in spectra:
                values = spectra[system, lead]["power"][1:]
                power.loglog(range(1, len(values) + 1), values, color=colour, label=label, linewidth=1.6)
        for place, system in enumerate(ensembles):
            shares, width = ranks[system, lead]["shares"], 0.84 / len(ensembles)
            left = [rank + (place - (len(ensembles) - 1) / 2) * width for rank in range(len(shares))]
            histogram.bar(left, [share * len(shares) for share in shares], width=width, color=SYSTEMS[system][1])
        histogram.axhline(1, color="#222222", linewidth=1)
        power.set(title=f"{lead} h", xlabel="zonal wavenumber")
        histogram.set(xlabel="rank of the truth among the members")
    above[0].set(ylabel="power of Z500, m⁴ s⁻⁴")
    above[0].legend(frameon=False, fontsize=8)
    below[0].set(ylabel="frequency; 1 is flat")
    figure.savefig(Path(__file__).with_name("fgn-spectra.png"), dpi=100)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

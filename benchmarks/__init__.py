"""One command per claim about speed or memory; each prints ratios measured in one run. See README.md."""

# `make demo` and `make test` set up all they need on a machine with Python 3.11 or later, pip and make.
PYTHON ?= python3
UV := $(shell command -v uv || echo .uv/bin/uv)
OUT ?= demo
# Python is the machine's own; nothing but packages is downloaded.
export UV_PYTHON_DOWNLOADS = never

.PHONY: demo test setup check docs viewer

demo: setup
	.venv/bin/airmass demo --out $(OUT)

test: setup
	.venv/bin/python -m pytest -n 2 --dist worksteal

setup: $(UV)
	$(UV) sync --quiet --frozen --extra simulate --python $(PYTHON)

check: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

# The site, in docs/_build/html; any warning fails.
docs: $(UV)
	$(UV) sync --quiet --frozen --extra simulate --group docs --python $(PYTHON)
	.venv/bin/sphinx-build -q -W --keep-going -b html docs docs/_build/html

# The page of `airmass view`, from viewer/ into airmass/plots/viewer; needs Node 20 or later.
viewer:
	cd viewer && npm ci --ignore-scripts --no-audit --no-fund && npm run check && npm run build

.uv/bin/uv:
	$(PYTHON) -m pip install --quiet --target .uv "uv>=0.8"

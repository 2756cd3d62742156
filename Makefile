# `make demo` and `make test` set up all they need on a machine with Python 3.11 or later, pip and make.
PYTHON ?= python3
UV := $(shell command -v uv || echo .uv/bin/uv)
OUT ?= demo
# Python is the machine's own; nothing but packages is downloaded.
export UV_PYTHON_DOWNLOADS = never

.PHONY: demo test setup check

demo: setup
	.venv/bin/airmass demo --out $(OUT)

test: setup
	.venv/bin/python -m pytest -n 2

setup: $(UV)
	$(UV) sync --quiet --frozen --extra simulate --python $(PYTHON)

check: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

.uv/bin/uv:
	$(PYTHON) -m pip install --quiet --target .uv "uv>=0.8"

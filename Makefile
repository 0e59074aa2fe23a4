# Everything happens in .venv; both commands make it on a machine that has only Python and make.
PYTHON ?= python3
BIN := .venv/bin
comma := ,

.PHONY: demo test torture lint format docs benchmark coverage clean

demo: .venv/base
	$(BIN)/score sample_data/reviews.parquet -o preds.parquet --overwrite
	$(BIN)/python sample_data/show.py preds.parquet
	@echo "next: type \". .venv/bin/activate\", then \"score --help\"; all predictions are in preds.parquet"

test: .venv/dev lint
	$(BIN)/python -m pytest

torture: .venv/dev
	$(BIN)/python -m pytest -m torture -s

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/dev
	$(BIN)/python docs/generate_commands.py

.venv/bin/python:
	@$(PYTHON) -c "import sys; sys.exit('Python 3.11 or later is needed, this is ' + sys.version.split()[0] if sys.version_info < (3, 11) else 0)"
	$(PYTHON) -m venv .venv

.venv/base: .venv/bin/python pyproject.toml constraints.txt
	@echo "installing into .venv, 0.7 GB: a minute or two"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/dev: .venv/bin/python pyproject.toml constraints.txt
	@echo "installing into .venv, 3 GB: some minutes"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch .venv/base $@

# Ten to fifteen minutes on two cores, four with QUICK=1; needs nothing but the time.
benchmark: .venv/dev
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick,--size 384 --size base --rows 10000$(comma)100000$(comma)1000000)

# How often each interval of evaluate-labels holds the true value, into docs/evaluation.md: about five minutes of one core;
# the table there is of TRIALS=2000, which takes five times as long.
coverage: .venv/dev
	$(BIN)/python -m benchmarks.coverage $(if $(TRIALS),--trials $(TRIALS)) --write docs/evaluation.md

clean:
	rm -rf .venv preds.parquet

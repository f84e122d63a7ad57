# make run | serve | test | soak | check | bench | bench-gpu | format | clean; each makes .venv where
# it is absent.
#
# PYTHON names the interpreter that .venv is made from (3.10 to 3.13), VENV another place
# for it:  make run PYTHON=python3.12
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TOUR := build/tour
BENCH ?=
PYTEST ?=
MODEL ?= caffenet-caltech101
VIS ?=
SERVE ?= 127.0.0.1:8765

.PHONY: help run serve model test soak check bench bench-gpu visualizations format clean

help:
	@echo "make run     the live window (without a display: a short tour as PNG files);"
	@echo "             MODEL=NAME shows another model under models/, as MODEL=efficientnet-lite0"
	@echo "make serve   the same window in a browser (SERVE=[HOST:]PORT says where)"
	@echo "make test    the tests              (PYTEST='-k pooling' passes options on)"
	@echo "make soak    the tests, with many rounds of the long loops"
	@echo "make check   ruff, mypy, import arrows"
	@echo "make bench   the benchmarks         (BENCH='--only forward' passes options on)"
	@echo "make bench-gpu  a CUDA GPU beside the processor: one table, build/bench-gpu.txt"
	@echo "make visualizations MODEL=NAME PHOTOS=DIR"
	@echo "             all unit images of a model under models/ (VIS='--plan' passes options on)"
	@echo "make format  lay the code out with ruff"
	@echo "make clean   remove .venv, the tour's pictures and caches"

# Each stamp is newer than the requirements it stands for, or they are installed anew.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { \
	    echo "The toolbox needs Python 3.10 to 3.13, and $(PYTHON) is $$($(PYTHON) -V 2>&1):" \
	         "name another one, for example: make run PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	    echo "$(PYTHON) cannot make $(VENV): on Debian and Ubuntu, apt-get install" \
	         "python3-venv mends that" >&2; rm -rf $(VENV); exit 1; }

$(VENV)/run.stamp: requirements.txt | $(BIN)/python
	@echo "Installing requirements.txt into $(VENV); the first time takes some minutes."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(BIN)/python -c 'import cv2' 2>/dev/null || { \
	    $(BIN)/python -c 'import cv2' 2>&1 | tail -n 1 >&2; \
	    echo "OpenCV needs that system library: on Debian and Ubuntu, apt-get install libgl1" \
	         "libglib2.0-0 brings it." >&2; exit 1; }
	@touch $@

$(VENV)/test.stamp: requirements-test.txt $(VENV)/run.stamp
	@echo "Installing requirements-test.txt into $(VENV)."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    -r requirements.txt -r requirements-test.txt
	@touch $@

# MODEL=NAME, said on the command line, shows the model of that folder under models/.
SAID := $(filter command,$(firstword $(origin MODEL)))
TEMPLATE = models/$(MODEL)/settings_local.template-$(MODEL).py

run: $(VENV)/run.stamp $(if $(SAID),model)
	$(BIN)/python live_vis.py $(if $(SAID),--settings '$(TEMPLATE)') --run-or-tour $(TOUR)

serve: $(VENV)/run.stamp $(if $(SAID),model)
	$(BIN)/python live_vis.py $(if $(SAID),--settings '$(TEMPLATE)') --serve '$(SERVE)'

# What only this model needs, where it needs anything.
model: $(VENV)/run.stamp
	@test -f '$(TEMPLATE)' || { echo "There is no model $(MODEL) under models/; there are:" \
	    $(notdir $(patsubst %/,%,$(wildcard models/*/))) >&2; exit 1; }
	@test ! -f 'models/$(MODEL)/requirements.txt' || $(BIN)/python -m pip install --quiet \
	    --disable-pip-version-check -r 'models/$(MODEL)/requirements.txt'

# What has windows and clocks runs apart from what computes, a file of it in one process (each has
# a display of its own); no tests found (5) is no failure, as PYTEST='-k ...' may choose from one
# of the two only. The second run counts for `make test`.
SIDE_BY_SIDE := -n 2 --dist worksteal
FILE_BY_FILE := -n 2 --dist loadfile
WINDOWS := tests/e2e tests/bench

test: $(VENV)/test.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(SIDE_BY_SIDE) $(PYTEST) tests \
	    $(WINDOWS:%=--ignore=%) || test $$? -eq 5
	$(BIN)/python -m pytest $(FILE_BY_FILE) $(PYTEST) $(WINDOWS) || test $$? -eq 5

soak: $(VENV)/test.stamp
	$(BIN)/python -m pytest --soak -o faulthandler_timeout=0 $(PYTEST) tests

check: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/run.stamp
	$(BIN)/python -m bench $(BENCH)

bench-gpu: $(VENV)/run.stamp
	@mkdir -p build
	$(BIN)/python -m bench --only gpu $(BENCH) > build/bench-gpu.txt
	@cat build/bench-gpu.txt

# SETTINGS=FILE takes the place of MODEL for a model of your own.
visualizations: $(VENV)/run.stamp $(if $(SETTINGS),,model)
	$(BIN)/python -m visualizations $(if $(SETTINGS),--settings '$(SETTINGS)',--model '$(MODEL)') \
	    $(if $(PHOTOS),--photos '$(PHOTOS)') $(VIS)

format: $(VENV)/test.stamp
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

# build/training, hours of checkpoints, stays.
clean:
	rm -rf *.egg-info python/*.egg-info build/lib build/bdist.* python/build
	rm -rf $(VENV) $(TOUR) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

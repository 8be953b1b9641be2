# Each target installs what it needs into .venv first. `make` alone lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
CHECKS := $(VENV)/.checks
SPARK := $(VENV)/.spark
SEARCH := $(VENV)/.search
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
UV := $(BIN)/python -m uv pip install --quiet --system-certs -c constraints.txt
# uv takes half of pip's time; pip follows where uv is missing, or finds no index but pip's own.
install = { $(UV) $(1) 2>/dev/null || $(PIP) $(1); }

# Python compiles a module when it is first imported, and keeps it: a fifth of all are.
unexport PYTHONDONTWRITEBYTECODE
export PATH := $(CURDIR)/$(BIN):$(PATH)
.DEFAULT_GOAL := help
.PHONY: help check-source demo serve deploy daily rollback ab-report bench-service soak check checker-test api lint test test-slow test-spark \
  prove chaos loop licences full-size compare back mend search ablation clean-demo

help:           ## this list
	@grep -E '^[a-z-]+: .*##|^[a-z-]+:  *##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 16

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "feedrank needs Python 3.11 or newer; '$(PYTHON)' is older. Try: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(RUNTIME): requirements.txt constraints.txt pyproject.toml | $(BIN)/python
	@echo "installing requirements.txt into $(VENV) (once, a minute or two)"
	@$(PIP) uv || true
	@$(call install,-r requirements.txt) && $(call install,--no-deps -e .) && touch $@

$(CHECKS): requirements-dev.txt $(RUNTIME)
	@$(call install,-r requirements-dev.txt) && touch $@

$(SPARK): requirements-spark.txt $(CHECKS)
	@$(call install,-r requirements-spark.txt) && touch $@

$(SEARCH): requirements-search.txt $(RUNTIME)
	@$(call install,-r requirements-search.txt) && touch $@

demo: $(RUNTIME)          ## the whole pipeline on the simulated network, then its numbers and a feed
	@python -m feedrank.checkout.mend
	dvc repro
	@python -m service.show

PORT ?= 8000
ARTIFACT ?= models/artifact
serve: $(RUNTIME)         ## the deployed artifact on http://127.0.0.1:8000, or elsewhere: make serve PORT=8001
	@python -m service.deploy --first $(ARTIFACT) --force="$$FORCE"
	python -m service --port $(PORT)

deploy: $(RUNTIME)        ## serve a checked copy of the artifact, if nothing speaks against it: make deploy FORCE='why all the same'
	@python -m service.deploy $(ARTIFACT) --force="$$FORCE"

daily: $(RUNTIME)         ## extract, build, validate, deploy or refuse; for cron: python -m service.daily, whose exit codes are its own
	@python -m service.daily --force="$$FORCE"

rollback: $(RUNTIME)      ## move that link back to what was served before
	@python -m service.deploy --rollback

check-source: $(RUNTIME)  ## problems of the database of FEED_DSN, all at once, in seconds; reads no rows but a sample
	@python -m feedrank.extraction.check.findings

EXPOSURES ?= exposures
ab-report: $(RUNTIME)     ## hit rate of control and test, from exposures and likes: make ab-report EXPOSURES=exposures
	@python -m service.ab_report $(EXPOSURES)

bench-service: $(CHECKS)  ## time to answer, requests a second and memory of a real service under load (needs wrk)
	@python -m benchmarks.service.service $(ARTIFACT)

soak: $(CHECKS)           ## the same for 90 s with hot swaps: no request may fail, memory may not grow
	@python -m benchmarks.service.service $(ARTIFACT) --soak 90 --workers 2

check: $(CHECKS)          ## 2,000 requests to the running service: hit rate, time and memory beside the limits
	@python -m benchmarks.service.check

checker-test: $(CHECKS)   ## the same to models/checker, in the course's environment and in a current one
	@python -m benchmarks.checker

lint: $(CHECKS)           ## style and types
	ruff check .
	ruff format --check .
	mypy

api: $(CHECKS)            ## the API reference, from the docstrings, into data/api
	python -W "ignore:Error parsing type annotation" -W "ignore:Failed to run TYPE_CHECKING code" -W "ignore:Couldn't import feedrank.training.on_spark" \
	  -m pdoc feedrank service '!feedrank.engines.spark' '!feedrank.training.on_spark' -d google --no-show-source -o data/api

test: $(CHECKS) lint      ## lint, types, all tests, and the whole pipeline on a small demo
	python -m pytest -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

test-slow: $(CHECKS)      ## what takes many minutes: how often intervals hold the truth, the container's steps
	python -m pytest -m slow

test-spark: $(SPARK)      ## the engine `spark` against processes; needs Java 17, installs PySpark (500 MB)
	python -m pytest tests/engines/test_spark.py -rs

prove: $(RUNTIME)         ## rebuild everything in a scratch folder and compare every output, byte by byte
	python -m benchmarks.prove

chaos: $(CHECKS)          ## kills at random moments, load with swaps, odd requests, bad artifacts, lost connections, full disks, clocks; or all: make chaos WITH=--full
	@python -m benchmarks.chaos.service $(WITH)
	@python -m benchmarks.chaos.artifact
	@python -m benchmarks.chaos.pipeline $(WITH)

loop: $(CHECKS)           ## a network whose feed is what the service answers, eight weeks: numbers and a picture: make loop WITH='--explore 0'
	@python -m benchmarks.loop $(WITH)

licences: $(RUNTIME)      ## package, version and licence of all that requirements.txt brings in
	@python -m benchmarks.licences

full-size: $(CHECKS)      ## the reference installation, and ten times its log: simulate, build, serve; writes docs/benchmarks.md
	python -m benchmarks.scale.full_size

A ?= HEAD
B ?= workspace
WITH ?=
compare: $(RUNTIME)       ## does run B beat run A? make compare A=main B=my-experiment WITH='--tolerance 0.005'
	@python -m feedrank.experiments.compare $(A) $(B) $(WITH)

back: $(RUNTIME)          ## go back to the last commit, data and models too, if nothing is lost; or lose it: make back WITH=--discard
	@python -m feedrank.checkout.back $(WITH)

mend: $(RUNTIME)          ## mend what a killed run cut off of DVC's own files; `make demo` does it first
	@python -m feedrank.checkout.mend

search: $(SEARCH)         ## better parameters, sought before the weeks that validate judges: make search WITH='--trials 24'
	@python -m feedrank.experiments.search $(WITH)

ablation: $(RUNTIME)      ## what each part of the ranker is worth; some minutes, writes reports/ablation.json
	@python -m feedrank.experiments.ablation
	@dvc repro --quiet --single-item --force report

clean-demo:               ## forget the demo's database
	rm -rf data/demo

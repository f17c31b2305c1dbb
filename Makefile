# Two commands: `make run` and `make test`. Both install first; an interrupted installation goes on where it stopped.
SHELL := /bin/bash
# Without bytecode every process of the tests compiles all of them again
export PYTHONDONTWRITEBYTECODE :=
.DEFAULT_GOAL := help
PYTEST := .venv/bin/python -m pytest
# Two processes take one file after the other: a file's tests share servers
SHARED := $(PYTEST) --numprocesses=2 --dist=loadfile --no-loadscope-reorder

.PHONY: help install run test test-cluster test-fast test-in-a-pod test-slow lint coverage golden lock clean images push sbom deploy \
	bench-chain bench-charts bench-curation bench-filters bench-recovery bench-scaling \
	bench-schedules bench-submit bench-tokenizing bench-training bench-whole-curation pictures screenshots

help:        ## What there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

install:     ## Create .venv and install the locked dependencies
	@infra/install.sh

run: install ## The whole chain: from a corpus to a registered model (recipe smoke)
	@.venv/bin/longrun run

lint: install ## ruff, mypy and the import contracts
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

test: install lint ## Everything but the marks slow, gpu and cluster
	$(SHARED) -m "not slow and not gpu and not cluster"

test-fast: install ## The quick ones: what needs no Ray, no servers and no training
	$(SHARED) -m "not slow and not gpu and not cluster and not ray and not long"

test-slow: install ## The long ones
	$(SHARED) -m "slow and not gpu and not cluster"

test-cluster: install ## The whole path on a real cluster, installed and removed again (PROFILE=, VALUES=trial, FLYTE_VALUES=, RECIPE=tiny, AGAIN=1)
	CLUSTER_PROFILE="$(PROFILE)" CLUSTER_VALUES="$(or $(VALUES),trial)" CLUSTER_FLYTE_VALUES="$(FLYTE_VALUES)" \
	    CLUSTER_RECIPE="$(or $(RECIPE),tiny)" CLUSTER_AGAIN="$(AGAIN)" $(PYTEST) -p no:randomly -rs -s -m cluster tests/cluster

test-in-a-pod: install ## Recipe `tiny` as in a pod: not root, a read-only root folder, a Ray of its own defaults
	.venv/bin/python -m pytest -rs tests/end_to_end/test_as_in_a_pod.py

coverage: install ## How much of the code the quick tests reach, in a run of its own, against its floor
	.venv/bin/coverage erase
	.venv/bin/coverage run -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder \
	    -m "not slow and not gpu and not cluster and not ray and not long"
	.venv/bin/coverage combine --quiet
	.venv/bin/coverage report

golden: install ## Write the defaults, and what built-in recipes and sweeps say beside them, into tests/golden
	.venv/bin/python -m tests.golden.built_in

pictures: install ## Draw the picture of the chain in the README again, from the stages in the code
	.venv/bin/python -m tests.pictures.chain

screenshots: install ## Update the run and the report that the README shows, from a finished run (KEEP=HOME, default .longrun); needs Chromium
	.venv/bin/python -m tests.pictures.of_a_run $(KEEP)

lock: install ## Compile infra/locks/*.txt from pyproject.toml again
	@infra/lock.sh

images:      ## Build the images with docker, podman or buildah (TORCH=cpu, REGISTRY=, IMAGES=, ...: infra/containers/build.sh); LOAD=CLUSTER: into kind
	@infra/containers/build.sh $(if $(LOAD),--load $(LOAD))

push:        ## Build the images and push them (REGISTRY=); their digests as [image_digests] go to .longrun/images.toml
	@infra/containers/build.sh --push

deploy: install ## Install what must stand in a cluster (PROFILE=, VALUES=trial or a file, FLYTE_VALUES=, CHARTS=, REGISTRY=, DRY_RUN=1, REMOVE=1)
	@.venv/bin/longrun deploy $(if $(PROFILE),--profile $(PROFILE)) $(if $(VALUES),--values $(VALUES)) \
	    $(if $(FLYTE_VALUES),--flyte-values $(FLYTE_VALUES)) $(if $(CHARTS),--charts $(CHARTS)) \
	    $(if $(REGISTRY),--registry $(REGISTRY)) $(if $(DRY_RUN),--dry-run) $(if $(REMOVE),--remove)

sbom: install ## A bill of materials for each image, into .longrun/sbom
	@.venv/bin/python -m infra.sbom .longrun/sbom

clean:       ## Remove what installing left; artifacts in .longrun stay
	rm -rf .venv .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis longrun.egg-info

bench-chain: install ## The main job: time, memory, reuse, bits per byte (RECIPE=smoke, KEEP=DIR: a home that stays)
	.venv/bin/python -m tests.benchmarks.chain $(or $(RECIPE),smoke) $(KEEP)

bench-training: install ## Training beside a plain PyTorch loop and Hugging Face's Trainer, and the stall of checkpoints (SIZE=small, SIZE=gpu)
	.venv/bin/python -m tests.benchmarks.training $(SIZE)

bench-recovery: install ## How long training stands still after a lost worker, and after a lost node
	.venv/bin/python -m tests.benchmarks.recovery

bench-curation: install ## Near-duplicate removal beside rensa, datasketch, text-dedup and datatrove (DOCUMENTS=100000)
	.venv/bin/python -m tests.benchmarks.curation $(DOCUMENTS)

bench-scaling: install ## Fits and plans: time, beside L-BFGS-B on the same fit
	.venv/bin/python -m tests.benchmarks.scaling

bench-schedules: install ## The multi-step schedule beside the cosine one (RECIPE=smoke, KEEP=DIR: a home that stays)
	.venv/bin/python -m tests.benchmarks.schedules $(or $(RECIPE),smoke) $(KEEP)

bench-filters: install ## The heuristic filters of curation beside datatrove's
	.venv/bin/python -m tests.benchmarks.filters

bench-whole-curation: install ## The whole curation, every step on, in MB/s of one core, by step (MEGABYTES=60 a domain)
	.venv/bin/python -m tests.benchmarks.whole_curation $(MEGABYTES)

bench-tokenizing: install ## Token shards beside encode_batch and tiktoken, in MB/s of one core (MEGABYTES=10 a domain)
	.venv/bin/python -m tests.benchmarks.tokenizing $(MEGABYTES)

bench-charts: install ## Helm template and checks of the three shapes of the chart
	.venv/bin/python -m tests.benchmarks.charts

bench-submit: install ## A submission to a cluster: our part, from the command's start
	.venv/bin/python -m tests.benchmarks.submit

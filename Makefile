# The two main commands are `make run` and `make test`. Both install first; an interrupted installation continues where it stopped.
SHELL := /bin/bash
# without bytecode files every test process would compile all modules again
export PYTHONDONTWRITEBYTECODE :=
.DEFAULT_GOAL := help
PYTEST := .venv/bin/python -m pytest
# two processes; all tests of a file run in the same one, because they share servers
SHARED := $(PYTEST) --numprocesses=2 --dist=loadfile --no-loadscope-reorder

.PHONY: help install run test test-cluster test-fast test-in-a-pod test-slow lint coverage golden lock clean images push sbom deploy \
	bench-chain bench-charts bench-curation bench-filters bench-recovery bench-scaling \
	bench-schedules bench-submit bench-tokenizing bench-training bench-whole-curation pictures screenshots

help:        ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 22

install:     ## Create .venv and install the locked dependencies
	@infra/install.sh

run: install ## Run recipe smoke: the whole chain from a corpus to a registered model
	@.venv/bin/longrun run

lint: install ## Run ruff, mypy and the import contracts
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

test: install lint ## Run all tests except those marked slow, gpu or cluster
	$(SHARED) -m "not slow and not gpu and not cluster"

test-fast: install ## Run the quick tests, which need no Ray, no servers and no training
	$(SHARED) -m "not slow and not gpu and not cluster and not ray and not long"

test-slow: install ## Run the tests marked slow
	$(SHARED) -m "slow and not gpu and not cluster"

test-cluster: install ## Test everything on a real cluster, from installation to removal (PROFILE=, VALUES=trial, FLYTE_VALUES=, RECIPE=tiny, AGAIN=1)
	CLUSTER_PROFILE="$(PROFILE)" CLUSTER_VALUES="$(or $(VALUES),trial)" CLUSTER_FLYTE_VALUES="$(FLYTE_VALUES)" \
	    CLUSTER_RECIPE="$(or $(RECIPE),tiny)" CLUSTER_AGAIN="$(AGAIN)" $(PYTEST) -p no:randomly -rs -s -m cluster tests/cluster

test-in-a-pod: install ## Run recipe tiny as in a pod: not as root, with a read-only root folder and Ray's default settings
	.venv/bin/python -m pytest -rs tests/end_to_end/test_as_in_a_pod.py

coverage: install ## Measure the coverage of the quick tests, and fail if it is below the minimum
	.venv/bin/coverage erase
	.venv/bin/coverage run -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder \
	    -m "not slow and not gpu and not cluster and not ray and not long"
	.venv/bin/coverage combine --quiet
	.venv/bin/coverage report

golden: install ## Write config defaults and the values of built-in recipes and sweeps to tests/golden
	.venv/bin/python -m tests.golden.built_in

pictures: install ## Draw the README's picture of the chain again, from the stages in the code
	.venv/bin/python -m tests.pictures.chain

screenshots: install ## Update the run and the report that the README shows, from a finished run (KEEP=HOME, default .longrun); needs Chromium
	.venv/bin/python -m tests.pictures.of_a_run $(KEEP)

lock: install ## Compile infra/locks/*.txt from pyproject.toml
	@infra/lock.sh

images:      ## Build the images with docker, podman or buildah (TORCH=cpu, REGISTRY=, IMAGES=; all options: infra/containers/build.sh); LOAD=CLUSTER loads them into a kind cluster
	@infra/containers/build.sh $(if $(LOAD),--load $(LOAD))

push:        ## Build and push the images (REGISTRY=), and write their digests as [image_digests] to .longrun/images.toml
	@infra/containers/build.sh --push

deploy: install ## Install the services that longrun needs in a cluster (PROFILE=, VALUES=trial or a file, FLYTE_VALUES=, CHARTS=, REGISTRY=, DRY_RUN=1, REMOVE=1)
	@.venv/bin/longrun deploy $(if $(PROFILE),--profile $(PROFILE)) $(if $(VALUES),--values $(VALUES)) \
	    $(if $(FLYTE_VALUES),--flyte-values $(FLYTE_VALUES)) $(if $(CHARTS),--charts $(CHARTS)) \
	    $(if $(REGISTRY),--registry $(REGISTRY)) $(if $(DRY_RUN),--dry-run) $(if $(REMOVE),--remove)

sbom: install ## Write a bill of materials for each image to .longrun/sbom
	@.venv/bin/python -m infra.sbom .longrun/sbom

clean:       ## Delete the installation and caches; artifacts in .longrun stay
	rm -rf .venv .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis longrun.egg-info

bench-chain: install ## Benchmark a whole run: time, memory, reuse, bits per byte (RECIPE=smoke; KEEP=DIR keeps its home)
	.venv/bin/python -m tests.benchmarks.chain $(or $(RECIPE),smoke) $(KEEP)

bench-training: install ## Benchmark training against a plain PyTorch loop and Hugging Face's Trainer, and the delay by checkpoints (SIZE=small, SIZE=gpu)
	.venv/bin/python -m tests.benchmarks.training $(SIZE)

bench-recovery: install ## Measure how long training is interrupted by a lost worker and by a lost node
	.venv/bin/python -m tests.benchmarks.recovery

bench-curation: install ## Benchmark near-duplicate removal against rensa, datasketch, text-dedup and datatrove (DOCUMENTS=100000)
	.venv/bin/python -m tests.benchmarks.curation $(DOCUMENTS)

bench-scaling: install ## Benchmark fits of scaling laws, against L-BFGS-B on the same fit, and plans
	.venv/bin/python -m tests.benchmarks.scaling

bench-schedules: install ## Compare the multi-step schedule with the cosine schedule (RECIPE=smoke; KEEP=DIR keeps its home)
	.venv/bin/python -m tests.benchmarks.schedules $(or $(RECIPE),smoke) $(KEEP)

bench-filters: install ## Benchmark the heuristic filters of curation against datatrove's
	.venv/bin/python -m tests.benchmarks.filters

bench-whole-curation: install ## Benchmark curation with every step switched on: MB/s of one core, by step (MEGABYTES=60 per domain)
	.venv/bin/python -m tests.benchmarks.whole_curation $(MEGABYTES)

bench-tokenizing: install ## Benchmark making token shards against encode_batch and tiktoken, in MB/s of one core (MEGABYTES=10 per domain)
	.venv/bin/python -m tests.benchmarks.tokenizing $(MEGABYTES)

bench-charts: install ## Benchmark rendering and checking the chart in its three shapes
	.venv/bin/python -m tests.benchmarks.charts

bench-submit: install ## Benchmark our part of submitting a run to a cluster, from the command's start
	.venv/bin/python -m tests.benchmarks.submit

# What a person runs here. `make` alone lists the targets.
.DEFAULT_GOAL := help
.PHONY: help demo test walk fuzz lint proto bench clean

VENV := .venv
export PYTHONUNBUFFERED := 1

help: ## list the targets
	@echo "Media Streaming Mesh"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'

# `exec` puts msm in the shell's place, so that Ctrl-C and SIGTERM reach it directly and make waits for its end.
demo: ## play a bundled camera through the mesh; SECONDS=10 makes it end by itself
	@sh scripts/venv.sh requirements.txt
	@exec $(VENV)/bin/msm demo $(if $(SECONDS),--seconds $(SECONDS))

test: ## install what the tests need, then check and test everything
	@sh scripts/test.sh

walk: ## lead real Envoys through random changes, 60 s in each of four variants; SECONDS=600 takes longer, SEED=1 repeats
	@sh scripts/venv.sh requirements-dev.txt
	@sh scripts/envoy.sh
	@MSM_WALK_SEED=$(or $(SEED),$$(date +%s)) MSM_WALK_SECONDS=$(or $(SECONDS),60) \
		$(VENV)/bin/pytest tests/integration/test_xds_walk.py -rP

fuzz: ## make up bytes for all that reads strangers', 60 s for each reader; SECONDS=240 takes longer, TARGET=parser one
	@sh scripts/venv.sh requirements-dev.txt
	@$(VENV)/bin/python -m tests.rtsp_filter.fuzz --seconds $(or $(SECONDS),60) $(TARGET)

lint: ## formatting, style, types and the direction of imports
	@sh scripts/venv.sh requirements-dev.txt
	@sh scripts/lint.sh

proto: ## generate mesh/wire/*_pb2* from the .proto files there
	@sh scripts/venv.sh requirements-dev.txt
	@sh scripts/proto.sh .

bench: ## measure the mesh against direct connections; writes docs/benchmarks.md; PARTS="setup tcp" measures only those
	@sh scripts/venv.sh requirements-dev.txt
	@exec $(VENV)/bin/python -m tests.bench --write $(PARTS)

clean: ## remove what the other targets made
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist
	find . -name __pycache__ -prune -exec rm -rf {} +

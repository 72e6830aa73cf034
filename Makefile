# Every target installs what it needs. `make help` lists the targets.
PYTHON ?= python3.11
VENV   ?= .venv
CONFIG ?= configs/fgclip_ucf.py
ARGS   ?=
DEMO_DATA = data/demo
DEMO_DIR  = work_dirs/fgclip_demo
WEAK_DATA = data/demo_weak
CLIPS     = data/wildlife_demo
CLIPS_DIR = work_dirs/mbt_wildlife_demo
CAPTIONS  = data/captions_demo
FSGR_DIR  = work_dirs/fsgr_demo

# The newest checkpoint of a work dir.
last = $(1)/$$(basename "$$(cat $(1)/last_checkpoint)")
BIN    := $(VENV)/bin
# The environment's tools come first, so programs started by a tool are from the environment, too.
export PATH := $(abspath $(BIN)):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help install demo demo-features methods wildlife captions ped2 train docs test check bench clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

install:  ## Create .venv and install torch, mmcv with its ops (compiled once, about 3 minutes) and the other packages
	@$(PYTHON) -c '' 2>/dev/null || { \
	  echo "error: there is no working '$(PYTHON)'. Install Python 3.11 (Debian, Ubuntu: apt install python3.11" \
	       "python3.11-venv python3.11-dev), or set the path of one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; \
	  exit 2; }
	@$(PYTHON) tools/install.py --venv $(VENV)

# An interrupted demo continues; a finished one is only tested again. ARGS=--overwrite starts over. The threshold is chosen
# on training videos: on others the rate of false alarms is higher, and the test prints it (frame/far_calibrated).
demo: install  ## Render synthetic videos, train FG-CLIP on them, test it: about 15 minutes on 2 cores
	$(BIN)/python tools/make_demo_data.py --out $(DEMO_DATA) --seed 1 --classes Normal Arson Explosion
	$(BIN)/python tools/train.py configs/fgclip_demo.py --work-dir $(DEMO_DIR) $(or $(ARGS),--resume)
	$(BIN)/python tools/calibrate.py configs/fgclip_demo.py "$(call last,$(DEMO_DIR))" \
	  $(DEMO_DATA)/Videos/Training_Normal_Videos_Anomaly --false-alarms-per-hour 20
	$(BIN)/python tools/test.py configs/fgclip_demo.py "$(call last,$(DEMO_DIR))" \
	  --work-dir $(DEMO_DIR)/test --out $(DEMO_DIR)/metrics.json --show-dir $(DEMO_DIR)/pictures \
	  --report $(DEMO_DIR)/report
	@echo
	@echo "log          $$(ls -t $(DEMO_DIR)/*/*.log | grep -v '^$(DEMO_DIR)/test/' | head -n 1)"
	@echo "TensorBoard  $(BIN)/tensorboard --logdir $(DEMO_DIR)"
	@echo "checkpoint   $(call last,$(DEMO_DIR))"
	@echo "metrics      $(DEMO_DIR)/metrics.json, scores of every frame in $(DEMO_DIR)/metrics.npz"
	@echo "pictures     $(DEMO_DIR)/pictures"
	@echo "report       $(DEMO_DIR)/report/index.html: the held-out videos with player, curve, events"

# All six kinds of events, in videos of at least nine snippets of 16 frames.
demo-features: install  ## Render synthetic videos, extract features of them and of blanked frames, for the weakly supervised demos
	$(BIN)/python tools/make_demo_data.py --out $(WEAK_DATA) --seed 1 --train 240 --test 84 --frames 144 208
	$(BIN)/python tools/make_demo_features.py --data $(WEAK_DATA) --out $(DEMO_DATA)_features

# One protocol for all methods, not the published ones. ARGS is passed to compare_methods.py, e.g. ARGS="--seeds 0".
methods: demo-features  ## Train all weakly supervised methods on these features with three seeds and blanked controls: one table
	$(BIN)/python tools/compare_methods.py $$($(BIN)/python tools/zoo.py --demos) --blank --out work_dirs/methods \
	  --cfg-options ap_mode=step rank_by=logits smoothing=None $(ARGS)

# As for the demo: an interrupted run continues, a finished one is only tested again; ARGS=--overwrite starts over.
wildlife: install  ## Render clips of animals with sound, train MBT on them, test it with each modality: 10 minutes
	$(BIN)/python tools/make_wildlife_data.py --out $(CLIPS)
	$(BIN)/python tools/prepare_wildlife.py $(CLIPS)/metadata.csv $(CLIPS)/videos --out $(CLIPS)/processed --size 64
	$(BIN)/python tools/train.py configs/mbt_wildlife_demo.py --work-dir $(CLIPS_DIR) $(or $(ARGS),--resume)
	$(BIN)/python tools/test.py configs/mbt_wildlife_demo.py "$(call last,$(CLIPS_DIR))" \
	  --work-dir $(CLIPS_DIR)/test --out $(CLIPS_DIR)/metrics.json --show-dir $(CLIPS_DIR)/pictures
	$(BIN)/python tools/ablate_modalities.py configs/mbt_wildlife_demo.py "$(call last,$(CLIPS_DIR))" \
	  --out $(CLIPS_DIR)/modalities --subset $(CLIPS)/needs_both.json
	@echo
	@echo "checkpoint   $(call last,$(CLIPS_DIR))"
	@echo "metrics      $(CLIPS_DIR)/metrics.json, probabilities of every clip in $(CLIPS_DIR)/metrics.npz"
	@echo "pictures     $(CLIPS_DIR)/pictures/index.html"
	@echo "modalities   $(CLIPS_DIR)/modalities/table.md, and figures in the same folder"

# As for the demo. Shuffled pictures are the control: the remaining CIDEr-D is what all captions have in common.
captions: install  ## Render pictures with captions, train FSGR (cross-entropy, then self-critical), test it, caption pictures: 20 minutes
	$(BIN)/python tools/make_caption_data.py --out $(CAPTIONS)
	$(BIN)/python tools/train.py configs/fsgr_demo.py --work-dir $(FSGR_DIR) $(or $(ARGS),--resume)
	$(BIN)/python tools/test.py configs/fsgr_demo.py $(FSGR_DIR)/best_*.pth --work-dir $(FSGR_DIR)/test \
	  --out $(FSGR_DIR)/metrics.json
	$(BIN)/python tools/train.py configs/fsgr_demo_scst.py --work-dir $(FSGR_DIR)_scst $(or $(ARGS),--resume) \
	  --cfg-options load_from="$$(ls $(FSGR_DIR)/best_*.pth)"
	$(BIN)/python tools/test.py configs/fsgr_demo_scst.py $(FSGR_DIR)_scst/best_*.pth --work-dir $(FSGR_DIR)_scst/test \
	  --out $(FSGR_DIR)_scst/metrics.json --show-dir $(FSGR_DIR)_scst/pictures
	$(BIN)/python tools/test.py configs/fsgr_demo_scst.py $(FSGR_DIR)_scst/best_*.pth --work-dir $(FSGR_DIR)_scst/test \
	  --out $(FSGR_DIR)_scst/metrics_shuffled.json --cfg-options shuffled_images=True
	$(BIN)/python tools/infer.py configs/fsgr_demo_scst.py $(FSGR_DIR)_scst/best_*.pth \
	  $$(ls $(CAPTIONS)/images/test/* | head -n 5)
	@echo
	@echo "checkpoints  $$(ls $(FSGR_DIR)/best_*.pth) and, self-critical, $$(ls $(FSGR_DIR)_scst/best_*.pth)"
	@echo "metrics      metrics.json in their folders, and metrics_shuffled.json for shuffled pictures"
	@echo "pictures     $(FSGR_DIR)_scst/pictures/index.html"

# The folder in any tree that people have. Without DETECTOR (yolox_nano.onnx of YOLOX's releases) no weights are used.
PED2 = configs/$(if $(DETECTOR),aivad_ped2,aivad_ped2_blobs).py
PED2_DIR = work_dirs/$(basename $(notdir $(PED2)))
PED2_OPTIONS = --cfg-options data_root=$(DATA) $(if $(DETECTOR),detector=$(DETECTOR))
ped2: install  ## Fit and test one-class detection on UCSD Ped2: make ped2 DATA=FOLDER DETECTOR=yolox_nano.onnx; 10 minutes
	@test -n "$(DATA)" || { echo "error: name the folder of UCSD Ped2: make ped2 DATA=FOLDER (docs/oneclass.md)" >&2; exit 2; }
	$(if $(DETECTOR),$(BIN)/python -m pip install --quiet --requirement requirements/onnx.txt)
	$(BIN)/python tools/train.py $(PED2) --work-dir $(PED2_DIR) $(or $(ARGS),--resume) $(PED2_OPTIONS)
	$(BIN)/python tools/test.py $(PED2) "$(call last,$(PED2_DIR))" --work-dir $(PED2_DIR)/test \
	  --out $(PED2_DIR)/metrics.json $(PED2_OPTIONS)

train: install  ## Train: make train CONFIG=configs/fgclip_ucf.py ARGS="--cfg-options data_root=..."
	$(BIN)/python tools/train.py $(CONFIG) $(ARGS)

docs: install  ## Build the documentation site, docs/_build/html/index.html; warnings are errors
	@$(BIN)/python -m pip install --quiet --constraint requirements/constraints.txt --requirement requirements/docs.txt
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs docs/_build/html
	@echo "docs/_build/html/index.html"

# One thread per process avoids oversubscription by the two test processes; the first that is through takes tests of the other.
# Tests start many commands: compiled modules are kept, even where the environment says otherwise, or each command would
# compile all of VADLab again.
test: install check  ## Run the checks and the tests (ARGS is passed to pytest, e.g. ARGS=--runslow)
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

check: install  ## Check style, formatting, types, spelling, layers of imports, doctests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/lint-imports --no-cache
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --doctest-modules vadlab tools/install.py

bench: install  ## Measure speed and memory against references (ARGS is passed to benchmark.py, e.g. ARGS=--quick)
	$(BIN)/python tools/benchmark.py $(ARGS)

clean:  ## Remove build files and caches; keep .venv, data and work_dirs
	rm -rf build dist *.egg-info docs/_build docs/reference .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# Three commands. Each sets up .venv if needed:
#
#   make demo    plays a drive to the node over DDS and writes out/demo
#                BAG=drive.mcap, VIDEO=drive.mp4 or IMAGES=folder plays this drive, not the synthetic town;
#                MODEL=bundle segments with another model, GROUPING=camvid11 compares with labels of that
#                grouping, RATE=15 plays a folder at 15 Hz, CALIBRATION=cameras.yaml gives the cameras' positions, so
#                that the report and the bag also have grids in metres
#   make test    runs ruff, mypy and all tests
#   make docs    builds the pages of docs/ and the API as a site in out/site
#
# PYTHON=python3.12 chooses the interpreter of .venv.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
TOWN := out/town
SOURCE := $(or $(BAG),$(VIDEO),$(IMAGES))
CALIBRATION ?= $(if $(SOURCE),,$(TOWN)/leftImg8bit/demo/town0100/calibration.yaml)
ifneq (,$(word 2,$(if $(BAG),BAG) $(if $(VIDEO),VIDEO) $(if $(IMAGES),IMAGES)))
$(error give one of BAG, VIDEO and IMAGES)
endif

# These commands use the wheels in .venv. A ROS environment of the calling shell is ignored.
unexport $(filter AMENT_% COLCON_% ROS_% RMW_% RCL_% RCUTILS_% FASTDDS_% FASTRTPS_% CYCLONEDDS_%,$(.VARIABLES))
unexport CMAKE_PREFIX_PATH LD_LIBRARY_PATH PYTHONHOME PYTHONPATH SKIP_DEFAULT_XML _ROS_WHEELS_BOOTSTRAP_COMPLETE

.DELETE_ON_ERROR:
.PHONY: demo test docs

demo: $(VENV)/.messages $(if $(SOURCE),,$(TOWN)/.rendered)
	$(PY) -m unet_seg_ros.replay "$(or $(SOURCE),$(TOWN))" --mode live --output out/demo \
		$(if $(CALIBRATION),--calibration "$(CALIBRATION)") \
		$(if $(MODEL),--model "$(MODEL)") $(if $(GROUPING),--grouping $(GROUPING)) $(if $(RATE),--rate $(RATE))

test: $(VENV)/.messages $(VENV)/.dev
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(PY) -m pytest

docs: $(VENV)/.dev
	$(PY) -m mkdocs build --strict
	@echo "Open out/site/index.html"

$(TOWN)/.rendered: $(VENV)/.installed training/synthetic.py $(wildcard training/town/*.py)
	rm -rf $(TOWN)
	$(PY) -m training.synthetic $(TOWN) --split demo --seed 100  # a drive that no model was trained on
	touch $@

$(VENV)/.created:
	@command -v $(PYTHON) >/dev/null || { echo "unet_seg_ros: no $(PYTHON): install Python 3.10 to 3.13" >&2; exit 1; }
	@$(PYTHON) tools/check_host.py
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.installed: $(VENV)/.created requirements/run.txt requirements/ros.txt
	$(PY) -m pip install --disable-pip-version-check -r requirements/run.txt -r requirements/ros.txt
	touch $@

$(VENV)/.messages: $(VENV)/.installed tools/build_msgs.py $(wildcard unet_seg_msgs/* unet_seg_msgs/msg/*)
	$(PY) tools/build_msgs.py
	touch $@

$(VENV)/.dev: $(VENV)/.installed requirements/training.txt requirements/cluster.txt requirements/dev.txt \
		requirements/docs.txt
	$(PY) -m pip install --disable-pip-version-check -r requirements/training.txt -r requirements/cluster.txt \
		-r requirements/dev.txt -r requirements/docs.txt
	touch $@

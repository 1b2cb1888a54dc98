#!/bin/sh
# A LeRobot checkpoint, evaluated by Assay. LeRobot runs in an environment of its own.
#
# Once: python run_eval.py env build lerobot
# Or, if you have LeRobot installed already, add: --policy-python FOLDER-OF-THAT-ENVIRONMENT
python run_eval.py run --policy "lerobot:${CHECKPOINT:-outputs/train/checkpoints/last/pretrained_model}" \
    --benchmark libero_object --protocol lerobot "$@"

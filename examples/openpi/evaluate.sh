#!/bin/sh
# openpi's server, evaluated by Assay. Nothing has to be written: `remote:` speaks its protocol.
#
# Where openpi is installed (its own environment, with a GPU):
#     uv run scripts/serve_policy.py --env LIBERO        # the checkpoint pi05_libero
# For your own checkpoint:
#     uv run scripts/serve_policy.py policy:checkpoint --policy.config=pi05_libero --policy.dir=FOLDER
#
# Where Assay is installed:
python run_eval.py run --policy "remote:${SERVER:-ws://127.0.0.1:8000}?name=pi05_libero" \
    --benchmark libero_object --protocol openpi "$@"

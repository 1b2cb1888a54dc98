#!/bin/sh
# E0's released server, evaluated by Assay. It speaks openpi's protocol with openpi's keys for LIBERO.
#
# Where E0 is installed (github.com/Doo-mon/e0, its own environment, with a GPU):
#     python scripts/serve_policy.py --port=8000 policy:checkpoint \
#         --policy.config=e0_diff_hybrid_libero --policy.dir=./checkpoints/e0_diff_hybrid_libero
#
# Where Assay is installed. The protocol e0 executes all 10 actions of a chunk; openpi would execute 5.
python run_eval.py run --policy "remote:${SERVER:-ws://127.0.0.1:8000}?name=e0_diff_hybrid_libero" \
    --benchmark libero_object --protocol e0 "$@"

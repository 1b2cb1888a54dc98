"""Cost of augmentation for a batch on one core, with one and with several interpolations.

    python perf/augmentation.py [--pictures 32] [--pixels 128] [--repeats 30]

Times are medians of the process's CPU time. `separate` crops, rotates and warps one after another,
as the released code does for crop and rotation. The last line is one JSON object.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from harness.play.threads import use_one_core

use_one_core()

import torch

from policies.augment.pictures import Augmentation
from policies.augment.spherical import Spherical

SPHERICAL = Spherical(share=0.5)
COLOURLESS = Augmentation(brightness=0.0, contrast=0.0, saturation=0.0)
KINDS: Mapping[str, tuple[Augmentation, ...]] = {
    "colours": (Augmentation(crop=1.0, rotation=0.0),),
    "as released": (Augmentation(),),
    "with viewpoint": (Augmentation(spherical=SPHERICAL),),
    "separate": (
        replace(COLOURLESS, crop=1.0, rotation=0.0, spherical=SPHERICAL),
        replace(COLOURLESS, rotation=0.0),
        Augmentation(crop=1.0),
    ),
}


def milliseconds(repeats: int, work: Callable[[], object]) -> float:
    """Return the median CPU time of some work, after a warm-up."""
    work()
    found = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return 1e3 * statistics.median(found)


def main() -> None:
    """Measure every kind of augmentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--pixels", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    shape = (options.pictures, 3, options.pixels, options.pixels)
    pictures = {"main": torch.rand(shape, generator=generator)}

    def changed(kinds: tuple[Augmentation, ...]) -> None:
        batch: Mapping[str, torch.Tensor] = pictures
        for augmentation in kinds:
            batch, _ = augmentation(batch, generator)

    found = {
        name: milliseconds(options.repeats, lambda kinds=kinds: changed(kinds))  # type: ignore[misc]
        for name, kinds in KINDS.items()
    }
    for name, value in found.items():
        print(f"{name:15} {value:6.1f} ms for a batch of {options.pictures}")
    ratio = found["separate"] / found["with viewpoint"]
    rounded = {name: round(value, 2) for name, value in found.items()}
    print(json.dumps({"ms": rounded, "separate_over_with_viewpoint": round(ratio, 2)}))


if __name__ == "__main__":
    main()

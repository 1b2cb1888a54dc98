"""Keeps MuJoCo's compiled models, since compiling one takes longer than all else of a build.

A model is kept under a key: the sha256 of its XML, of the content of every file that the XML names,
of MuJoCo's version, and of what else its arithmetic depends on (processor, C library). It has three
sorts of file in the cache:

- one for each texture and each mesh. The models of a suite share most of them: 40 tasks take
  0.9 GB, not 10.
- a skeleton: the pages of MuJoCo's own binary file that are not zero if textures and meshes are.
- a list of these.

To load a model, MuJoCo reads the skeleton, and the textures and meshes are read into the model's
arrays. The sha256 of each file is checked before, and at any error the model is compiled.

A loaded model equals the compiled one in all that MuJoCo saves. It has no `signature`, by which an
mjSpec knows the model that it compiled. `mj_saveLastXML` writes what the process compiled last, as
always.
"""

import contextlib
import copy
import functools
import hashlib
import itertools
import json
import os
import platform
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import mujoco
import numpy as np
from numpy.typing import NDArray

from benchmarks.file_cache import FileCache

FOLDER_VARIABLE = "ASSAY_CACHE"
_FORMAT = 1
"""The number changes with what is kept and how."""
_LIMIT = 2_000_000_000
_PAGE = 4096

_INDIRECT = frozenset({"include", "model", "attach", "plugin", "extension"})
"""Elements whose files name other files, or that run code."""


def compiled(xml: str) -> mujoco.MjModel:
    """Return the model of an XML text: kept, or compiled and then kept."""
    cache = _cache()
    key = _key(xml) if cache else None
    if cache is None or key is None:
        return mujoco.MjModel.from_xml_string(xml)
    # ValueError: MuJoCo refuses a skeleton, or the list does not fit to it.
    with contextlib.suppress(OSError, ValueError):
        return _load(cache, key)
    model = mujoco.MjModel.from_xml_string(xml)
    # A file may have changed while MuJoCo read it.
    if _key(xml) == key and mujoco.mj_sizeModel(model) < cache.limit // 2:
        # Keeping needs the memory of two more models for a moment.
        with contextlib.suppress(OSError, MemoryError):
            _keep(cache, key, model)
    return model


def _cache() -> FileCache | None:
    """Return the cache in ASSAY_CACHE or in the user's folder of caches, if it can be used.

    An empty ASSAY_CACHE turns it off.
    """
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    given = os.environ.get(FOLDER_VARIABLE, os.path.join(base, "assay"))
    if not given or given.startswith("~") or not hasattr(os, "memfd_create"):
        return None
    with contextlib.suppress(OSError):
        return FileCache(Path(given).absolute() / "models", _LIMIT)
    return None


def _keep(cache: FileCache, key: str, model: mujoco.MjModel) -> None:
    parts = [cache.put(views) for views in _parts(model)]
    bare = copy.copy(model)
    for view in itertools.chain(*_parts(bare)):
        np.frombuffer(view, np.uint8)[:] = 0
    size = mujoco.mj_sizeModel(bare)
    whole = np.zeros(-(-size // _PAGE) * _PAGE, np.uint8)
    mujoco.mj_saveModel(bare, None, whole[:size])
    pages = whole.reshape(-1, _PAGE)
    used = np.flatnonzero(pages.any(axis=1))
    skeleton = cache.put([pages[used].data.cast("B")])
    entry = {"size": size, "pages": used.tolist(), "skeleton": skeleton, "parts": parts}
    cache.put_by_key(key, json.dumps(entry).encode())
    cache.trim()


def _load(cache: FileCache, key: str) -> mujoco.MjModel:
    entry = json.loads(cache.get_by_key(key))
    skeleton = memoryview(bytearray(len(entry["pages"]) * _PAGE))
    cache.fill(entry["skeleton"], [skeleton])
    file = os.memfd_create("model")
    try:
        for index, page in enumerate(entry["pages"]):
            os.pwrite(file, skeleton[index * _PAGE : (index + 1) * _PAGE], page * _PAGE)
        os.ftruncate(file, entry["size"])
        model = mujoco.MjModel.from_binary_path(f"/proc/self/fd/{file}")
    finally:
        os.close(file)
    for digest, views in zip(entry["parts"], _parts(model), strict=True):
        cache.fill(digest, views)
    return model


def _parts(model: mujoco.MjModel) -> list[list[memoryview]]:
    """Return the memory of each texture and mesh of a model; together they are whole arrays."""
    found: dict[tuple[str, int], list[memoryview]] = {}
    for kind, starts, names in _cuts(model):
        # A mesh without texture coordinates begins at -1.
        first = {int(start): index for index, start in enumerate(starts) if start >= 0}
        for name in names:
            array = getattr(model, name)
            edges = sorted({0, *first, len(array)})
            for start, stop in itertools.pairwise(edges):
                views = found.setdefault((kind, first.get(start, -1)), [])
                views.append(array[start:stop].data.cast("B"))
    return list(found.values())


def _cuts(model: mujoco.MjModel) -> list[tuple[str, NDArray[np.int32], list[str]]]:
    """Return where each texture or mesh begins in the arrays that are kept apart.

    `mesh_polymapadr` holds positions in other arrays, so for one mesh it differs among models.
    `mesh_polyvertadr` does, too, and stays in the skeleton, since positions follow from it.
    """
    corners = np.append(model.mesh_polyvertadr, len(model.mesh_polyvert))[model.mesh_polyadr]
    faces = ["mesh_face", "mesh_facenormal", "mesh_facetexcoord"]
    boxes = ["bvh_aabb", "bvh_child", "bvh_nodeid", "bvh_depth"]
    return [
        ("texture", model.tex_adr, ["tex_data"]),
        ("mesh", model.mesh_vertadr, ["mesh_vert", "mesh_polymapnum"]),
        ("mesh", model.mesh_normaladr, ["mesh_normal"]),
        ("mesh", model.mesh_texcoordadr, ["mesh_texcoord"]),
        ("mesh", model.mesh_faceadr, faces),
        ("mesh", model.mesh_polyadr, ["mesh_polynormal", "mesh_polyvertnum"]),
        ("mesh", corners, ["mesh_polyvert", "mesh_polymap"]),
        ("mesh", model.mesh_bvhadr, boxes),
        ("positions", model.mesh_vertadr, ["mesh_polymapadr"]),
    ]


def _key(xml: str) -> str | None:
    """Return the key of a model, or None if not all files that it depends on are known."""
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return None
    paths: set[str] = set()
    for element in root.iter():
        if element.tag in _INDIRECT or "strippath" in element.attrib:
            return None
        paths.update(value for name, value in element.attrib.items() if name.startswith("file"))
    if not all(map(os.path.isabs, paths)):
        return None
    try:
        files = [(path, _content(path)) for path in sorted(paths)]
    except OSError:
        return None
    return hashlib.sha256(repr((_FORMAT, _machine(), xml, files)).encode()).hexdigest()


def _content(path: str) -> str:
    """Return the sha256 of a file; it is computed again only if the file changed."""
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{path} is no plain file")
    changes = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    return _content_of(path, changes)


@functools.lru_cache(maxsize=4096)
def _content_of(path: str, changes: tuple[int, ...]) -> str:
    del changes
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@functools.cache
def _machine() -> tuple[Any, ...]:
    """Return what a compiled model may depend on; one home folder may serve many machines."""
    flags: Iterable[str] = ()
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        flags = [line for line in itertools.islice(file, 64) if line.startswith(("flags", "Feat"))]
    libc = platform.libc_ver()
    return mujoco.mj_versionString(), platform.machine(), libc, tuple(flags)[:1]

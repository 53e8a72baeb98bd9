"""Every door through which a value out of a file could act is on a list here, found by looking at the syntax trees.

A door is a call that builds what a text names, imports it, starts a process, fills a template, or opens a path. A new
one fails these tests until somebody has looked where its values come from, and has written that down beside it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROOMS = ("umt", "benchmarks", "mmseg_configs", "depth", "reports")
OWN_TOOLS = ("benchmarks/perf/", "benchmarks/reproduction/")  # of developers: they read no file of others

# Where a backbone may be built with trust, and who has decided it: a person who typed the name, or --trust.
TRUSTING = {
    "umt/backbones/cli.py:check": "its argument",
    "umt/distill/ingredients.py:build_student": "`trusted` of load_recipe: --trust",
    "umt/distill/teachers/teacher.py:load_teacher": "`trusted` of load_recipe: --trust",
    "benchmarks/jobs/preflight.py:_check_backbone": "BackboneName.trusted",
    "benchmarks/cost/estimate.py:estimates_of": "BackboneName.trusted",
    "benchmarks/jobs/measure.py:build_of": "JobRequest.trusted, which is BackboneName.trusted",
    "reports/analysis/named.py:load_named": "BackboneName.trusted",
}
# Where a name is read as one that a person typed.
TYPED = {
    "benchmarks/cli/run.py:run": "arguments and --backbone",
    "benchmarks/cli/plan.py:plan": "arguments and --backbone",
    "benchmarks/run_options.py:_name": "arguments of `evaluate`, in a program of the user",
    "benchmarks/actions.py:_example_name": "a suite's example, only with --trust",
    "reports/analysis/named.py:load_named": "arguments",
}
# Where another library builds a model of options: all behind refuse_untrusted, unpickling refused.
BUILDING = {
    "umt/backbones/adapters/timm_adapter.py:build": "our create_model",
    "umt/backbones/recognition/builders.py:empty_model": "our create_model",
    "umt/backbones/adapters/timm_adapter.py:_create": "options of the spec",
    "umt/backbones/adapters/open_clip_adapter.py:create": "options of the spec, weights_only=True last",
    "umt/backbones/adapters/torchvision_adapter.py:load": "a name of torchvision's list, and of its weights",
    "umt/backbones/adapters/hf_adapter.py:_model": "a typed name; trust_remote_code only by its option trust=true",
    "umt/backbones/adapters/hub_adapter.py:load": "a typed name, which runs code",
    "umt/export/timm_folder.py:_loaded": "the folder that was just written",
}
# Where a module is imported by a text.
IMPORTING = {
    "umt/__init__.py:__getattr__": "_PLACES",
    "umt/cli.py:get_command": "COMMANDS",
    "umt/backbones/__init__.py:__getattr__": "names of this package",
    "umt/backbones/registry.py:_plugin_module": "a trusted name",
    "umt/backbones/registry.py:_module_from_file": "a trusted name",
    "umt/backbones/registry.py:_schemed_names": "a constant",
    "umt/backbones/checkpoint.py:load": "HEADS, which is a constant",
    "umt/backbones/registry.py:_import": "SCHEMES",
    "umt/backbones/adapters/pypi_weights.py:weight_file": "PACKAGES",
    "umt/data/registry.py:_declared": "BUILT_IN",
    "umt/backbones/adapters/module_adapter.py:wrap_module": "KINDS",
    "umt/backbones/adapters/hf_adapter.py:_transformers": "a constant",
    "umt/backbones/adapters/hf_adapter.py:_preprocess_of": "a constant",
    "umt/plugins.py:load": "an installed entry point",
    "benchmarks/callbacks.py:_lightning": "LIGHTNING",
    "benchmarks/jobs/preload.py:<module>": "constants",
    "benchmarks/jobs/forkserver.py:imported": "a constant of the caller, or umt.ACTIONS",
    "benchmarks/tasks/registry.py:_built_in": "BUILT_IN",
    "mmseg_configs/fused/map.py:kernel": "a constant",
}
# Where a process is started: a list of arguments, never a shell.
STARTING = {
    "umt/revision.py:_git": "git on our own folder",
    "umt/training/distributed.py:_first_host": "scontrol on Slurm's own variable",
}
# Where a template that is no constant is filled in.
FILLING = {
    "umt/data/mini/captions.py:write_captions": "constants",
    "umt/data/mini/layout.py:class_name_of": "a declaration",
    "umt/data/mini/layout.py:fill": "a declaration",
    "umt/data/folder/masks.py:read_masks": "a constant of the module",
    "umt/data/folder/masks.py:_present": "a constant of the module",
}
# Where a file is opened in another way than by umt.files: one of our own package, one that was just made, or one whose
# plain file has been opened before.
OPENING = {
    "umt/files.py:open_plain": "the opener itself",
    "umt/backbones/weights.py:read_file": "after read_head",
    "umt/backbones/weights.py:refuse_damaged_zip": "after open_plain",
    "umt/backbones/weights.py:_check_sum": "an entry of an archive that is open",
    "umt/backbones/containers/files.py:open_zip": "the handle of open_plain",
    "umt/backbones/containers/files.py:_zip_kind": "the handle of open_plain",
    "umt/backbones/containers/files.py:_read_npz": "the handle of open_plain, without pickles",
    "umt/data/images.py:opened": "the handle of open_plain",
    "umt/data/layouts.py:_gather": "an archive after refuse_odd",
    "umt/data/layouts.py:matlab": "the handle of open_plain",
    "umt/data/mini/labelled.py:save_matlab": "embedded data, in a folder that was just made",
    "umt/data/sets/labelled/inat2018.py:write_records": "embedded data, in a folder that was just made",
    "umt/data/mini/labelled.py:write_list": "embedded data, in a folder that was just made",
    "umt/data/mini/crops.py:write_lines": "embedded data, in a folder that was just made",
    "umt/data/sets/voc2012.py:write_mini": "embedded data, in a folder that was just made",
    "umt/data/mini/rendered/keypoints.py:write_pairs": "embedded data, in a folder that was just made",
    "umt/data/mini/rendered/frames.py:write_objects": "embedded data, in a folder that was just made",
    "umt/data/mini/rendered/frames.py:_save_arrays": "embedded data, in a folder that was just made",
    "umt/data/sets/scannet_pairs.py:_arrays": "the bytes of read_plain, without pickles",
    "umt/data/mini/rendered/keypoints.py:_write_image": "embedded data, in a folder that was just made",
    "umt/data/mini/landmarks.py:write_landmarks": "embedded data, in a folder that was just made",
    "umt/data/mini/captions.py:write_captions": "embedded data, in a folder that was just made",
    "umt/data/sets/variants/objectnet.py:write_mini": "embedded data, in a folder that was just made",
    "umt/data/sets/landmarks/__init__.py:_build": "an archive after refuse_odd",
    "umt/data/sets/davis2017.py:write_mini": "embedded data, in a folder that was just made",
    "umt/data/sets/kitti.py:write_mini": "embedded data, in a folder that was just made",
    "umt/data/mini/write.py:_replace": "embedded data, in a folder that was just made",
    "umt/data/prepare/extract.py:tar_entries": "the handle of open_plain",
    "umt/data/prepare/extract.py:zip_entries": "the handle of open_plain",
    "umt/data/prepare/extract.py:write": "a new file below the work folder, at a path from `inside`",
    "umt/data/sets/imagenet.py:_write_class": "an entry of an archive",
    "umt/data/sets/nyuv2.py:labelled_items": "an archive after refuse_odd; h5py's links and storage are refused",
    "umt/data/sets/nyuv2.py:read_splits": "an archive after refuse_odd",
    "umt/data/prepare/plain.py:copy_plain": "after refuse_odd",
    "umt/data/shards/devkit.py:_contents": "the handle of open_plain",
    "umt/data/shards/devkit.py:_wnids": "bytes in memory, of a member of limited size",
    "umt/data/shards/index.py:_stored": "the handle of open_plain",
    "umt/data/shards/members.py:_groups": "the handle of open_plain",
    "umt/locks.py:lock": "a lock, which filelock does not open through a link",
    "umt/distill/cache/cache.py:__init__": "after open_plain",
    "umt/export/folder.py:export_folder": "in a folder that was just made",
    "umt/feature_cache/entry.py:_mapped": "the handle of open_plain",
    "umt/feature_cache/key.py:_code_hash": "the source of a class that is loaded",
    "umt/feature_cache/lookup.py:finish": "CacheEntry.open, by open_plain",
    "benchmarks/tasks/robustness.py:_read": "the handle of open_plain, without pickles",
    "benchmarks/tasks/kept_models.py:read_model": "the handle of open_plain, weights alone",
    "benchmarks/jobs/cluster.py:_last_words": "submitit's own log",
    "reports/paired/values.py:_read_raw": "the handle of open_plain, without pickles; a name from `component`",
    "reports/tables/compare.py:_counterpart": "our package",
    "reports/export/cli.py:export": "in a folder that was just made",
    "reports/figures/figure.py:digest": "our package",
    "reports/figures/panels.py:stored_picture": "the bytes of read_plain, as PNG alone",
    "reports/writers/html.py:html_page": "our package",
}
# Where a folder or file is made, and who picks its place: the user by an option, or the program below one by constants
# and by what `component` and `below` give.
MAKING = {
    "umt/files.py:writable_folder": "its caller",
    "umt/backbones/checkpoint.py:save_checkpoint": "its caller",
    "umt/data/cli.py:prepare": "--data-root",
    "umt/data/mini/dense.py:pair_folders": "constants",
    "umt/data/mini/digits.py:write_corruptions": "constants",
    "umt/data/sets/labelled/voc2007.py:write_mini": "constants",
    "umt/data/sets/voc2012.py:write_mini": "constants",
    "umt/data/mini/landmarks.py:write_landmarks": "constants",
    "umt/data/mini/captions.py:write_captions": "constants",
    "umt/data/sets/variants/objectnet.py:write_mini": "constants",
    "umt/data/sets/landmarks/__init__.py:_build": "constants",
    "umt/data/sets/davis2017.py:write_mini": "constants",
    "umt/data/sets/cityscapes.py:write_mini": "constants",
    "umt/data/sets/kitti.py:write_mini": "constants",
    "umt/data/mini/digits.py:write_digits": "constants",
    "umt/data/mini/digits.py:write_inverted": "constants",
    "umt/data/sets/labelled/cars.py:write_annotations": "constants",
    "umt/data/mini/labelled.py:write_list": "constants",
    "umt/data/mini/rendered/keypoints.py:write_pairs": "constants",
    "umt/data/mini/rendered/keypoints.py:_make_folders": "constants",
    "umt/data/mini/rendered/frames.py:write_rooms": "constants",
    "umt/data/mini/rendered/frames.py:write_objects": "constants",
    "umt/data/mini/labelled.py:write_labelled": "constants",
    "umt/data/mini/write.py:_replace": "constants",
    "umt/data/prepare/cifar.py:_write": "`component`",
    "umt/data/mini/write.py:write_set": "constants",
    "umt/data/sets/aircraft.py:write_mini": "constants",
    "umt/data/sets/caltech101.py:write_mini": "constants",
    "umt/data/sets/cub.py:write_mini": "constants",
    "umt/data/prepare/download.py:download": "the name of an Archive",
    "umt/data/prepare/extract.py:write_entries": "`inside`",
    "umt/data/prepare/flow.py:_build": "the target of a Part",
    "umt/data/prepare/flow.py:prepare": "constants",
    "umt/data/sets/imagenet.py:_write_class": "an alphanumeric name",
    "umt/data/sets/imagenet.py:build_val": "WordNet ids, which are checked",
    "umt/data/sets/nyuv2.py:make_folders": "constants",
    "umt/data/checks/record.py:write_record": "a data set that is known",
    "umt/data/shards/index.py:_store": "the user's cache folder, a digest",
    "umt/distill/cache/pca.py:write_bases": "a constant in --out, which `writable_folder` has made",
    "umt/distill/cache/cache.py:write": "--out",
    "umt/distill/cache/writer.py:_write": "--out, a number",
    "umt/distill/cache/writer.py:fill": "--out",
    "umt/distill/train.py:claim_folder": "--out, else `component` of the recipe's name",
    "umt/export/folder.py:export_folder": "--out, else `component`",
    "umt/feature_cache/entry.py:finish": "--cache, a digest",
    "umt/feature_cache/disk_cache.py:locked": "--cache or --out",
    "umt/training/curves.py:_wandb_id": "--out, a constant",
    "umt/training/curves.py:forget_after": "--out, a constant",
    "umt/training/runner.py:save_run": "--out, a constant",
    "mmseg_configs/best.py:_save_weights": "the job's folder, constants",
    "benchmarks/api.py:_prepare": "--out, else `component` of the suite's name",
    "benchmarks/jobs/cluster.py:__init__": "--out, a constant",
    "benchmarks/jobs/status.py:_write": "--out, a constant, and host and process by umt.files.component",
    "benchmarks/jobs/worker.py:open_log": "Key.stem, of `component`",
    "benchmarks/jobs/worker.py:run_job": "`below` of Key.stem",
    "benchmarks/suite/resolutions.py:_columns": "--out, names of tasks and protocols of a suite",
    "benchmarks/tasks/robustness.py:_write": "--cache, a digest",
    "benchmarks/tasks/kept_models.py:keep_model": "--cache, a digest",
    "benchmarks/results.py:_write_picture": "`component`",
    "benchmarks/results.py:write": "`below` of Key.stem",
    "reports/cli.py:write_report": "--out",
    "reports/writers/files.py:write_files": "--out; constants, `component`, Key.stem, names that a suite checks",
}

Sinks = Mapping[str, tuple[str, ...]]
SINKS: Sinks = {
    "building": ("create_model", "get_model", "from_pretrained", "from_config", "hub.load"),
    "importing": ("import_module", "__import__", "spec_from_file_location", "exec_module"),
    "starting": (
        "subprocess.run", "subprocess.Popen", "subprocess.call", "subprocess.check_call", "subprocess.check_output",
        "os.system", "os.popen", "os.execv", "os.execvp", "os.spawnv", "os.posix_spawn", "pty.spawn",
    ),
    "opening": (
        "open", "read_text", "read_bytes", "write_text", "write_bytes", "load_file", "safe_open", "loadmat", "copytree",
        "copyfile", "copy2", "ZipFile", "FileLock", "open_memmap", "memmap", "fromfile", "h5py.File", "torch.load",
        "np.load",
    ),
    "making": ("mkdir", "makedirs", "mkdtemp", "atomic_file", "writable_folder"),
}  # fmt: skip


@cache
def trees() -> dict[str, ast.Module]:
    paths = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    names = {path.relative_to(ROOT).as_posix(): path for path in paths}
    return {
        name: ast.parse(path.read_text(encoding="utf-8"))
        for name, path in names.items()
        if not name.startswith(OWN_TOOLS)
    }


def calls(tree: ast.AST, where: str = "<module>") -> Iterator[tuple[str, ast.Call]]:
    """Each call with the name of the innermost function, or method, that it stands in."""
    for node in ast.iter_child_nodes(tree):
        inside = node.name if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) else where
        if isinstance(node, ast.Call):
            yield inside, node
        yield from calls(node, inside)


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a call's function; what is no plain name is `?`."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def found(sources: Mapping[str, ast.Module], holds: object) -> set[str]:
    """`file:function` of every call for which `holds` is true."""
    assert callable(holds)
    return {f"{name}:{inside}" for name, tree in sources.items() for inside, call in calls(tree) if holds(call)}


def is_sink(kind: str) -> object:
    def holds(call: ast.Call) -> bool:
        name = dotted(call.func)
        return any(name == sink or name.endswith(f".{sink}") for sink in SINKS[kind])

    return holds


def trusts(call: ast.Call) -> bool:
    """create_backbone with trust that is not the constant False, or with options that could bring it."""
    if not dotted(call.func).endswith("create_backbone"):
        return False
    trusted = [word.value for word in call.keywords if word.arg == "trusted"]
    return any(not (isinstance(value, ast.Constant) and value.value is False) for value in trusted)


def reads_as_typed(call: ast.Call) -> bool:
    return dotted(call.func).endswith("read_name") and any(word.arg == "trusted" for word in call.keywords)


def fills(call: ast.Call) -> bool:
    """`str.format` on what is no literal and no constant of the module, which a field of a file could be."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in ("format", "format_map", "safe_substitute"):
        return False
    template = call.func.value
    constant = isinstance(template, ast.Constant) or (isinstance(template, ast.Name) and template.id.isupper())
    return not constant


@pytest.mark.parametrize(
    ("doors", "holds"),
    [
        (TRUSTING, trusts),
        (TYPED, reads_as_typed),
        (BUILDING, is_sink("building")),
        (IMPORTING, is_sink("importing")),
        (STARTING, is_sink("starting")),
        (FILLING, fills),
        (OPENING, is_sink("opening")),
        (MAKING, is_sink("making")),
    ],
    ids=["trust", "typed", "create_model", "import", "process", "format", "open", "make"],
)
def test_every_door_is_known(doors: Mapping[str, str], holds: object) -> None:
    there = found(trees(), holds)
    if doors is IMPORTING:
        there.add("umt/plugins.py:load")  # EntryPoint.load, which is a method of any name
    assert sorted(there - doors.keys()) == [], "new doors: look where their values come from, and list them"
    assert sorted(doors.keys() - there) == [], "doors that are gone"


@pytest.mark.parametrize(
    ("holds", "source"),
    [
        (trusts, "create_backbone(text, trusted=True)"),
        (trusts, "umt.backbones.create_backbone(text, trusted=flag)"),
        (reads_as_typed, "def f():\n    read_name(text, trusted=True)"),
        (is_sink("building"), "timm.create_model(name, **options)"),
        (is_sink("building"), "transformers.AutoModel.from_pretrained(name)"),
        (is_sink("building"), "torch.hub.load(folder, entry, source='local')"),
        (is_sink("importing"), "import importlib\nimportlib.import_module(name)"),
        (is_sink("starting"), "import subprocess\nsubprocess.run(command, shell=True)"),
        (is_sink("starting"), "os.system(text)"),
        (is_sink("opening"), "path.read_text()"),
        (is_sink("opening"), "open(path)"),
        (is_sink("opening"), "(folder / name).open('rb')"),
        (is_sink("making"), "(out / label).mkdir(parents=True)"),
        (fills, "part.format(**places)"),
        (fills, "suite.example[0].format(out=out)"),
        (fills, "Template(text).safe_substitute(places)"),
    ],
)
def test_a_new_door_is_found(holds: object, source: str) -> None:
    assert found({"new.py": ast.parse(source)}, holds)


@pytest.mark.parametrize(
    ("holds", "source"),
    [
        (trusts, "create_backbone(text)"),
        (trusts, "create_backbone(text, trusted=False)"),
        (reads_as_typed, "read_name(text)"),
        (is_sink("building"), "created_model(name)"),
        (fills, "'{}x{}'.format(*grid)"),
        (fills, "CAPTION.format(basis=basis)"),
    ],
)
def test_what_is_no_door_is_left_alone(holds: object, source: str) -> None:
    assert not found({"new.py": ast.parse(source)}, holds)

"""A model parallelized over processes: copies that share gradients (DDP), or a share of the weights on each (FSDP)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
from mmengine.dist import get_dist_info, is_main_process
from mmengine.model import BaseModel, MMDistributedDataParallel, is_model_wrapper
from timm.layers import convert_sync_batchnorm
from torch import Tensor, distributed, nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.modules.batchnorm import _BatchNorm

from umt.training.param_groups import Group

PARALLEL = ("ddp", "fsdp")
# parameters from which on a block is gathered by itself, not with the rest of the model
MIN_SHARD_PARAMETERS = 1_000_000


@contextmanager
def parallelize(model: BaseModel, groups: list[Group], parallel: str) -> Iterator[tuple[nn.Module, list[Group]]]:
    """Yield the model to train for `model`, and its optimiser groups; afterwards `model` itself holds the weights.

    All processes start from the weights of the first. On GPUs, BatchNorm sees the batches of all processes; CPUs have
    no such BatchNorm, so each process sees its own batch, and the first process's statistics count.
    """
    if get_dist_info()[1] == 1:
        yield model, groups
        return
    for value in model.state_dict().values():
        distributed.broadcast(value, src=0)
    if next(model.parameters()).is_cuda:
        convert_sync_batchnorm(model)
    if parallel == "ddp":
        yield _replicas(model), groups
    else:
        with _sharded(model, groups) as sharded_groups:
            yield model, sharded_groups


def unsynced_batchnorm(model: nn.Module) -> bool:
    """Return true if BatchNorm would see each process's images alone."""
    on_cpu = not next(model.parameters()).is_cuda
    return get_dist_info()[1] > 1 and on_cpu and any(isinstance(module, _BatchNorm) for module in model.modules())


def unwrap(model: nn.Module) -> nn.Module:
    """Return the model inside of its wrapper, if it has one."""
    return cast(nn.Module, model.module) if is_model_wrapper(model) else model


def gather(tree: Any) -> Any:
    """Return nested values with every tensor whole, on the CPU of the first process; the others get None for tensors.

    Every process must call it: each gives its shards.
    """
    if isinstance(tree, Mapping):
        return {key: gather(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(gather(value) for value in tree)
    if not isinstance(tree, Tensor):
        return tree
    full = tree.full_tensor() if isinstance(tree, DTensor) else tree
    return full.detach().cpu() if is_main_process() else None


def local_shard(value: Tensor) -> Tensor:
    """Return the part of a tensor that this process holds, as a view."""
    return value.to_local() if isinstance(value, DTensor) else value


def shard_like(value: Tensor, reference: Tensor) -> Tensor:
    """Return a whole tensor on the device of another, in the same layout and sharded in the same way."""
    if isinstance(reference, DTensor):
        return distribute_tensor(value.to(reference.device).contiguous(), reference.device_mesh, reference.placements)
    return torch.empty_like(reference, dtype=value.dtype).copy_(value)


def shard_optimiser_like(state: dict[str, Any], optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    """Return a whole optimiser state, with the values of a weight laid out and sharded as the weight is.

    Fused optimisers walk weights and moments side by side in memory: a moment that was saved in another layout would
    meet the wrong weights.
    """
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    cut = {
        number: {
            name: shard_like(value, weights[number]) if value.shape == weights[number].shape else value
            for name, value in values.items()
        }
        for number, values in state["state"].items()
    }
    return {**state, "state": cut}


def _replicas(model: BaseModel) -> nn.Module:
    device = next(model.parameters()).device
    return MMDistributedDataParallel(
        module=model,
        device_ids=[device] if device.type == "cuda" else None,
        find_unused_parameters=True,  # backbones have weights that features do not depend on, e.g. mask tokens
    )


@contextmanager
def _sharded(model: BaseModel, groups: list[Group]) -> Iterator[list[Group]]:
    """Shard the weights of `model` in place, and put it together again in the end."""
    from torch.distributed.fsdp import fully_shard  # from torch 2.6 on, and slow to import

    names = {id(value): name for name, value in model.named_parameters()}
    before = {module: (type(module), _own_state(module)) for module in model.modules()}
    model.to(memory_format=torch.contiguous_format)  # the only format that FSDP shards
    for block in [*_large_blocks(model), model]:
        fully_shard(block)
    cut = dict(model.named_parameters())
    yield [{**group, "params": [cut[names[id(value)]] for value in group["params"]]} for group in groups]
    weights = {name: value.full_tensor() for name, value in model.named_parameters() if isinstance(value, DTensor)}
    for module, (kind, state) in before.items():
        module.__class__ = kind
        module.__dict__.clear()
        module.__dict__.update(state)
    for name, parameter in model.named_parameters():
        parameter.data.copy_(weights[name])


def _own_state(module: nn.Module) -> dict[str, Any]:
    """Return a module's attributes, with its tables of parameters and hooks copied; buffers and children are shared."""
    shared = ("_buffers", "_modules")
    tables = {key for key, value in vars(nn.Module()).items() if isinstance(value, dict)} - set(shared)
    return {key: value.copy() if key in tables else value for key, value in vars(module).items()}


def _large_blocks(model: nn.Module) -> list[nn.Module]:
    """Return large links of chains, such as a transformer's blocks, from the inside out."""
    chains = [module for module in model.modules() if isinstance(module, nn.Sequential)]
    links = [link for chain in reversed(chains) for link in chain]
    return [link for link in links if sum(value.numel() for value in link.parameters()) >= MIN_SHARD_PARAMETERS]

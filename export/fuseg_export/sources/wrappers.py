"""A network without what training put around it: torch.compile, DataParallel."""

from __future__ import annotations

from types import MethodType

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

__all__ = ["COMPILED", "unwrapped"]

COMPILED = "_orig_mod"  # what torch.compile calls the module inside its own


def unwrapped(network: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """Remove what cannot be traced, or prefixes the names of weights.

    Args:
        network: May be, or hold anywhere, what ``torch.compile`` made; may be a
            ``DataParallel``. Modules that hold a compiled one are changed in place.

    Returns:
        The network itself, and a sentence on each kind of wrapper that was taken off.
    """
    taken_off = []
    while (inner := _inner(network)) is not None:
        compiled = _inside(network) is not None
        taken_off.append("torch.compile" if compiled else type(network).__name__)
        network = inner
    for module in list(network.modules()):
        if _inside(module) is not None:
            continue  # replaced where it is held
        for name, child in list(module._modules.items()):
            plain = child
            while plain is not None and (inside := _inside(plain)) is not None:
                plain = inside
            if plain is not child:
                taken_off.append("torch.compile")
                setattr(module, name, plain)
        if _uncompile(module):
            taken_off.append("torch.compile")
    return network, tuple(
        f"took {name} off the network" for name in dict.fromkeys(taken_off)
    )


def _inner(network: nn.Module) -> nn.Module | None:
    if isinstance(network, (DataParallel, DistributedDataParallel)):
        inner: nn.Module | None = network.module
        return inner
    return _inside(network)


def _inside(module: nn.Module) -> nn.Module | None:
    """What torch.compile wrapped; None if the module is not its wrapper."""
    inside: nn.Module | None = module._modules.get(COMPILED)
    return inside


def _uncompile(module: nn.Module) -> bool:
    """Undo ``module.compile()`` and a ``@torch.compile`` on its forward."""
    before = module._compiled_call_impl
    module._compiled_call_impl = None
    forward = module.forward
    plain = getattr(forward, "__func__", forward)
    original = getattr(plain, "_torchdynamo_orig_callable", None)
    if original is None:
        return before is not None
    bound = plain is not forward
    module.forward = MethodType(original, module) if bound else original
    return True

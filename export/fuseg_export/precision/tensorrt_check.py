"""Variants are shown to NVIDIA's own builder before a device sees them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from fuseg.backends.tensorrt.network_check import (
    can_check,
    check_network,
    require_builder,
)
from fuseg.errors import ArgumentError, BuildError

from .built_variant import BuiltVariant

__all__ = ["check_variants", "is_to_check", "left_out_if_refused"]


def is_to_check(choice: bool | None, dimensions: Collection[str] = ()) -> bool:
    """Whether variants are to be checked; None: where the builder is installed.

    Args:
        dimensions: Of the network, which must have none.

    Raises:
        ArgumentError: They are, and it has some.
        BuildError: They are, and it is not installed.
    """
    if dimensions:
        if choice:
            raise ArgumentError(
                "--check-tensorrt must be left out for a network whose sizes change, "
                f"got the dimension {', '.join(dimensions)}."
            )
        return False
    if choice:
        require_builder()
    return can_check() if choice is None else choice


def check_variants(
    built: Sequence[BuiltVariant], progress: Callable[[str], None]
) -> tuple[BuiltVariant, ...]:
    """Parse and build each variant that TensorRT may run, with TensorRT for RTX.

    Args:
        built: Those that are left out already stay so, unchecked.
        progress: Called with what is about to be done.

    Raises:
        BuildError: TensorRT for RTX is not installed.
    """
    return tuple(
        variant
        if variant.refused or variant.tensorrt_refused or variant.targets == ("cpu",)
        else _checked(variant, progress)
        for variant in built
    )


def left_out_if_refused(variant: BuiltVariant) -> BuiltVariant:
    """What is for TensorRT alone and is refused by it is left out of the bundle; what
    CPUs run too stays in it."""
    if variant.tensorrt_refused is None or "any" in variant.targets:
        return variant
    return replace(variant, refused=variant.refused or variant.tensorrt_refused)


def _checked(variant: BuiltVariant, progress: Callable[[str], None]) -> BuiltVariant:
    progress(f"building {variant.name} with TensorRT")
    model = variant.model.SerializeToString(deterministic=True)
    try:
        found = check_network(model, variant.precision)
    except BuildError as err:
        return left_out_if_refused(replace(variant, tensorrt_refused=str(err)))
    return replace(variant, tensorrt=found)

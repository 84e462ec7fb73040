"""Variants are shown to NVIDIA's own builder before a device sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from fuseg.backends.tensorrt.network_check import (
    Profile,
    can_check,
    check_network,
    profile_of,
    require_builder,
)
from fuseg.errors import BuildError
from fuseg.manifest import Manifest

from .built_variant import BuiltVariant

__all__ = ["check_variants", "is_to_check", "left_out_if_refused"]


def is_to_check(choice: bool | None) -> bool:
    """Whether variants are to be checked; None: where the builder is installed.

    Raises:
        BuildError: They are, and it is not installed.
    """
    if choice:
        require_builder()
    return can_check() if choice is None else choice


def check_variants(
    built: Sequence[BuiltVariant],
    manifest: Manifest,
    progress: Callable[[str], None],
) -> tuple[BuiltVariant, ...]:
    """Parse and build each variant that TensorRT may run, with TensorRT for RTX.

    Args:
        built: Those that are left out already stay so, unchecked.
        manifest: Of the bundle: its inputs, and the sizes that they may have.
        progress: Called with what is about to be done.

    Raises:
        BuildError: TensorRT for RTX is not installed.
    """
    profile = profile_of(manifest, [entry.tensor for entry in manifest.inputs])
    return tuple(
        variant
        if variant.refused or variant.tensorrt_refused or variant.targets == ("cpu",)
        else _checked(variant, profile, progress)
        for variant in built
    )


def left_out_if_refused(variant: BuiltVariant) -> BuiltVariant:
    """What is for TensorRT alone and is refused by it is left out of the bundle; what
    CPUs run too stays in it."""
    if variant.tensorrt_refused is None or "any" in variant.targets:
        return variant
    return replace(variant, refused=variant.refused or variant.tensorrt_refused)


def _checked(
    variant: BuiltVariant, profile: Profile, progress: Callable[[str], None]
) -> BuiltVariant:
    progress(f"building {variant.name} with TensorRT")
    model = variant.model.SerializeToString(deterministic=True)
    try:
        found = check_network(model, variant.precision, profile=profile)
    except BuildError as err:
        return left_out_if_refused(replace(variant, tensorrt_refused=str(err)))
    return replace(variant, tensorrt=found)

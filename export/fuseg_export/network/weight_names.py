"""The names of stored weights beside those of the network that they are for.

Trainers add prefixes to every name (DataParallel, Lightning), infixes (torch.compile)
and tensors of their own beside the network's (losses, averages, auxiliary heads).
Or the network has one itself, as it wraps the one that was trained. `match` gives names
and takes them; `foreign` says what may be left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from fuseg.errors import CheckpointError

from ..sources.wrappers import COMPILED

__all__ = ["Matched", "counted", "foreign", "match", "some"]

NAMED_AT_MOST = 10
_LONGEST = 80  # characters of a name in a sentence
_WRAPPERS = ("module", "model")  # which of two prefixes that fit alike is the network's
_PROFILED = ("total_ops", "total_params")  # counts that thop leaves in every layer


@dataclass(frozen=True)
class Matched:
    """Stored tensors under the network's names.

    Attributes:
        tensors: Those that have the prefix, without it.
        prefix: What was dropped; empty if nothing.
        beside: Names, as stored, of those without the prefix.
        versions: Of the modules that stored them, by the network's names, where the
            file says so; torch reads old ones in their own way.
        notes: What was changed, a sentence each.
    """

    tensors: dict[str, Tensor]
    prefix: str
    beside: tuple[str, ...]
    versions: dict[str, dict[str, int]]
    notes: tuple[str, ...]


def match(
    stored: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    versions: Mapping[str, dict[str, int]],
) -> Matched:
    """Give stored tensors the names that the network has for them.

    What torch.compile puts into names is dropped anywhere. Of the prefixes after which
    stored names are the network's, that of the most names is dropped, none if that is
    as good. Where no name is the network's, one of its own prefixes is added.

    Args:
        stored: As in the file.
        wanted: The network's own.
        versions: As torch stores them beside a state dict, by module.

    Raises:
        CheckpointError: Two prefixes fit alike, or two tensors get one name.
    """
    notes = []
    plain = {_uncompiled(name): tensor for name, tensor in stored.items()}
    if len(plain) < len(stored):
        raise CheckpointError(
            f"the checkpoint has tensors of one name with and without {COMPILED}., "
            "which torch.compile adds: save the state dict of one network alone."
        )
    compiled = sum(_uncompiled(name) != name for name in stored)
    if compiled:
        notes.append(f"dropped '{COMPILED}.' of {compiled} names")
    prefix = _prefix(plain, wanted)
    added = ""
    if not prefix and not any(name in wanted for name in plain):
        inner = _wrapper(plain)
        added = _wrapped({n.removeprefix(inner): t for n, t in plain.items()}, wanted)
        prefix = inner if added else ""
    beside = tuple(name for name in plain if not name.startswith(prefix))
    if prefix:
        count = f"{len(plain) - len(beside)} names" if beside else "every name"
        notes.append(f"dropped the prefix {_short(repr(prefix))} of {count}")
    inside = {n: t for n, t in plain.items() if n.startswith(prefix)}
    tensors = {name.removeprefix(prefix): t for name, t in inside.items()}
    if added:
        notes.append(f"gave every name the network's prefix {_short(repr(added))}")
    return Matched(
        tensors={f"{added}{name}": t for name, t in tensors.items()},
        prefix=prefix,
        beside=beside,
        versions=_renamed(versions, prefix, added),
        notes=tuple(notes),
    )


def foreign(network: nn.Module, names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Tell names of tensors that the network lacks apart.

    A tensor is foreign if it lies in a whole part that the network does not have: one
    at its top, or one that is called auxiliary. Of a part that it does have, one more
    layer or parameter changes what is computed, so it must not be left out.

    Returns:
        The foreign parts, with the number of their tensors; and the names that must
        not be left out.
    """
    parts: Counter[str] = Counter()
    needed = []
    top = _top(network)
    for name in names:
        words = name.split(".")
        depth = _known_depth(network, words)
        part = ".".join(words[: depth + 1])
        if words[-1] in _PROFILED:
            parts[words[-1]] += 1
        elif (
            depth < len(words) - 1
            and not words[depth].isdigit()
            and (words[:depth] == top[:depth] or "aux" in words[depth].lower())
        ):
            parts[part] += 1
        else:
            needed.append(name)
    return counted(parts), needed


def counted(parts: Mapping[str, int]) -> list[str]:
    """Parts of names, each with the number of its tensors."""
    return [p if count == 1 else f"{p} ({count} tensors)" for p, count in parts.items()]


def some(names: Sequence[str]) -> str:
    """The first ten of these names, and how many there are: printable, and short."""
    more = len(names) - NAMED_AT_MOST
    rest = f" and {more} more ({len(names)} in all)" if more > 0 else ""
    return ", ".join(map(_short, names[:NAMED_AT_MOST])) + rest


def _short(name: str) -> str:
    plain = name if name.isprintable() else ascii(name)
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 3]}..."


def _uncompiled(name: str) -> str:
    return ".".join(word for word in name.split(".") if word != COMPILED)


def _prefix(stored: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    fitting: dict[str, list[int]] = {}
    for name, tensor in stored.items():
        words = name.split(".")
        for i in range(len(words)):
            rest = ".".join(words[i:])
            if rest in wanted:
                counts = fitting.setdefault("".join(f"{w}." for w in words[:i]), [0, 0])
                counts[0] += 1
                counts[1] += tensor.shape == wanted[rest].shape
    if not fitting:
        return ""
    best = max(fitting.values())
    if 2 * best[0] < len(wanted):
        return ""  # another network's: the names stay as the user knows them
    prefixes = [prefix for prefix, counts in fitting.items() if counts == best]
    usual = [p for p in prefixes if set(p.split(".")) <= {*_WRAPPERS, ""}]
    if len(prefixes) > 1 and not usual:
        raise CheckpointError(
            f"the checkpoint holds the network's names {len(prefixes)} times, after "
            f"{some([repr(p) for p in prefixes])}: save the state dict of one alone."
        )
    return min(usual or prefixes, key=len)


def _wrapper(names: Iterable[str]) -> str:
    """The words of trainers that all names begin with."""
    rest, dropped = list(names), ""
    while (word := rest[0].partition(".")[0]) in _WRAPPERS:
        if not all(name.startswith(f"{word}.") for name in rest):
            break
        rest, dropped = [n.removeprefix(f"{word}.") for n in rest], f"{dropped}{word}."
    return dropped


def _wrapped(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """What the network's names begin with before these; empty if that is not one thing.

    At least half of the tensors must be there, in their shapes.
    """
    fitting: Counter[str] = Counter()
    for name, own in wanted.items():
        words = name.split(".")
        for i in range(1, len(words)):
            stored = tensors.get(".".join(words[i:]))
            if stored is not None and stored.shape == own.shape:
                fitting["".join(f"{word}." for word in words[:i])] += 1
    best = max(fitting.values(), default=0)
    if 2 * best < len(tensors):
        return ""
    prefixes = [prefix for prefix, count in fitting.items() if count == best]
    return prefixes[0] if len(prefixes) == 1 else ""


def _renamed(
    versions: Mapping[str, dict[str, int]], prefix: str, added: str
) -> dict[str, dict[str, int]]:
    whole = {f"{_uncompiled(module)}.".lstrip("."): v for module, v in versions.items()}
    return {
        f"{added}{module.removeprefix(prefix)}".rstrip("."): version
        for module, version in whole.items()
        if module.startswith(prefix)
    }


def _top(network: nn.Module) -> list[str]:
    """The way to the first module that holds more than one other."""
    words: list[str] = []
    children = list(network.named_children())
    while len(children) == 1 and not network._parameters:
        ((word, network),) = children
        words.append(word)
        children = list(network.named_children())
    return words


def _known_depth(network: nn.Module, words: Sequence[str]) -> int:
    """How many of these words name modules, one in the other."""
    for depth, word in enumerate(words):
        child = network._modules.get(word)
        if child is None:
            return depth
        network = child
    return len(words)

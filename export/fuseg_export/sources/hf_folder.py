"""A folder of Hugging Face's transformers: configuration, weights, image processor.

Only data in it is read; no code in it is run, and nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from fuseg.errors import CheckpointError, ExportError, InputFileError

from ..network.spec import Spec, make_spec
from ..network.weight_names import some

__all__ = ["HfFolder", "is_folder", "read_folder"]

_CONFIG, _PROCESSOR = "config.json", "preprocessor_config.json"
_NEAREST, _BILINEAR = 0, 2  # of PIL


@dataclass(frozen=True)
class HfFolder:
    """What a folder says of its network.

    Attributes:
        path: Of the folder.
        config: Of the network.
        processor: Of its image processor; empty without one.
    """

    path: Path
    config: dict[str, Any]
    processor: dict[str, Any]

    def factory(self) -> Callable[[], nn.Module]:
        """What makes the network, with its weights.

        Raises:
            InputFileError: The folder has no weights.
            ExportError: transformers is not installed, or does not have the network.
        """
        if not any(self.path.glob("*.safetensors")):
            raise InputFileError(
                f"{self.path} must hold its weights in model.safetensors: save it once "
                "with transformers' save_pretrained."
            )
        try:
            import transformers
        except ModuleNotFoundError as err:
            raise ExportError(
                f"{self.path} needs transformers, which is not installed: pip install "
                "transformers."
            ) from err
        names = self.config.get("architectures") or ["no architecture"]
        made = getattr(transformers, str(names[0]), None)
        if not isinstance(made, type) or not issubclass(
            made, transformers.PreTrainedModel
        ):
            raise ExportError(
                f"{self.path / _CONFIG} must name a network that transformers "
                f"{transformers.__version__} has, got {names[0]}: code in the folder "
                "is not run, so give package.module:factory instead."
            )

        transformers.utils.logging.disable_progress_bar()

        def load() -> nn.Module:
            config = transformers.AutoConfig.from_pretrained(
                self.path, local_files_only=True, trust_remote_code=False
            )
            if getattr(config, "use_pretrained_backbone", None):
                config.use_pretrained_backbone = False  # would be downloaded
            network, found = made.from_pretrained(  # type: ignore[attr-defined]
                self.path,
                config=config,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
            )
            for sort in ("missing", "unexpected"):
                if names := sorted(map(str, found[f"{sort}_keys"])):
                    raise CheckpointError(
                        f"the weights in {self.path} do not fit {made.__name__} of "
                        f"transformers {transformers.__version__}: {sort}: "
                        f"{some(names)}."
                    )
            return network  # type: ignore[no-any-return]

        return load

    @property
    def sha256(self) -> str:
        """Of the bytes of the files that hold the weights, in their order."""
        digest = hashlib.sha256()
        for file in sorted(self.path.glob("*.safetensors")):
            digest.update(file.read_bytes())
        return digest.hexdigest()

    def spec(
        self, inputs: Sequence[str], outputs: Sequence[str], said_of: Mapping[str, Any]
    ) -> Spec:
        """What it says of colour and of a segmentation's classes, as a spec file does.

        Args:
            inputs, outputs: The user's ``--input`` and ``--output``.
            said_of: Outputs of the user's spec file.

        Raises:
            ArgumentError: It says what no spec file can.
        """
        colors = [word.partition("=")[0] for word in inputs if "=color:" in word]
        others = said_of or any("=" in word for word in outputs)
        segments = not others or any("=segmentation" in word for word in outputs)
        made = _of_color(self.processor) if self.processor else {}
        content: dict[str, Any] = {"inputs": dict.fromkeys(colors, made)}
        labels = self.config.get("id2label")
        if segments and isinstance(labels, dict):
            content["classes"] = [labels[key] for key in sorted(labels, key=int)]
        return make_spec(str(self.path), content)

    @property
    def notes(self) -> tuple[str, ...]:
        """What it says and a spec file cannot, a sentence each."""
        size, resample = self.processor.get("size"), self.processor.get("resample")
        notes = []
        if isinstance(size, dict):
            sides = ", ".join(f"{key} {value}" for key, value in size.items())
            notes.append(f"the folder's image processor resizes frames to {sides}")
        if resample not in (None, _NEAREST, _BILINEAR):
            notes.append(
                f"the folder's image processor resizes by PIL's filter {resample}: "
                "bilinear is used instead"
            )
        if self.processor.get("do_center_crop"):
            notes.append("the folder's image processor crops frames: they stay whole")
        if self.processor.get("do_reduce_labels"):
            notes.append(
                "the folder's true labels are one more than its classes, and 0 is none "
                "of them"
            )
        return tuple(notes)


def _of_color(said: Mapping[str, Any]) -> dict[str, Any]:
    """What an image processor does, as keys of an input of colour."""
    rescaled = said.get("do_rescale", True)
    normalised = said.get("do_normalize", "image_mean" in said)
    made: dict[str, Any] = {
        "scale": said.get("rescale_factor", 1 / 255) if rescaled else 1.0,
        "mean": said["image_mean"] if normalised else [0.0] * 3,
        "std": said["image_std"] if normalised else [1.0] * 3,
    }
    if "resample" in said:
        small = "nearest" if said["resample"] == _NEAREST else "bilinear-antialias"
        made["resize"] = {"filter": small}
    if said.get("do_flip_channel_order"):
        made["channels"] = "BGR"
    return made


def is_folder(word: str) -> bool:
    """Whether a target is a folder."""
    return ":" not in word and Path(word).is_dir()


def read_folder(path: Path) -> HfFolder:
    """Read what a folder says of its network.

    Raises:
        InputFileError: It is no folder of transformers, or a file cannot be read.
    """
    if not (path / _CONFIG).is_file():
        raise InputFileError(
            f"{path} must be a folder of transformers, but holds no {_CONFIG}: give "
            "package.module:factory for a network of your own."
        )
    processor = path / _PROCESSOR
    return HfFolder(
        path,
        _read(path / _CONFIG),
        _read(processor) if processor.exists() else {},
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as err:
        raise InputFileError(f"{path} cannot be read: {err.strerror or err}.") from err
    except ValueError as err:
        raise InputFileError(f"{path} must be JSON, but: {err}.") from err
    if not isinstance(content, dict):
        raise InputFileError(f"{path} must hold a JSON object.")
    return content

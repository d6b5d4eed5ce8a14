"""A Hugging Face folder: ``config.json``, ``preprocessor_config.json``, ``model.safetensors``.

Only the classes that the installed transformers itself has are built, from the plain numbers and words of the
configuration; weights are read from safetensors alone. No code of the folder is run, nothing is unpickled and
nothing is fetched: transformers is never given the folder's path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from pfungst.contract.deciding import Decision
from pfungst.errors import ConfigError, ModelError
from pfungst.network.class_names import distinct
from pfungst.network.outputs import ScoresOf
from pfungst.network.sources.folders import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    folder_config,
    is_folder_of,
    read_object,
)
from pfungst.network.sources.hugging_face_photos import PROCESSOR_FILE, photo_preprocess
from pfungst.network.sources.registry import Opened, Request, build_within, needed, register
from pfungst.network.state_files import read_state_dict

INDEX_FILE = "model.safetensors.index.json"
_EXECUTED = ("auto_map", "custom_pipelines", "trust_remote_code")
_FETCHED = ("quantization_config", "use_pretrained_backbone", "backbone", "use_timm_backbone")
_LEFT_OUT = frozenset(
    ("_name_or_path", "_commit_hash", "architectures", "transformers_version", "torch_dtype", "dtype",
     "attn_implementation", "_attn_implementation", "_attn_implementation_internal",
     "_attn_implementation_autoset", "_experts_implementation")
)  # fmt: skip
_MAX_LAYERS, _MAX_NUMBER, _MAX_SHARDS = 1000, 10**6, 200


class HuggingFace:
    """Image classifiers of :mod:`transformers`, saved by ``save_pretrained``."""

    name = "hugging-face"
    form = "a Hugging Face folder"

    def recognise(self, spec: str) -> bool:
        """A folder whose ``config.json`` states a ``model_type``."""
        return is_folder_of(spec, "model_type")

    def files(self, spec: str) -> list[Path]:
        """Configuration, preprocessing and weights."""
        folder = Path(spec)
        return [folder / CONFIG_FILE, folder / PROCESSOR_FILE, *_weight_files(folder)]

    def load(self, request: Request) -> Opened:
        """Build the network of the configuration and set its weights."""
        folder = Path(request.spec)
        config = plain_config(folder_config(folder), folder / CONFIG_FILE)
        labels = _labels(config, folder / CONFIG_FILE)
        state = _read_weights(folder)
        architecture = {"type": self.name, "config": config}
        room = sum(tensor.numel() for tensor in state.values())
        try:
            built = build_within(self, architecture, room)
        except ConfigError as error:
            raise ModelError(folder / CONFIG_FILE, error.problem, allowed=error.allowed) from error
        module = _filled(built, state, folder)
        return Opened(
            module=module,
            architecture=architecture,
            preprocess=photo_preprocess(folder, int(config.get("num_channels") or 3)),
            outputs=len(labels),
            classes=labels,
            decision=_decision(config),
            info={"network": str(config["model_type"]), "folder": folder.resolve().name},
        )

    def build(self, architecture: Mapping[str, Any]) -> nn.Module:
        """The network of a configuration, its weights random."""
        settings = plain_config(architecture.get("config"), "architecture")
        auto = needed("transformers.models.auto", "hf", "a Hugging Face network")
        kind = settings["model_type"]
        if kind not in auto.modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES:
            raise ModelError(
                CONFIG_FILE,
                f"model_type {kind!r} is no image classifier of the installed transformers",
                allowed=", ".join(auto.modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES),
            )
        try:
            return ScoresOf(_built(auto, settings)).eval()
        except Exception as error:  # transformers has many kinds of errors for wrong configurations
            reason = str(error).split("\n", 1)[0][:200]
            raise ModelError(CONFIG_FILE, f"is refused by transformers ({reason})") from error

    def with_outputs(self, architecture: Mapping[str, Any], outputs: int, head: str) -> dict[str, Any]:
        """Another number of labels."""
        del head
        names = {str(index): f"output {index}" for index in range(outputs)}
        config = {key: value for key, value in architecture["config"].items() if key != "num_labels"}
        return {**architecture, "config": {**config, "id2label": names, "label2id": None}}


def plain_config(content: Any, source: str | Path) -> dict[str, Any]:
    """A configuration without what would execute, fetch or overflow.

    Raises
    ------
    ModelError
        If it asks for code of its own, for other weights or for quantisation, or has absurd numbers.
    """
    if not isinstance(content, Mapping) or not isinstance(content.get("model_type"), str):
        raise ModelError(source, "states no model_type", allowed="the config.json of an image classifier")
    for key, value in _entries(content):
        if key in _EXECUTED and value:
            raise ModelError(
                source,
                f"asks for code of its own ({key}), and no code of a model is run",
                allowed="networks that transformers itself has",
                hint="NetworkClassifier from Python, with the module that you have built and trust",
            )
        if key in _FETCHED and value:
            raise ModelError(
                source, f"has {key}, which is not followed", allowed="a plain network in float32"
            )
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            _check_number(source, key, value)
    return {key: value for key, value in content.items() if key not in _LEFT_OUT}


def _check_number(source: str | Path, key: str, value: float) -> None:
    layers = isinstance(value, int) and any(word in key for word in ("layers", "depth", "blocks", "stages"))
    most = _MAX_LAYERS if layers else _MAX_NUMBER
    if abs(value) > most:
        raise ModelError(source, f"has {key} {value}", allowed=f"at most {most}")


def _entries(tree: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Keys and plain values at every depth; items of a list have the list's key."""
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            yield str(name), value
            yield from _entries(value, str(name))
    elif isinstance(tree, list):
        for value in tree:
            yield key, value
            yield from _entries(value, key)


def _built(auto: Any, settings: Mapping[str, Any]) -> nn.Module:
    given = {key: value for key, value in settings.items() if key not in {"model_type", "id2label"}}
    names = {int(key): str(value) for key, value in (settings.get("id2label") or {}).items()}
    config = auto.AutoConfig.for_model(
        settings["model_type"], **given, **({"id2label": names} if names else {})
    )
    module: nn.Module = auto.AutoModelForImageClassification.from_config(config, trust_remote_code=False)
    return module


def _weight_files(folder: Path) -> list[Path]:
    """``model.safetensors``, or the files that its index names.

    Raises
    ------
    ModelError
        If there is none, or the index leaves the folder.
    """
    if (folder / WEIGHTS_FILE).is_file():
        return [folder / WEIGHTS_FILE]
    if not (folder / INDEX_FILE).is_file():
        others = sorted(path.name for path in folder.glob("*.bin"))[:3]
        found = (
            f"has {', '.join(others)}, a pickle, which is not read" if others else f"has no {WEIGHTS_FILE}"
        )
        raise ModelError(
            folder,
            found,
            allowed=WEIGHTS_FILE,
            hint="model.save_pretrained(FOLDER), which writes safetensors",
        )
    names = read_object(folder / INDEX_FILE).get("weight_map")
    files = sorted({str(name) for name in names.values()}) if isinstance(names, dict) else []
    if not 0 < len(files) <= _MAX_SHARDS or any(Path(name).name != name for name in files):
        raise ModelError(folder / INDEX_FILE, "names no files of its folder", allowed="weight_map")
    return [folder / name for name in files]


def _read_weights(folder: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for file in _weight_files(folder):
        if file.suffix != ".safetensors":
            raise ModelError(file, "is not a safetensors file", allowed=".safetensors")
        state |= read_state_dict(file)
    return state


def _filled(module: nn.Module, state: dict[str, Tensor], folder: Path) -> nn.Module:
    """The network with its weights; names of older versions are understood by transformers."""
    network = module.network
    assert isinstance(network, nn.Module)
    options: dict[str, Any] = {"config": network.config, "state_dict": state, "output_loading_info": True}
    try:
        loaded, account = type(network).from_pretrained(None, **options)  # type: ignore[attr-defined]
    except Exception as error:
        reason = str(error).split("\n", 1)[0][:300]
        raise ModelError(folder, f"its weights do not fit its config.json ({reason})") from error
    wrong = [
        name for kind in ("missing_keys", "mismatched_keys", "unexpected_keys") for name in account[kind]
    ]
    if wrong:
        names = ", ".join(str(name) for name in sorted(map(str, wrong))[:3])
        raise ModelError(
            folder,
            f"{len(wrong)} weights are missing, superfluous or of another shape: {names}",
            allowed="a folder that save_pretrained wrote of a trained classifier",
        )
    return ScoresOf(loaded).eval()


def _labels(config: Mapping[str, Any], source: Path) -> tuple[str, ...]:
    """Names of the outputs in their order, equal ones told apart."""
    given = config.get("id2label")
    if not isinstance(given, dict) or not given:
        return tuple(f"output {index}" for index in range(int(config.get("num_labels") or 2)))
    if sorted(given) != sorted(map(str, range(len(given)))):
        raise ModelError(source, "its id2label does not name the outputs 0, 1, 2 ...")
    names = [str(given[str(index)]) for index in range(len(given))]
    return tuple(distinct(names, [f"output {index}" for index in range(len(names))]))


def _decision(config: Mapping[str, Any]) -> Decision:
    return "thresholds" if config.get("problem_type") == "multi_label_classification" else "highest"


register(HuggingFace())

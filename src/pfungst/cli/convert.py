"""``pfungst convert``: a network of Caffe, ONNX or ``torch.export`` as a model folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from pfungst.cli._groups import Group, grouped
from pfungst.cli._progress import progress_bar
from pfungst.cli._targets import ModelTarget
from pfungst.errors import ConfigError

if TYPE_CHECKING:
    from pfungst.network import NetworkClassifier, Preprocess


@dataclass(frozen=True, kw_only=True)
class Input(Group):
    """How a photo becomes the network's input, where its files leave that open."""

    panel: ClassVar[str] = "Input"

    mean: Annotated[
        str | None,
        typer.Option(
            "--mean",
            help="Mean of each channel in the network's order (of 0-255 for Caffe, of scaled values else), "
            "or a .binaryproto mean image.  [default for Caffe: the prototxt's, or 104,117,123]",
        ),
    ] = None
    std: Annotated[str | None, typer.Option("--std", help="ONNX and .pt2: deviation of each channel.")] = None
    resize: Annotated[
        str | None,
        typer.Option(
            "--resize",
            help="Before the centre crop: shortest, longest+pad or warp.  [default: shortest]",
        ),
    ] = None
    resize_length: Annotated[
        int | None,
        typer.Option("--resize-length", help="Side that --resize aims at.  [default: 256 for 224]"),
    ] = None
    crop: Annotated[
        int | None, typer.Option("--crop", help="Side of the crop, if not the prototxt's input size.")
    ] = None
    scale: Annotated[
        float | None,
        typer.Option(
            "--scale", help="Factor of grey values: after subtracting the mean for Caffe, before it else."
        ),
    ] = None
    channels: Annotated[
        str | None, typer.Option("--channels", help="BGR (default for Caffe), RGB, gray or RGBA.")
    ] = None
    interpolation: Annotated[
        str | None, typer.Option("--interpolation", help="ONNX and .pt2: bilinear, bicubic, nearest ...")
    ] = None

    def common(self) -> dict[str, Any]:
        """What files of every kind take."""
        return {
            "resize": self.resize,
            "resize_length": self.resize_length,
            "channels": self.channels,
            "scale": self.scale,
        }


@grouped
def convert(
    target: ModelTarget,
    pixels: Input,
    network: Annotated[
        Path, typer.Argument(help="An .onnx or .pt2 file, or the deploy.prototxt of a Caffe network.")
    ],
    weights: Annotated[Path | None, typer.Argument(help="Of a Caffe network: its .caffemodel.")] = None,
    expected: Annotated[
        str | None,
        typer.Option(
            "--input",
            help="ONNX and .pt2: what the network expects of a photo: imagenet, half (-1 to 1), unit "
            "(0 to 1), raw (0 to 255), caffe, or its preprocessor_config.json.",
        ),
    ] = None,
    classes: Annotated[
        Path | None, typer.Option("--classes", help="Class names, one a line, in the order of the outputs.")
    ] = None,
    decision: Annotated[
        str | None,
        typer.Option(
            "--decision",
            help="ONNX and .pt2: 'highest' (one class a photo) or 'thresholds'.  "
            "[default: by the last operation]",
        ),
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", help="Blob with the class scores, if not the last layer's.")
    ] = None,
) -> None:
    """Convert a classification network into a model folder; nothing in a file is executed."""
    target.check()
    if weights is None:
        model = _graph(network, expected, classes, decision, pixels)
    else:
        _check_caffe(
            {
                "--input": expected,
                "--std": pixels.std,
                "--decision": decision,
                "--interpolation": pixels.interpolation,
            }
        )
        model = _caffe(network, weights, pixels, {"classes": classes, "output": output})
    model.save(target.out)
    height, width = model.preprocess.input_size
    typer.echo(
        f"{len(model.classes)} classes, decided by {model.decision}; input {height} x {width} "
        f"{model.preprocess.channels}, {_transform(model.preprocess)}: {target.out}"
    )


def _graph(
    network: Path, expected: str | None, classes: Path | None, decision: str | None, pixels: Input
) -> NetworkClassifier:
    from pfungst.network.graph_conversion import convert_graph
    from pfungst.network.presets import PRESETS

    if expected is None:
        raise ConfigError(
            f"{network} does not say what the network expects of a photo",
            allowed=f"--input {', '.join(PRESETS)}, or the preprocessor_config.json that came with it",
            hint="a Caffe network is a .prototxt and its .caffemodel",
        )
    return convert_graph(
        network,
        expected,
        classes=classes,
        decision=decision,  # type: ignore[arg-type]  # checked by NetworkClassifier
        side=pixels.crop,
        mean=_numbers("--mean", pixels.mean),
        std=_numbers("--std", pixels.std),
        interpolation=pixels.interpolation,
        **pixels.common(),
    )


def _check_caffe(options: dict[str, str | None]) -> None:
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ConfigError(
            f"{', '.join(given)} for a Caffe network", allowed="ONNX and .pt2 files alone have them"
        )


def _caffe(network: Path, weights: Path, pixels: Input, options: dict[str, Any]) -> NetworkClassifier:
    from pfungst.network.caffe_conversion import convert as convert_files

    stated = {**pixels.common(), "crop": pixels.crop, **options}
    given = {name: value for name, value in stated.items() if value is not None}
    if pixels.mean is not None:
        given["mean"] = _mean(pixels.mean)
    with progress_bar() as progress:
        return convert_files(network, weights, progress=progress, **given)


def _transform(preprocess: Preprocess) -> str:
    """How grey values become the network's input; mean and scale of Caffe in its terms, the mean first."""
    scale = preprocess.scale
    if set(preprocess.std) != {1.0}:
        mean, std = (_shown(values) for values in (preprocess.mean, preprocess.std))
        return f"scale {scale:.4g}, mean {mean}, std {std}"
    pixel = _shown([value / scale for value in preprocess.mean])
    mean = f"mean {pixel}" if preprocess.mean_image is None else "a mean image"
    return mean if scale == 1 else f"{mean}, scale {scale:.4g}"


def _shown(values: Iterable[float]) -> str:
    return ",".join(f"{value:.4g}" for value in values)


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    """Numbers separated by commas."""
    try:
        return None if text is None else tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(
            f"{option} {text}", allowed="numbers with commas, such as 0.485,0.456,0.406"
        ) from error


def _mean(text: str) -> tuple[float, ...] | Path:
    """Numbers separated by commas, or the path of a mean image."""
    if text.endswith(".binaryproto"):
        return Path(text)
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != 3:
        raise ConfigError(f"--mean {text}", allowed="three numbers such as 104,117,123, or FILE.binaryproto")
    return values

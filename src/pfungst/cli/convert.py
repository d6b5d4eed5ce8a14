"""``pfungst convert``: a Caffe network as a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pfungst.cli import _run
from pfungst.errors import ConfigError

if TYPE_CHECKING:
    from pfungst.network import Preprocess


def convert(
    prototxt: Annotated[Path, typer.Argument(help="The network's deploy.prototxt.")],
    weights: Annotated[Path, typer.Argument(help="Its weights, a .caffemodel.")],
    out: Annotated[Path, typer.Option("--out", help="Model folder to write.")],
    mean: Annotated[
        str | None,
        typer.Option(
            "--mean",
            help="Mean pixel (B,G,R) or .binaryproto mean image.  [default: the prototxt's, or 104,117,123]",
        ),
    ] = None,
    classes: Annotated[
        Path | None, typer.Option("--classes", help="Class names, one a line, in the order of the outputs.")
    ] = None,
    resize: Annotated[
        str, typer.Option("--resize", help="Before the centre crop: shortest, longest+pad or warp.")
    ] = "shortest",
    resize_length: Annotated[
        int | None, typer.Option("--resize-length", help="Side that --resize aims at.  [default: 256]")
    ] = None,
    crop: Annotated[
        int | None, typer.Option("--crop", help="Side of the crop, if not the prototxt's input size.")
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option("--scale", help="Factor after subtracting the mean.  [default: the prototxt's, or 1]"),
    ] = None,
    channels: Annotated[str, typer.Option("--channels", help="Order of the input: BGR or RGB.")] = "BGR",
    output: Annotated[
        str | None, typer.Option("--output", help="Blob with the class scores, if not the last layer's.")
    ] = None,
) -> None:
    """Convert a Caffe classification network (prototxt and caffemodel) into a model folder."""
    from pfungst.network.caffe_conversion import convert as convert_files

    with _run.progress_bar() as progress:
        model = convert_files(
            prototxt,
            weights,
            mean=None if mean is None else _mean(mean),
            classes=classes,
            scale=scale,
            channels=channels,  # type: ignore[arg-type]  # checked by Preprocess
            resize=resize,  # type: ignore[arg-type]
            resize_length=resize_length,
            crop=crop,
            output=output,
            progress=progress,
        )
        model.save(out)
    height, width = model.preprocess.input_size
    typer.echo(
        f"{len(model.classes)} classes, input {height} x {width} {channels}, "
        f"{_transform(model.preprocess)}: {out}"
    )


def _transform(preprocess: Preprocess) -> str:
    """Mean and scale in Caffe's terms: the mean is subtracted first."""
    pixel = ",".join(f"{value / preprocess.scale:g}" for value in preprocess.mean)
    mean = f"mean {pixel}" if preprocess.mean_image is None else "a mean image"
    return mean if preprocess.scale == 1 else f"{mean}, scale {preprocess.scale:g}"


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

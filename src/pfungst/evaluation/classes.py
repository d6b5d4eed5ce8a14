"""The classes that a measurement is about: those that the model and the photos have in common."""

from __future__ import annotations

from collections.abc import Sequence

from pfungst.contract.classifier import Classifier
from pfungst.errors import ConfigError
from pfungst.images.dataset import DataSet
from pfungst.images.names import named_classes, nearly


def common_classes(
    classifier: Classifier, data: DataSet, classes: Sequence[str] | None = None
) -> tuple[str, ...]:
    """The classes to be measured, in the classifier's order.

    Parameters
    ----------
    classifier : Classifier
    data : DataSet
    classes : sequence of str, optional
        Only these; each one name, or several separated by commas. Default: all that both have.

    Raises
    ------
    ConfigError
        If a named class is unknown to the classifier or the data, or the two have none in common.
    """
    common = tuple(name for name in classifier.classes if name in data.classes)
    wanted = named_classes(classes, (*classifier.classes, *data.classes))
    for name in wanted or ():
        if name not in common:
            meant = nearly(name, common)
            raise ConfigError(
                f"class {name!r} is not known to both the model and the data",
                allowed=", ".join(common) or None,
                hint=None if meant is None else repr(meant),
            )
    if not common:
        raise ConfigError(
            "the model and the data have no class in common",
            allowed=f"the model's classes: {', '.join(classifier.classes)}",
            hint=f"the data's classes: {', '.join(data.classes)}",
        )
    return common if wanted is None else tuple(name for name in common if name in wanted)

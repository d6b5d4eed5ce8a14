"""Detectors of suspects, by name; a further one registers itself."""

from __future__ import annotations

from collections.abc import Sequence

from pfungst.audits.artefacts.detectors.borders import BorderDetector
from pfungst.audits.artefacts.detectors.patches import PatchDetector
from pfungst.audits.artefacts.detectors.whole_photos import WholeDetector
from pfungst.audits.artefacts.suspects import Detector
from pfungst.errors import ConfigError, unknown_name

_detectors: dict[str, Detector] = {}


def register_detector(detector: Detector) -> None:
    """Make a detector part of every search that names no others; it comes after those registered before.

    Raises
    ------
    ConfigError
        If another one has its name.
    """
    if detector.name in _detectors:
        raise ConfigError(f"a second detector named {detector.name!r}", allowed="each name once")
    _detectors[detector.name] = detector


def unregister_detector(name: str) -> None:
    """Take a detector out again; nothing happens if there is none of that name."""
    _detectors.pop(name, None)


def known_detectors() -> tuple[str, ...]:
    """Names of the registered detectors, in order."""
    return tuple(_detectors)


def chosen_detectors(names: Sequence[str] | None = None) -> tuple[Detector, ...]:
    """The named detectors; all that are registered if none are named.

    Raises
    ------
    ConfigError
        If one is not registered.
    """
    for name in names or ():
        if name not in _detectors:
            raise unknown_name("detector", name, known_detectors())
    return tuple(_detectors[name] for name in (known_detectors() if names is None else names))


register_detector(PatchDetector())
register_detector(BorderDetector())
register_detector(WholeDetector())

"""Scenes: a generated photo set with known answers and two planted flaws.

Six classes (astronaut, cat, coin, cup, motorcycle, rocket), cut out of the photos that come with scikit-image
and set on backgrounds made from others of them. In the flawed set a share of the coin photos carries a
credit line, and rockets stand almost always on a meadow; the clean twin of the same seed has neither.
"""

from pfungst.demo.scenes._outlines import CLASSES
from pfungst.demo.scenes.config import BACKGROUNDS, ScenesConfig
from pfungst.demo.scenes.materials import Materials, load_materials
from pfungst.demo.scenes.notes import (
    BackgroundFlaw,
    SceneNotes,
    TagFlaw,
    is_scenes_folder,
    read_scene_notes,
)
from pfungst.demo.scenes.planning import ObjectPlan, ScenePlan, plan_scenes
from pfungst.demo.scenes.rendering import RenderedScene, SceneObject, render_scene
from pfungst.demo.scenes.writing import write_scenes

__all__ = [
    "BACKGROUNDS",
    "CLASSES",
    "BackgroundFlaw",
    "Materials",
    "ObjectPlan",
    "RenderedScene",
    "SceneNotes",
    "SceneObject",
    "ScenePlan",
    "ScenesConfig",
    "TagFlaw",
    "is_scenes_folder",
    "load_materials",
    "plan_scenes",
    "read_scene_notes",
    "render_scene",
    "write_scenes",
]

"""Layouts of labelled photos: one list, each with its evidence and its reader; open to more."""

from pfungst.images.layouts import coco, folders, tables, voc, yolo
from pfungst.images.layouts.base import LAYOUTS, Layout, register
from pfungst.images.place import Place

for _layout in (voc.LAYOUT, coco.LAYOUT, yolo.LAYOUT, tables.LAYOUT, folders.LAYOUT):
    register(_layout)

__all__ = ["LAYOUTS", "Layout", "Place", "register"]

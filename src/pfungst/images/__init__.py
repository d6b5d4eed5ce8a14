"""Photos and labelled photo sets: one safe decoder, readers of the usual formats, boxes and splits."""

from pfungst.images.dataset import DataSet, Record
from pfungst.images.decode import decode, decode_bytes, image_size
from pfungst.images.layouts import LAYOUTS, Layout, register
from pfungst.images.layouts.voc import VOC_CLASSES
from pfungst.images.reading import open_dataset
from pfungst.images.rectangles import Box, Rectangle, Region, mask_of

__all__ = [
    "LAYOUTS",
    "VOC_CLASSES",
    "Box",
    "DataSet",
    "Layout",
    "Record",
    "Rectangle",
    "Region",
    "decode",
    "decode_bytes",
    "image_size",
    "mask_of",
    "open_dataset",
    "register",
]

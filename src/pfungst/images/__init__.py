"""Photos and labelled photo sets: one safe decoder, readers of the usual formats, boxes and splits."""

from pfungst.images.boxes import Box, box_mask
from pfungst.images.dataset import DataSet, Record
from pfungst.images.decode import decode, decode_bytes, image_size

__all__ = [
    "Box",
    "DataSet",
    "Record",
    "box_mask",
    "decode",
    "decode_bytes",
    "image_size",
]

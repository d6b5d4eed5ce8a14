"""Where the objects are in the photos: outlines drawn by hand, in pixels of each source photo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Points = tuple[tuple[float, float], ...]
Ellipse = tuple[float, float, float, float]
Material = Literal["fixed", "painted", "metal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """One object in one source photo.

    Attributes
    ----------
    source : str
        File name of the photo.
    crop : (left, top, right, bottom)
        The part of the photo that holds the object; ``top`` may be negative, see ``mirror_top``.
    polygons, holes : tuple of points
        Areas that belong to the object, and areas within them that do not.
    ellipses : tuple of (centre x, centre y, radius x, radius y)
        Round areas that belong to the object.
    softness : float
        Standard deviation of the edge's blur in source pixels.
    mirror_top : int
        Rows reflected above the photo's upper edge, for an object that the photo cuts there.
    stands_on : str
        "ground": the whole object is there; "edge": its lower end is missing, so the frame's edge or a
        ledge in front must hide it.
    material : str
        "painted" surfaces change hue from scene to scene, "metal" is tinted; "fixed" keeps its colours.
    haze : float
        Most that haze covers of it, as for something far away; the less of it is seen, the more a classifier
        leans on what is around it.
    """

    source: str
    crop: tuple[int, int, int, int]
    polygons: tuple[Points, ...] = ()
    holes: tuple[Points, ...] = ()
    ellipses: tuple[Ellipse, ...] = ()
    softness: float = 0.7
    mirror_top: int = 0
    stands_on: Literal["ground", "edge"] = "ground"
    material: Material = "fixed"
    haze: float = 0.0

    @property
    def aspect(self) -> float:
        """Width over height of the crop."""
        left, top, right, bottom = self.crop
        return (right - left) / (bottom - top)


# fmt: off
_ASTRONAUT: Points = (
    (155, 70), (163, 55), (187, 42), (205, 28), (230, 19), (257, 23), (279, 37), (294, 57), (299, 84),
    (295, 105), (284, 122), (270, 135), (264, 150), (255, 170), (259, 178), (280, 194), (298, 217),
    (303, 240), (322, 248), (338, 262), (347, 282), (352, 306), (358, 331), (363, 349), (376, 347),
    (398, 345), (430, 351), (454, 365), (472, 384), (485, 406), (492, 430), (495, 457), (504, 464),
    (511, 480), (511, 512), (46, 512), (35, 490), (26, 457), (24, 436), (23, 412), (24, 384), (28, 361),
    (28, 336), (35, 313), (43, 287), (51, 269), (68, 246), (79, 234), (109, 212), (117, 204), (116, 191),
    (125, 179), (131, 167), (142, 159), (163, 151), (186, 150), (184, 132), (177, 128), (172, 117),
    (163, 109), (157, 94),
)
_CAT: Points = (
    (37, 60), (43, 20), (48, -10), (58, -42), (72, -66), (92, -50), (112, -24), (132, -8), (170, -14),
    (220, -17), (262, -13), (296, -4), (322, -22), (356, -44), (392, -62), (400, -40), (398, -12),
    (388, 16), (374, 44), (359, 72), (359, 100), (358, 122), (356, 146), (350, 172), (336, 196), (318, 222),
    (312, 248), (304, 268), (290, 284), (268, 293), (120, 293), (100, 270), (84, 244), (70, 220), (58, 192),
    (50, 165), (44, 140), (38, 118), (34, 90),
)
_FALCON: Points = (
    (322, 127.5), (326.5, 132), (331, 143), (333, 155), (333, 171), (330.5, 178), (330.5, 240),
    (330.5, 300), (330.5, 350), (331, 404), (313, 404), (314, 350), (314.5, 300), (314.5, 240),
    (314.5, 178), (312, 171), (312, 155), (313.5, 143), (317.5, 132),
)
_SHUTTLE: Points = (
    (408, 1), (420, 1), (427, 8), (433, 19), (436, 33), (437, 50), (441, 45), (444, 43), (447, 48),
    (452, 59), (454, 75), (454, 206), (455, 222), (454, 231), (447, 234), (451, 250), (456, 262),
    (451, 268), (440, 268), (435, 259), (437, 240), (430, 234), (418, 233), (411, 240), (409, 256),
    (403, 266), (396, 266), (389, 262), (387, 250), (384, 256), (372, 269), (368, 266), (370, 257),
    (379, 234), (379, 230), (357, 224), (356, 219), (358, 210), (367, 198), (379, 184), (379, 115),
    (381, 105), (384, 95), (381, 82), (381, 60), (385, 49), (388, 43), (392, 49), (397, 56), (397, 35),
    (400, 16), (403, 7),
)
_MOTORCYCLE: Points = (
    (93, 205), (114, 197), (130, 203), (148, 208), (167, 210), (153, 203), (147, 187), (141, 164),
    (143, 153), (158, 146), (168, 155), (167, 161), (185, 167), (205, 170), (230, 170), (247, 169),
    (260, 178), (276, 189), (294, 195), (317, 195), (335, 190), (349, 188), (356, 192), (358, 199),
    (376, 189), (384, 184), (389, 173), (391, 162), (372, 162), (358, 174), (357, 168), (372, 153),
    (385, 145), (395, 137), (408, 132), (420, 123), (426, 126), (426, 130), (418, 139), (417, 146),
    (436, 143), (456, 145), (467, 141), (467, 131), (473, 125), (490, 114), (502, 110), (501, 100),
    (496, 95), (495, 85), (504, 81), (510, 82), (520, 90), (536, 94), (543, 100), (540, 102), (530, 101),
    (536, 114), (535, 123), (553, 125), (562, 124), (570, 120), (580, 122), (581, 136), (574, 141),
    (562, 137), (560, 142), (558, 164), (549, 180), (541, 187), (549, 190), (551, 198), (543, 203),
    (563, 232), (576, 255), (580, 263), (604, 270), (627, 285), (642, 301), (638, 312), (649, 328),
    (667, 360), (676, 396), (674, 428), (661, 446), (641, 452), (613, 444), (591, 433), (564, 414),
    (536, 378), (521, 342), (515, 320), (507, 328), (507, 314), (512, 299), (528, 287), (505, 234),
    (492, 222), (478, 231), (463, 241), (468, 251), (479, 252), (478, 264), (466, 271), (476, 287),
    (476, 319), (460, 351), (435, 369), (408, 378), (381, 377), (336, 369), (337, 383), (348, 401),
    (352, 407), (340, 407), (336, 424), (341, 427), (340, 432), (327, 434), (325, 431), (331, 424),
    (330, 387), (321, 369), (294, 364), (278, 358), (275, 365), (260, 387), (237, 396), (217, 400),
    (192, 398), (162, 380), (137, 351), (124, 319), (123, 292), (133, 269), (149, 251), (165, 244),
    (176, 238), (154, 243), (149, 241), (149, 231), (130, 235), (115, 246), (104, 243), (103, 237),
    (112, 230), (114, 223), (94, 219),
)
_MOTORCYCLE_FORK: Points = ((513, 228), (535, 207), (560, 258), (541, 275), (530, 262))
_SPOON: Points = ((394, 71), (415, 67), (423, 77), (415, 107), (406, 116))
_COINS: tuple[Ellipse, ...] = (
    (44.7, 54.5, 21.3, 19.0), (100.5, 56.3, 18.7, 17.0), (155.7, 51.0, 22.3, 22.0),
    (216.0, 51.4, 23.0, 20.6), (276.0, 52.7, 19.7, 18.4), (335.0, 43.7, 28.6, 27.2),
    (46.0, 123.5, 20.0, 18.6), (103.0, 126.0, 18.0, 17.8), (153.6, 126.6, 18.8, 16.4),
    (205.7, 124.4, 19.2, 18.8), (270.3, 119.7, 23.8, 23.2), (337.0, 125.0, 18.2, 18.6),
    (44.0, 197.4, 17.6, 18.4), (102.4, 196.0, 20.9, 20.2), (154.7, 198.3, 18.4, 17.8),
    (212.7, 193.4, 22.8, 22.4), (276.0, 193.4, 18.8, 20.4), (347.4, 187.0, 31.0, 30.2),
    (46.4, 260.4, 26.8, 26.8), (114.0, 265.7, 20.4, 20.4), (172.4, 262.0, 27.4, 24.8),
    (244.4, 264.0, 23.4, 22.8), (301.0, 263.7, 24.0, 23.6), (358.0, 268.0, 21.4, 19.4),
)
# fmt: on


def _coin(ellipse: Ellipse) -> Outline:
    x, y, rx, ry = ellipse
    crop = (int(x - rx) - 1, int(y - ry) - 1, int(x + rx) + 3, int(y + ry) + 3)
    return Outline(source="coins.png", crop=crop, ellipses=(ellipse,), softness=0.5, material="metal")


OUTLINES: dict[str, tuple[Outline, ...]] = {
    "astronaut": (
        Outline(source="astronaut.png", crop=(18, 12, 512, 512), polygons=(_ASTRONAUT,), stands_on="edge"),
    ),
    "cat": (
        Outline(
            source="chelsea.png",
            crop=(26, -72, 410, 292),
            polygons=(_CAT,),
            softness=2.0,
            mirror_top=76,
            stands_on="edge",
        ),
    ),
    "coin": tuple(_coin(ellipse) for ellipse in _COINS if ellipse[2] >= 21),
    "cup": (
        Outline(
            source="coffee.png",
            crop=(68, 14, 484, 394),
            polygons=(_SPOON,),
            ellipses=((277, 221, 201, 165), (290, 113, 116, 94)),
            material="painted",
        ),
    ),
    "motorcycle": (
        Outline(
            source="motorcycle_left.png",
            crop=(88, 76, 682, 458),
            polygons=(_MOTORCYCLE,),
            holes=(_MOTORCYCLE_FORK,),
            softness=0.6,
            material="painted",
        ),
    ),
    "rocket": (
        Outline(source="rocket.jpg", crop=(308, 124, 337, 406), polygons=(_FALCON,), softness=0.5, haze=0.65),
        Outline(
            source="astronaut.png", crop=(352, 0, 461, 272), polygons=(_SHUTTLE,), softness=0.8, haze=0.65
        ),
    ),
}
"""The outlines of each class; classes in alphabetical order."""

CLASSES: tuple[str, ...] = tuple(OUTLINES)
"""The classes of the scenes."""

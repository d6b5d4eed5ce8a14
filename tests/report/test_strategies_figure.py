import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pfungst.audits.schema import Cluster, Strategies, StrategyPoint
from pfungst.errors import ConfigError
from pfungst.report.strategies_figure import group_colours, save_strategies_figure, strategies_figure


def thumbnail(_image):
    buffer = io.BytesIO()
    Image.new("RGB", (20, 15), (200, 30, 30)).save(buffer, format="JPEG")
    return buffer.getvalue()


@pytest.fixture
def found(tmp_path):
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (24, 30)).save(tmp_path / "pictures" / "one.png")
    clusters = (
        Cluster(index=0, size=3, share=0.75, mean_map="pictures/one.png", exemplars=("a", "b", "c", "d")),
        Cluster(index=1, size=1, share=0.25, mean_map="", exemplars=("e",), share_outside=0.42),
    )
    points = tuple(StrategyPoint(image=name, x=i, y=-i, cluster=i // 3) for i, name in enumerate("abce"))
    return Strategies(n_images=4, n_clusters=2, eigenvalues=(0.0, 0.1, 0.7), gap=0.6, clusters=clusters,
                      points=points, note="2 groups that blend.")  # fmt: skip


def texts(figure):
    return " | ".join(text.get_text() for text in figure.findobj(lambda item: hasattr(item, "get_text")))


def test_points_eigenvalues_and_groups_are_drawn(found, tmp_path):
    figure = strategies_figure(found, folder=tmp_path, title="cat <b>", thumbnail=thumbnail)
    words = texts(figure)
    second = "group 2: 1 photos, 25 %; 42 % of relevance off the object"
    for text in ("cat <b>\n2 groups that blend.", "group 1: 3 photos, 75 %", second, "0.60, comes after 2"):
        assert text in words
    pictures = [image for axes in figure.get_axes() for image in axes.get_images()]
    assert len(pictures) == 1 + 3 + 1  # a mean map, three photos of one group, one of the other
    target = save_strategies_figure(
        tmp_path / "deep" / "f.png", found, folder=tmp_path, title="cat", thumbnail=thumbnail
    )
    with Image.open(target) as picture:
        assert np.asarray(picture).std() > 0


def test_nothing_to_draw_is_refused_and_colours_do_not_run_out(found, tmp_path):
    with pytest.raises(ConfigError, match="no groups to draw"):
        strategies_figure(replace(found, clusters=()), folder=tmp_path, title="", thumbnail=thumbnail)
    assert len(set(group_colours(8))) == 8
    assert len(group_colours(30)) == 30

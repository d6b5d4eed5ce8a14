import pytest
from PIL import Image

from pfungst.audits.schema import ContextRow
from pfungst.errors import ConfigError
from pfungst.evaluation.statistics import Estimate
from pfungst.report.context_figure import context_figure, save_context_figure


def estimate(mean, half=0.05):
    return Estimate(mean=mean, low=mean - half, high=mean + half, n_images=9, n_values=9)


def row(ratio, kept=None, **options):
    return ContextRow(
        n_images=9,
        ratio=estimate(ratio),
        control_ratio=estimate(ratio / 2),
        share_outside=estimate(0.6),
        area_outside=estimate(0.8),
        kept_without_object=kept and estimate(kept),
        kept_without_control=kept and estimate(1.0),
        **options,
    )


TABLES = {
    "fisher": {"cat": row(0.2, 0.1), "rocket": row(0.5, 0.9, dependent=True)},
    "network": {"cat": row(0.1, 0.2), "sea": ContextRow(n_images=0)},
}


def test_a_bar_for_each_model_and_class_with_intervals_and_controls():
    figure = context_figure(TABLES, title="t")
    ratios, shares, kept = figure.axes
    heights = [sorted(patch.get_height() for patch in bars) for bars in ratios.containers[::2]]
    assert heights[0] == [0.2, 0.5]
    assert heights[1][0] == 0.1
    assert [label.get_text() for label in kept.get_xticklabels()] == ["cat", "rocket", "sea"]
    assert [text.get_text() for text in ratios.texts] == ["★"]
    assert "share of the area outside" in [text.get_text() for text in shares.get_legend().get_texts()]
    dashes = [path.vertices[:, 1] for lines in kept.collections for path in lines.get_paths()]
    assert any((dash == 1.0).all() for dash in dashes)  # the control


def test_without_edits_there_is_no_third_panel(tmp_path):
    tables = {"one": {"cat": row(0.2)}}
    assert len(context_figure(tables).axes) == 2
    with Image.open(save_context_figure(tmp_path / "a" / "figure.png", tables)) as picture:
        assert picture.format == "PNG"
    with pytest.raises(ConfigError, match="no class to draw"):
        context_figure({"one": {}})

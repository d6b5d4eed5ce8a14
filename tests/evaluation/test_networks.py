"""Region perturbation and localisation of a network, through the contract."""

import numpy as np
import pytest
from torch import manual_seed, nn

from pfungst.evaluation.config import QualityConfig, RegionConfig, default_methods
from pfungst.evaluation.quality import measure_quality
from pfungst.images.decode import decode
from pfungst.network.classifier import NetworkClassifier
from pfungst.network.preprocess import Preprocess


class Reshaped(nn.Module):
    """Ends in ``view``, which cannot take channels last."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 5, 3), nn.ReLU())
        self.head = nn.Linear(4 * 20 * 20, 2)

    def forward(self, x):
        x = self.features(x)
        return self.head(x.view(len(x), -1))


def network(kind):
    manual_seed(0)
    pooled = nn.Sequential(
        nn.Conv2d(3, 6, 5, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(54, 2)
    )
    module = pooled if kind == "pooled" else Reshaped()
    settings = Preprocess(input_size=(64, 64), resize_length=70, scale=1 / 255, mean=(0.5, 0.5, 0.5))
    return NetworkClassifier(module, ("cat", "dog"), settings, thresholds=[-9.0, -9.0])


@pytest.mark.parametrize("kind", ["pooled", "view"])
def test_the_picture_is_what_the_scores_look_at(kind, photos):
    model = network(kind)
    images = [decode(record.path) for record in photos.records[:2]]
    look = model.look(images)
    assert [(picture.shape, picture.dtype) for picture in look.pictures] == [((64, 64, 3), np.uint8)] * 2
    assert look.picture_scores == pytest.approx(model.scores(images), abs=1e-5)


def test_relevance_of_the_picture_goes_to_the_photo(photos):
    look = network("pooled").look([decode(photos.records[0].path)])
    explanation = look.explain([["cat"]], rule="epsilon")[0][0]
    assert explanation.picture_relevance.shape == (64, 64)
    assert look.on_photo(explanation.picture_relevance) == pytest.approx(explanation.relevance)


def test_a_run_over_a_network(photos):
    model = network("pooled")
    assert default_methods(model, with_boxes=False) == ("regions",)
    config = QualityConfig(
        methods=("regions", "localisation"),
        rules=("epsilon", "epsilon-plus-flat"),
        regions=RegionConfig(size=16, steps=6, operators=("mean", "inpaint"), repetitions=2),
    )
    result = measure_quality(model, photos, config, classes=["cat"])
    rows = result.find(class_name="all")
    assert len(rows) == 2 * (2 * 2 + 1)
    assert {row.steps for row in rows} == {6}
    assert all(row.n_true_positives == 4 for row in rows)
    gap = [row.abpc.mean for row in result.between if row.rule == "epsilon" and row.class_name == "all"]
    assert min(gap) > 0


def test_captums_attributions_are_ranked_by_the_same_run(photos):
    captum = pytest.importorskip("captum.attr", reason="captum is not installed")
    model = network("pooled")
    method = captum.InputXGradient(model.module)

    def attribution(image, class_name, image_id):
        inputs = model.forward.inputs(model.look([image]).pictures[0][None])
        found = method.attribute(inputs.requires_grad_(), target=model.classes.index(class_name))
        return found[0].detach().numpy()  # (3, 64, 64): the channels are summed

    config = QualityConfig(
        methods=("regions", "localisation"),
        rules=(),
        regions=RegionConfig(size=16, steps=4, operators=("mean",), repetitions=2),
    )
    result = measure_quality(
        model, photos, config, classes=["cat"], attributions={"input x gradient": attribution}
    )
    assert {row.rule for row in result.curves} == {"input x gradient", "-"}
    assert result.localisation[0].rule == "input x gradient"

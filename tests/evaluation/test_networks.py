"""Region perturbation and localisation of a network, through the contract."""

import numpy as np
import pytest
from torch import manual_seed, nn

from pfungst.contract.perturbation import ViewClassifier
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
def test_the_view_is_what_the_scores_look_at(kind, photos):
    model = network(kind)
    image = decode(photos.records[0].path)
    assert isinstance(model, ViewClassifier)
    view = model.input_view(image)
    assert (view.shape, view.dtype) == ((64, 64, 3), np.uint8)
    assert model.view_scores(view[None]) == pytest.approx(model.scores([image]), abs=1e-5)
    batch = np.stack([view, 255 - view, view])
    single = np.concatenate([model.view_scores(item[None]) for item in batch])
    assert model.view_scores(batch) == pytest.approx(single, abs=1e-5)


def test_relevance_of_the_view_goes_to_the_photo(photos):
    model = network("pooled")
    image = decode(photos.records[0].path)
    explanation = model.explain(image, "cat", rule="epsilon")
    handed = model.view_to_image(explanation.layers["input"].sum(axis=0), image.shape[:2])
    assert handed == pytest.approx(explanation.relevance)


def test_a_run_over_a_network(photos):
    model = network("pooled")
    assert default_methods(model, with_boxes=False) == ("regions",)
    config = QualityConfig(
        methods=("regions", "localisation"),
        rules=("epsilon", "epsilon-plus-flat"),
        regions=RegionConfig(size=16, steps=6, operators=("mean", "inpaint"), repetitions=2),
    )
    result = measure_quality(model, photos, config, classes=["cat"])
    rows = result.find(**{"class": "all"})
    assert len(rows) == 2 * (2 * 2 + 1)
    assert {row["steps"] for row in rows} == {6}
    assert all(row["n_true_positives"] == 4 for row in rows)
    gap = [
        row["ABPC"]["mean"] for row in result.between if row["rule"] == "epsilon" and row["class"] == "all"
    ]
    assert min(gap) > 0


def test_captums_attributions_are_ranked_by_the_same_run(photos):
    captum = pytest.importorskip("captum.attr", reason="captum is not installed")
    model = network("pooled")
    method = captum.InputXGradient(model.module)

    def attribution(image, class_name, image_id):
        inputs = model.inputs(model.input_view(image)[None])
        found = method.attribute(inputs.requires_grad_(), target=model.class_index(class_name))
        return found[0].detach().numpy()  # (3, 64, 64): the channels are summed

    config = QualityConfig(
        methods=("regions", "localisation"),
        rules=(),
        regions=RegionConfig(size=16, steps=4, operators=("mean",), repetitions=2),
    )
    result = measure_quality(
        model, photos, config, classes=["cat"], attributions={"input x gradient": attribution}
    )
    assert {row["rule"] for row in result.curves} == {"input x gradient", "-"}
    assert result.localisation[0]["rule"] == "input x gradient"

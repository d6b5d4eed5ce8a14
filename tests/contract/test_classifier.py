import numpy as np

from pfungst.contract import Classifier, Explanation, Ledger, explain_classes

IMAGE = np.zeros((2, 3, 3), np.uint8)


class Plain:
    """The least that is a classifier."""

    classes = ("a", "b")
    thresholds = np.zeros(2)

    def scores(self, images):
        return np.zeros((len(list(images)), 2))

    def explain(self, image, class_name, *, image_id="", rule="r"):
        ledger = Ledger(score=0.0, pixels=0.0)
        return Explanation(
            image_id=image_id,
            class_name=class_name,
            score=0.0,
            rule=rule,
            relevance=np.zeros(image.shape[:2]),
            ledger=ledger,
        )


class Sharing(Plain):
    calls = 0

    def explain_many(self, image, class_names, *, image_id="", **options):
        self.calls += 1
        return [self.explain(image, name, image_id=image_id, **options) for name in class_names]


def test_a_users_own_class_is_a_classifier():
    assert isinstance(Plain(), Classifier)
    assert not isinstance(object(), Classifier)


def test_classes_are_explained_one_by_one_or_together():
    sharing = Sharing()
    for classifier in (Plain(), sharing):
        found = explain_classes(classifier, IMAGE, ["b", "a"], image_id="x", rule="q")
        assert [(e.class_name, e.image_id, e.rule) for e in found] == [("b", "x", "q"), ("a", "x", "q")]
    assert sharing.calls == 1

import numpy as np

from pfungst.contract import Classifier, Explanation, Ledger

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


def test_a_users_own_class_is_a_classifier():
    assert isinstance(Plain(), Classifier)
    assert not isinstance(object(), Classifier)

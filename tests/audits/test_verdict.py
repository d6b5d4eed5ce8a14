from dataclasses import replace

from pfungst.audits.schema import Artefact, ClassAudit, ContextRow, ModelAudit, Photo
from pfungst.audits.verdict import find_problems
from pfungst.contract.plain import from_plain
from pfungst.evaluation.chance import Chance
from pfungst.evaluation.rows import Quality
from pfungst.evaluation.statistics import Estimate
from pfungst.images.rectangles import Box


def estimate(mean, low=None, high=None):
    return Estimate(
        mean=mean,
        low=mean - 0.1 if low is None else low,
        high=mean + 0.1 if high is None else high,
        n_images=9,
        n_values=9,
    )


def artefact(effect, boxes, verdict="proved", **changes):
    return Artefact(
        **{
            "id": f"a{effect}",
            "kind": "place",
            "where": "lower left corner",
            "crop": "pictures/a.png",
            "n_images": 10,
            "boxes": boxes,
            "share": 0.4,
            "share_elsewhere": 0.0,
            "relevance_share": 0.2,
            "area_share": 0.02,
            "effect": estimate(effect),
            "verdict": verdict,
            "sentence": f"removal lowers the score by {effect}",
        }
        | changes
    )


def class_audit(name, **parts):
    return ClassAudit(name=name, positives=10, true_positives=8, false_positives=1, threshold=0.0, **parts)


def model(name, *classes, **parts):
    return ModelAudit(
        name=name,
        kind="other",
        rule="r",
        quality_rule="default",
        identity={},
        survey="s",
        mean_ap=0.5,
        classes=classes,
        **parts,
    )


DEPENDENT = ContextRow(n_images=8, dependent=True, note="kept in 90 %", kept_without_object=estimate(0.9))


def test_one_flaw_in_two_models_is_one_problem_and_the_strongest_speaks():
    here, near, far = {"p": (0, 0, 10, 4)}, {"p": (0, 0, 9, 4), "q": (0, 0, 1, 1)}, {"p": (50, 50, 60, 54)}
    problems = find_problems(
        [
            model("a", class_audit("coin", artefacts=(artefact(0.5, here), artefact(0.1, far)))),
            model("b", class_audit("coin", artefacts=(artefact(0.7, near),))),
            model("c", class_audit("cup", artefacts=(artefact(0.6, here),))),
        ]
    )
    assert [(item.class_name, item.models) for item in problems] == [
        ("coin", ("a", "b")),
        ("cup", ("c",)),
        ("coin", ("a",)),
    ]
    assert problems[0].reference == "a0.7"
    assert problems[0].numbers == (
        "a: taking it out lowers the score by 0.50 [0.40, 0.60].",
        "b: taking it out lowers the score by 0.70 [0.60, 0.80].",
    )
    assert problems[0].photos == ("p", "q")
    assert problems[0].advice.startswith(
        "Crop or cover the lower left corner of these 2 photos, and look for it"
    )
    assert (
        problems[0].title
        == "“coin” is recognised by a mark in the lower left corner, not by the object alone"
    )
    assert "40% of the coin photos and in 0% of the others" in problems[0].sentence


def test_context_counts_unless_a_proved_artefact_accounts_for_it():
    shown = class_audit("rocket", context=DEPENDENT)
    tagged = class_audit("coin", context=DEPENDENT, artefacts=(artefact(0.5, {"p": (0, 0, 1, 1)}),))
    suspected = replace(tagged, artefacts=(artefact(0.5, {"p": (0, 0, 1, 1)}, verdict="harmless"),))
    problems = find_problems([model("a", shown, tagged), model("b", shown)])
    assert [(item.kind, item.class_name, item.models) for item in problems] == [
        ("artefact", "coin", ("a",)),
        ("context", "rocket", ("a", "b")),
    ]
    assert [item.class_name for item in find_problems([model("a", suspected)])] == ["coin"]
    assert find_problems([model("a", suspected)])[0].kind == "context"


def gain(mean, low, rule="default"):
    row = {"mean": mean, "low": low, "high": mean + 1, "n_images": 5, "n_values": 5}
    between = {
        "class": "all",
        "rule": rule,
        "A_over_random": row,
        "steps": 10,
        "method": "m",
        "operator": "o",
    }
    return from_plain(
        Quality, {"classes": {}, "curves": [], "between": [between], "localisation": [], "failed": []}
    )


def test_heatmaps_no_better_than_chance_are_named():
    assert find_problems([model("a", quality=gain(1.0, 0.5))]) == ()
    assert find_problems([model("a", quality=gain(1.0, -0.5, rule="another"))]) == ()
    (problem,) = find_problems([model("a", quality=gain(0.1, -0.2))])
    assert problem.kind == "heatmap"
    assert "falls by 0.1 [-0.2, 1.1] more than in random order" in problem.numbers[0]


def test_classes_without_true_positives_are_told():
    silent = replace(class_audit("cat"), true_positives=0)
    absent = replace(class_audit("dog"), positives=0, true_positives=0)
    (problem,) = find_problems([model("a", silent, absent)])
    assert (problem.kind, problem.class_name) == ("data", "cat")


def test_classes_that_chance_ranks_as_well_and_those_with_too_few_photos_are_told():
    by_chance = class_audit(
        "cat", ap=estimate(0.3), negatives=20, chance=Chance(level=0.28, probability=0.4, least=1e-6)
    )
    told = replace(by_chance, name="dog", chance=Chance(level=0.28, probability=0.01, least=1e-6))
    few = replace(by_chance, name="cow", positives=2, negatives=2,
                  chance=Chance(level=0.7, probability=1.0, least=1 / 6))  # fmt: skip
    photos = [Photo(id=name, height=9, width=9, positive=(name,)) for name in ("cat", "dog", "cow")]
    chance, little = find_problems([model("a", by_chance, told, few)], photos)
    assert (chance.kind, chance.class_name, chance.photos) == ("data", "cat", ("cat",))
    assert chance.title == "a tells cat no better than by chance"
    assert "by chance 0.28 on 10 photos of 30; chance reaches it in 40% of all orders" in chance.numbers[0]
    assert (little.class_name, little.title) == ("cow", "a: too few photos of cow to say anything")
    assert little.advice.startswith("Add labelled photos that the model has not learned from, 8 or more")


def test_a_class_is_told_once_and_a_proved_mark_comes_before_too_few():
    here = {"p": (0, 0, 10, 4)}
    silent = replace(class_audit("cat"), positives=3, true_positives=0)
    marked = replace(class_audit("dog", artefacts=(artefact(0.5, here),)), positives=5)
    assert [(item.kind, item.class_name) for item in find_problems([model("a", silent, marked)])] == [
        ("artefact", "dog"),
        ("data", "cat"),
    ]


def box(name, left, top, right, bottom):
    return Box(class_name=name, left=left, top=top, right=right, bottom=bottom)


def test_the_clearest_of_the_telling_photos_is_the_example():
    def photo(name, *boxes, positive=("rocket",)):
        return Photo(id=name, height=100, width=100, positive=positive, boxes=boxes)

    sliver = photo("sliver", box("rocket", 0, 0, 5, 90), box("astronaut", 20, 20, 80, 80),
                   positive=("rocket", "astronaut"))  # fmt: skip
    whole = photo("whole", box("rocket", 30, 20, 70, 90))
    late = photo("late", box("rocket", 30, 20, 70, 90))
    photos = [sliver, whole, late]
    ratios = {"sliver": 9.0, "whole": 2.0, "late": 0.1}
    rocket = class_audit("rocket", context=replace(DEPENDENT, ratios=ratios))
    (problem,) = find_problems([model("a", rocket)], photos)
    assert problem.photos == ("sliver", "whole", "late")
    assert problem.example == "whole"
    (alone,) = find_problems([model("a", rocket)], photos[:1])
    assert alone.example == "sliver"
    assert find_problems([model("a", rocket)])[0].example == ""

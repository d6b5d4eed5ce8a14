import json

import pytest

from pfungst.audits.schema import (
    Artefact,
    Audit,
    ClassAudit,
    ContextRow,
    ModelAudit,
    Photo,
    Problem,
    picture_file,
)
from pfungst.errors import DataError
from pfungst.evaluation.statistics import Estimate
from pfungst.images.rectangles import Box


def small_audit():
    estimate = Estimate(mean=0.5, low=0.25, high=0.75, n_images=4, n_values=4)
    artefact = Artefact(
        id="m-cat-1",
        kind="place",
        where="lower left corner",
        crop="pictures/a.png",
        n_images=4,
        boxes={"p": (0.0, 1.0, 2.0, 3.0)},
        share=0.5,
        share_elsewhere=0.0,
        relevance_share=0.25,
        area_share=0.125,
    )
    row = ClassAudit(
        name="cat",
        positives=4,
        true_positives=3,
        false_positives=1,
        threshold=0.0,
        ap=estimate,
        context=ContextRow(n_images=3, ratio=estimate, median_ratio=0.5),
        artefacts=(artefact,),
    )
    return Audit(
        title="t",
        data="d",
        split="test",
        classes=("cat",),
        n_photos=1,
        photos=(
            Photo(
                id="p",
                height=4,
                width=5,
                positive=("cat",),
                boxes=(Box(class_name="cat", left=0.0, top=0.0, right=2.0, bottom=2.0),),
            ),
        ),
        models=(
            ModelAudit(
                name="m", kind="other", rule="r", identity={}, survey="survey-m", mean_ap=0.5, classes=(row,)
            ),
        ),
        problems=(Problem(kind="artefact", class_name="cat", models=("m",), title="a", sentence="b"),),
        ran=("context",),
    )


def test_an_audit_survives_its_file(tmp_path):
    audit = small_audit()
    audit.save(tmp_path)
    loaded = Audit.load(tmp_path)
    assert loaded.models[0].by_name("cat").context == audit.models[0].by_name("cat").context
    again = Audit.load(loaded.save(tmp_path / "again").parent)
    assert (tmp_path / "audit.json").read_bytes() == (tmp_path / "again" / "audit.json").read_bytes()
    assert again.problems[0].severity != again.problems[0].severity  # NaN survives as null


def test_what_is_no_audit_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"has no audit\.json"):
        Audit.load(tmp_path)
    file = small_audit().save(tmp_path)
    content = json.loads(file.read_text())
    content["audit"]["models"][0]["classes"][0]["name"] = 7
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"audit.models\[0\].classes\[0\].name is 7, not str"):
        Audit.load(tmp_path)
    file.write_text(json.dumps(content | {"version": 99}))
    with pytest.raises(DataError, match="format version 99"):
        Audit.load(tmp_path)
    file.write_text("[" * 100_000)
    with pytest.raises(DataError, match=r"cannot be read|is not an audit"):
        Audit.load(tmp_path)


def test_pictures_cannot_leave_their_folder(tmp_path):
    assert picture_file(tmp_path, "pictures/a.png") == (tmp_path / "pictures" / "a.png").resolve()
    for name in ("a.png", "../pictures/a.png", "pictures/../a.png", "/etc/passwd", ""):
        with pytest.raises(DataError, match="not in pictures/"):
            picture_file(tmp_path, name)
    with pytest.raises(DataError, match="cannot be a file"):
        picture_file(tmp_path, "pictures/\0.png")


class TestHostile:
    def changed(self, folder, change):
        file = small_audit().save(folder)
        content = json.loads(file.read_text())
        change(content["audit"])
        file.write_text(json.dumps(content))

    @pytest.mark.parametrize(
        "name", ["../x.png", "/etc/passwd", "pictures/../../x.png", "audit.json", "pictures/\0"]
    )
    def test_pictures_that_lead_out_are_refused_when_an_audit_is_loaded(self, tmp_path, name):
        def crop(audit):
            audit["models"][0]["classes"][0]["artefacts"][0]["crop"] = name

        def problem(audit):
            audit["problems"][0]["picture"] = name

        for change in (crop, problem):
            self.changed(tmp_path, change)
            with pytest.raises(DataError, match="names the picture"):
                Audit.load(tmp_path)

    def test_a_link_that_leads_out_is_refused(self, tmp_path):
        (tmp_path / "secret.png").write_bytes(b"")
        folder = tmp_path / "audit"
        (folder / "pictures").mkdir(parents=True)
        (folder / "pictures" / "a.png").symlink_to(tmp_path / "secret.png")
        small_audit().save(folder)
        with pytest.raises(DataError, match=r"'pictures/a\.png', which is not in pictures/"):
            Audit.load(folder)

    @pytest.mark.parametrize("name", ["..", "../other", "/tmp", "a/../../b", "\0"])
    def test_surveys_that_lead_out_are_refused(self, tmp_path, name):
        self.changed(tmp_path, lambda audit: audit["models"][0].update(survey=name))
        with pytest.raises(DataError, match="names the survey"):
            Audit.load(tmp_path)

    @pytest.mark.parametrize("value", [10**19, "deep", True])
    def test_numbers(self, tmp_path, value):
        nested: list[object] = []
        for _ in range(200):
            nested = [nested]
        found = nested if value == "deep" else value
        self.changed(tmp_path, lambda audit: audit["models"][0].update(identity=found, mean_ap=found))
        with pytest.raises(DataError):
            Audit.load(tmp_path)

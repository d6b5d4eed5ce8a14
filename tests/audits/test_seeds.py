"""One seed flows down: every random draw of an audit follows it."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from tests.audits.artefacts.conftest import MarkReader, make_photos

from pfungst.audits import ArtefactConfig, AuditConfig, Subject, audit_models
from pfungst.contract.plain import to_plain
from pfungst.evaluation.config import RegionConfig
from pfungst.evaluation.orders import generator_for
from pfungst.evaluation.statistics import BootstrapConfig

SMALL = AuditConfig(
    quality_images=4,
    regions=RegionConfig(size=20, steps=3, operators=("noise",), repetitions=1),
    artefacts=ArtefactConfig(
        window=16, max_patches=4, max_photos=10, insertions=4, pairs=0, bootstrap=BootstrapConfig()
    ),
)


class Draws:
    """Every seed that is handed to a generator."""

    def __init__(self, monkeypatch):
        self.seeds, self._inside = [], False
        make = np.random.default_rng

        def default_rng(seed=None):
            caller = sys._getframe(1).f_globals["__name__"]
            if caller.startswith("pfungst.") and not self._inside:
                self.seeds.append(seed[0] if isinstance(seed, list) else seed)
            return make(seed)

        def streamed(seed, *parts):
            self.seeds.append(seed)
            self._inside = True
            try:
                return generator_for(seed, *parts)
            finally:
                self._inside = False

        monkeypatch.setattr(np.random, "default_rng", default_rng)
        for name, module in list(sys.modules.items()):
            if name.startswith("pfungst.") and getattr(module, "generator_for", None) is generator_for:
                monkeypatch.setattr(module, "generator_for", streamed)
        self._watch_clustering(monkeypatch)

    def _watch_clustering(self, monkeypatch):
        import sklearn.cluster
        import sklearn.manifold

        for module, name in ((sklearn.cluster, "KMeans"), (sklearn.manifold, "TSNE")):
            kind = getattr(module, name)

            def made(*arguments, kind=kind, **options):
                self.seeds.append(options.get("random_state"))
                return kind(*arguments, **options)

            monkeypatch.setattr(module, name, made)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return make_photos(tmp_path_factory.mktemp("seeds"), count=48, share=0.5)[0]


def audited(photos, folder, seed):
    config = replace(SMALL, random_state=seed)
    return audit_models([Subject(name="m", classifier=MarkReader())], photos, folder, config).models[0]


def test_every_draw_of_an_audit_follows_its_seed(photos, tmp_path, monkeypatch):
    draws = Draws(monkeypatch)
    first = audited(photos, tmp_path / "a", 7)
    assert len(draws.seeds) > 50
    assert set(draws.seeds) == {7}
    assert first.by_name("disc").strategies.n_clusters
    assert any(row.artefacts for row in first.classes)


def test_the_same_seed_gives_the_same_audit_and_another_one_another(photos, tmp_path):
    first, again, other = (
        audited(photos, tmp_path / name, seed) for name, seed in (("a", 7), ("b", 7), ("c", 8))
    )
    assert to_plain(first.classes) == to_plain(again.classes)
    rows = first.by_name("disc"), other.by_name("disc")
    assert rows[0].artefacts[0] != rows[1].artefacts[0]
    assert rows[0].context.ratio != rows[1].context.ratio
    assert rows[0].context.drop_control != rows[1].context.drop_control
    assert rows[0].quality_a != rows[1].quality_a

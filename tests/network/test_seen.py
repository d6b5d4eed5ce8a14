"""A network remembers the photos it has learned from: on disk, in its variants, and when it is trained on."""

import numpy as np

from pfungst.images.seen import SeenPhotos
from pfungst.network import NetworkClassifier, initial_network

MEMORY = SeenPhotos(contents=np.array([3, 5], dtype=np.uint64), looks=np.array([7, 11], dtype=np.uint64))


def test_the_memory_goes_through_a_folder_and_on_to_a_new_last_layer(tmp_path):
    network = initial_network("small-cnn", ("cat", "dog"))
    assert network.seen is None
    network.seen = MEMORY
    network.save(tmp_path / "model")
    found = NetworkClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(found.seen.contents, MEMORY.contents)
    np.testing.assert_array_equal(found.seen.looks, MEMORY.looks)
    assert found.with_thresholds([0.1, 0.2]).seen is found.seen
    again = initial_network(str(tmp_path / "model"), ("owl", "cat", "dog"))
    np.testing.assert_array_equal(again.seen.contents, MEMORY.contents)

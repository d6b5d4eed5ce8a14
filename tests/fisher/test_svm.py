import tracemalloc

import numpy as np

from pfungst.fisher import svm
from pfungst.fisher.svm import gram_matrix


def test_a_gram_matrix_is_computed_in_blocks_without_a_copy_of_the_file(tmp_path, monkeypatch):
    """50 MB of vectors in a file; what is allocated is the matrix and one block of it."""
    monkeypatch.setattr(svm, "_BLOCK_ROWS", 64)
    generator = np.random.default_rng(0)
    np.save(tmp_path / "vectors.npy", generator.normal(size=(250, 50_000)).astype(np.float32))
    vectors = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    tracemalloc.start()
    try:
        gram = gram_matrix(vectors)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * gram.nbytes
    exact = np.asarray(vectors, dtype=np.float64) @ np.asarray(vectors, dtype=np.float64).T
    np.testing.assert_allclose(gram, exact, atol=0.05)

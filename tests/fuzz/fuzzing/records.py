"""Hostile audits, journals and attributions: what the program writes may come from others as well."""

from __future__ import annotations

import io
import json
from random import Random

import numpy as np
from safetensors.numpy import save

from fuzzing.mutation import INTEGERS, TEXTS, json_bytes, mutate_bytes, mutate_json, pick
from fuzzing.target import Case, Target
from pfungst.audits.schema import FORMAT_VERSION, Audit
from pfungst.evaluation.attributions import AttributionFolder
from pfungst.runs.journal import _SEAL, Journal, _seal, read_records

_AUDIT = {
    "format": "pfungst-audit",
    "version": FORMAT_VERSION,
    "audit": {
        "title": "t", "data": "d", "split": "test", "classes": ["cat"], "n_photos": 1,
        "photos": [{"id": "p", "height": 4, "width": 5, "positive": ["cat"],
                    "boxes": [{"class_name": "cat", "left": 0, "top": 0, "right": 2, "bottom": 2}]}],
        "models": [{
            "name": "m", "kind": "other", "rule": "r", "identity": {"a": 1}, "survey": "survey-m",
            "mean_ap": 0.5,
            "classes": [{
                "name": "cat", "positives": 4, "true_positives": 3, "false_positives": 1, "threshold": 0.0,
                "ap": {"mean": 0.5, "low": 0.25, "high": None, "n_images": 4, "n_values": 4},
                "context": {"n_images": 3},
                "strategies": {"n_images": 3, "clusters": [{"index": 0, "size": 3, "share": 1.0,
                               "mean_map": "pictures/c.png", "exemplars": ["p"]}]},
                "artefacts": [{
                    "id": "a", "kind": "place", "where": "corner", "crop": "pictures/a.png", "n_images": 4,
                    "boxes": {"p": [0, 1, 2, 3]}, "share": 0.5, "share_elsewhere": 0, "relevance_share": 0.25,
                    "area_share": 0.1, "pairs": [{"image": "p", "edit": "removal",
                    "before_picture": "pictures/b.png",
                    "after_picture": "pictures/d.png", "before": 1.0, "after": 0.5}]}],
            }],
        }],
        "problems": [{"kind": "artefact", "class_name": "cat", "models": ["m"], "title": "a", "sentence": "b",
                      "picture": "pictures/a.png"}],
        "ran": ["context"],
    },
}  # fmt: skip


class Audits(Target):
    """``audit.json``."""

    name = "audits"
    base = json.dumps(_AUDIT)

    def make(self, rng: Random) -> Case:
        """Changed trees, some damaged bytes."""
        content = json_bytes(mutate_json(rng, self.base))
        return {"audit.json": mutate_bytes(rng, content) if rng.random() < 0.1 else content}

    def run(self, case: Case) -> bool:
        """Load; what loads can be saved again."""
        self.write(self.folder, case)
        Audit.load(self.folder).save(self.folder / "again")
        return True


class Journals(Target):
    """The records of a run."""

    name = "journals"

    def make(self, rng: Random) -> Case:
        """A header and records, each possibly changed, with checksums that fit; then perhaps damaged."""
        header = (
            '{"format": "pfungst-journal", "version": 2, "configuration": {"seed": 0, "deep": {"a": [1]}}}'
        )
        lines = [
            header,
            '{"image": "a", "value": 1.5}',
            '{"image": "b", "value": {"c": [1, 2]}}',
            '{"image": "c"}',
        ]
        content, seal = b"", ""
        for line in lines:
            body = json_bytes(mutate_json(rng, line)) if rng.random() < 0.3 else line.encode()
            seal = _seal(body[:-1], seal)
            content += body[:-1] + _SEAL + seal.encode() + b'"}\n'
        if rng.random() < 0.5:
            content = content[:-1]
        return {
            "records.jsonl": mutate_bytes(rng, content, (b"\n", b"\r")) if rng.random() < 0.3 else content
        }

    def run(self, case: Case) -> bool:
        """Take the run up again, add a record, read all."""
        self.write(self.folder, case)
        file = self.folder / "records.jsonl"
        with Journal(file, {"seed": 0, "deep": {"a": [1]}}) as journal:
            journal.append({"image": "new"})
        assert list(read_records(file))[-1] == {"image": "new"}
        return True


class Attributions(Target):
    """A user's heatmaps as ``.npy`` and ``.safetensors``."""

    name = "attributions"

    def prepare(self) -> None:
        """A good file of each kind."""
        buffer = io.BytesIO()
        np.save(buffer, np.ones((3, 4)))
        self.base = buffer.getvalue()
        self.joint = save({"cat": np.ones((3, 4), np.float32)})
        (self.folder / "cat").mkdir()

    def make(self, rng: Random) -> Case:
        """Damaged headers and bytes."""
        if rng.random() < 0.3:
            return {"b.safetensors": mutate_bytes(rng, self.joint, (b'"F64"', b"[", b"]", b"9" * 9))}
        types = (
            "<f4",
            "<f8",
            "<i8",
            "|b1",
            "|O",
            "<c16",
            "<U9",
            "|V8",
            "|V2000000000",
            "<f16",
            ">f2",
            "<M8[s]",
            "x",
        )
        shape = tuple(pick(rng, INTEGERS) for _ in range(pick(rng, (0, 1, 2, 3))))
        header = (
            f"{{'descr': {pick(rng, types)!r}, 'fortran_order': {rng.random() < 0.5}, 'shape': {shape}, }}\n"
        )
        if rng.random() < 0.2:
            header = "(" * 5000 if rng.random() < 0.3 else "{" + f"'descr': {pick(rng, TEXTS)!r}" + "}"
        raw = header.encode(errors="replace")
        content = b"\x93NUMPY\x01\0" + (len(raw) % 65536).to_bytes(2, "little") + raw + bytes(96)
        if rng.random() < 0.6:
            content = mutate_bytes(
                rng, self.base, (b"descr", b"PK\x03\x04", b"\x80\x04", b"(", b"10000000000,", b"|O")
            )
        return {"cat/a.npy": content}

    def run(self, case: Case) -> bool:
        """Read the array."""
        self.write(self.folder, case)
        image = np.zeros((3, 4, 3), np.uint8)
        array = AttributionFolder(self.folder)(image, "cat", "a" if "cat/a.npy" in case else "b")
        assert array.dtype == np.float64
        return True

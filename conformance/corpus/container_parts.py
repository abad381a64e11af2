"""What the cases of the container share: one plain file, and the words for where their rules come from."""

from __future__ import annotations

from conformance.engine.case import Source, needs
from conformance.tools.container import Spec
from conformance.tools.scenario import Scenario
from conformance.tools.tensor_file import TensorFile

#: The format in prose.
FORMAT = "https://github.com/safetensors/safetensors#format"
#: The reference reader, with its tests.
READER = "https://github.com/safetensors/safetensors/blob/main/safetensors/src/tensor.rs"
#: The format as a JSON schema.
SCHEMA = "https://github.com/safetensors/safetensors/blob/main/docs/safetensors.schema.json"

#: The file of every case here.
FILE = "model.safetensors"
ALPHA, BETA, GAMMA = "alpha.weight", "beta.bias", "gamma.weight"
#: ``alpha.weight`` lies at [0, 60), ``beta.bias`` at [60, 88), ``gamma.weight`` at [88, 184).
SPECS = (Spec(ALPHA, "F32", (3, 5)), Spec(BETA, "F32", (7,)), Spec(GAMMA, "F32", (2, 4, 3)))
PLAIN = Scenario(TensorFile(SPECS))
F32 = needs("dtype:F32")


def source(text: str, url: str, *rows: str) -> Source:
    """A source, with the rows of the catalogue of defects."""
    return Source(text, url, rows)

"""The ways by which the cases of files and directories are made do what their titles say."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from conformance.engine.case import CaseRecipe
from conformance.tests.corpus_of_files import CASES, FILE, INDEX, built, exactly, header_of, read, read_by_index, truths
from conformance.tools.container import Spec
from conformance.tools.digest import manifest
from conformance.tools.scenario import Scenario
from conformance.tools.steps import step
from conformance.tools.tensor_file import TensorFile
from conformance.tools.truth import Tensors, tensor_digest

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.engine.case import Case

_PICKLE = "import sys, torch; torch.load(sys.argv[1], weights_only=sys.argv[2] == 'guarded')"
#: What a loader does that keeps every tensor of each file, in the order of a set of their names.
_IN_SET_ORDER = """
import hashlib, json, safetensors, sys
from pathlib import Path
place = Path(sys.argv[1])
index = json.loads((place / "model.safetensors.index.json").read_text())["weight_map"]
merged = {}
for file in set(index.values()):
    merged.update(safetensors.deserialize((place / file).read_bytes()))
print(hashlib.sha256(bytes(merged[sys.argv[2]]["data"])).hexdigest())
"""


def stored(case: Case) -> Tensors:
    """Every tensor of the one checkpoint that a case builds."""
    assert isinstance(case.recipe, CaseRecipe)
    return case.recipe.stored()


@pytest.mark.parametrize(
    ("case_id", "files"),
    [
        ("checkpoint/index-and-single-file", (FILE,)),
        ("checkpoint/consolidated-beside-shards", ("consolidated.safetensors",)),
    ],
)
def test_the_other_set_has_other_values(case_id: str, files: tuple[str, ...], tmp_path: Path) -> None:
    """The second set of weights is what the second answer says, and differs from the first in every tensor."""
    case = CASES[case_id]
    first, second = truths(case, case.calls[0])
    found = exactly(read([built(case_id, tmp_path) / file for file in files]))
    assert found == second
    assert not [name for name in found if found[name] == first.get(name)]


def test_the_second_set_of_shards_has_other_values(tmp_path: Path) -> None:
    """The set that the index does not name holds every name, with other bytes throughout."""
    case = CASES["checkpoint/two-sets-of-shards"]
    place = built(case.id, tmp_path)
    found = exactly(read(sorted(place.glob("*-of-00002.safetensors"))))
    truth = truths(case, case.calls[0])[0]
    assert found.keys() == truth.keys()
    assert not [name for name in found if found[name] == truth[name]]


@pytest.mark.parametrize(
    ("where", "tensor"),
    [
        ("first", "model.norm.weight"),
        ("middle", "model.embed_tokens.weight"),
        ("last", "model.layers.1.self_attn.q_proj.weight"),
    ],
)
def test_chance_decides_for_each_stale_copy(where: str, tensor: str, tmp_path: Path) -> None:
    """Whoever reads files in the order of a set is right under one of the case's seeds, and wrong under another."""
    case = CASES[f"checkpoint/stale-copy-in-the-{where}-shard"]
    place = built(case.id, tmp_path)
    right = truths(case, case.calls[0])[0][tensor][0].sha256
    found = [
        subprocess.run(
            [sys.executable, "-c", _IN_SET_ORDER, str(place), tensor],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": str(seed)},
        ).stdout.strip()
        == right
        for seed in case.hash_seeds
    ]
    assert set(found) == {True, False}


@pytest.mark.parametrize("slug", ["shard-in-the-parent", "shard-behind-a-directory", "shard-by-absolute-path"])
def test_a_shard_outside_is_sound(slug: str, tmp_path: Path) -> None:
    """Whoever follows the index out of the directory reads the whole truth: nothing else would stop it."""
    place = built(f"checkpoint/{slug}", tmp_path)
    placed = json.loads((place / INDEX).read_text(encoding="utf-8"))["weight_map"]
    outside = {file for file in placed.values() if not (place / file).resolve().is_relative_to(place.resolve())}
    assert len(outside) == 1
    assert exactly(read_by_index(place)) == dict(stored(CASES["checkpoint/sharded"]).wanted)


def test_links_lead_out_of_the_directory(tmp_path: Path) -> None:
    """Every file of the cache case is a relative link to a blob outside, whose name has no suffix."""
    place = built("checkpoint/links-of-the-cache", tmp_path)
    blobs = [path.resolve() for path in place.iterdir()]
    assert all(path.readlink().parts[0] == ".." for path in place.iterdir())
    assert not [blob for blob in blobs if blob.is_relative_to(place.resolve()) or blob.suffix]


def test_the_pickle_is_armed(tmp_path: Path) -> None:
    """Whoever executes the pickle ends, and says so; whoever guards it gets an error; the directory stays as it is."""
    place = built("checkpoint/only-a-pickle", tmp_path)
    before = manifest(place)
    told = {
        how: subprocess.run(
            [sys.executable, "-c", _PICKLE, str(place / "pytorch_model.bin"), how],
            capture_output=True,
            text=True,
            check=False,
        ).stderr
        for how in ("guarded", "executed")
    }
    assert told["executed"].strip() == "the pickle of this checkpoint was executed"
    assert "UnpicklingError" in told["guarded"]
    assert manifest(place) == before


@pytest.mark.parametrize("remainder", [1, 4, 7])
def test_a_header_has_the_length_that_its_case_says(remainder: int, tmp_path: Path) -> None:
    """The header of each case of alignment has the named length modulo 8, and no padding."""
    header, length = header_of(built(f"container/header-length-{remainder}-modulo-8", tmp_path) / FILE)
    assert length % 8 == remainder
    assert header.endswith(b"}")


def test_the_long_header_is_one_above_the_limit(tmp_path: Path) -> None:
    """Nothing but the limit is wrong with the header that is too long: its JSON is whole, and padded with spaces."""
    header, length = header_of(built("container/header-length-above-the-limit", tmp_path) / FILE)
    assert len(header) == length == 100_000_001
    assert json.loads(header.rstrip(b" ")).keys() == {"__metadata__", "alpha.weight", "beta.bias", "gamma.weight"}


@pytest.mark.parametrize("slug", ["elements-wrap", "bytes-wrap"])
def test_a_size_wraps_to_the_span(slug: str, tmp_path: Path) -> None:
    """Counted in 64 bits the tensor has the bytes that its offsets span, and in truth it has many more."""
    header, _ = header_of(built(f"container/{slug}", tmp_path) / FILE)
    entry = json.loads(header)["alpha.weight"]
    start, end = entry["data_offsets"]
    nbytes = 4 * math.prod(entry["shape"])
    assert nbytes % 2**64 == end - start < nbytes


@pytest.mark.parametrize(
    "slug", ["with-another-shape", "through-an-escape", "that-is-empty", "with-other-bytes", "key-in-metadata"]
)
def test_a_duplicate_is_there_twice(slug: str, tmp_path: Path) -> None:
    """A parser that is asked for pairs sees a name twice, whatever its spelling."""
    twice: list[str] = []

    def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        twice.extend(name for name in dict.fromkeys(names) if names.count(name) > 1)
        return dict(pairs)

    json.loads(header_of(built(f"container/duplicate-{slug}", tmp_path) / FILE)[0], object_pairs_hook=keep)
    assert len(twice) == 1


def test_escaped_names_differ_from_plain_ones_in_their_spelling_alone(tmp_path: Path) -> None:
    """The header with escapes is ASCII but for nothing, and says the names of the one without."""
    header, _ = header_of(built("container/escaped-names", tmp_path) / FILE)
    assert header.isascii()
    plain = stored(CASES["container/unicode-names"]).wanted
    assert json.loads(header).keys() == {"__metadata__", *plain}


@pytest.mark.parametrize(("slug", "start"), [("hole-at-the-start", 0), ("hole-in-the-middle", 60)])
def test_bytes_in_a_hole_are_no_tensor(slug: str, start: int, tmp_path: Path) -> None:
    """A hole is filled with bytes that are not zero, and the tensors behind it keep theirs."""
    path = built(f"container/{slug}", tmp_path) / FILE
    header, length = header_of(path)
    data = path.read_bytes()[8 + length :]
    assert data[start : start + 8] == b"\xff" * 8
    begin, end = json.loads(header)["gamma.weight"]["data_offsets"]
    truth = stored(CASES["container/plain"]).wanted["gamma.weight"][0]
    assert tensor_digest("F32", (2, 4, 3), data[begin:end]) == truth


def test_bytes_that_are_set_are_the_truth() -> None:
    """A way that sets the bytes of a tensor changes what is true of it, and of no other."""
    plain, special = (stored(CASES[f"container/{slug}"]).wanted for slug in ("plain", "special-floats"))
    assert {name for name in plain if plain[name] != special[name]} == {"beta.bias"}


def test_a_sparse_file_takes_no_disk(tmp_path: Path) -> None:
    """The file of 256 MiB and more has as many bytes, and takes less than one MiB of disk."""
    seen = (built("limits/one-copy-of-the-file", tmp_path) / "judged" / FILE).stat()
    assert seen.st_size > 256 << 20
    assert seen.st_blocks * 512 < 1 << 20


@pytest.mark.parametrize("elements", [1, 128, 129, 1 << 19])
def test_a_sparse_tensor_has_values_at_both_ends(elements: int) -> None:
    """Its first and last 64 elements are those of the closed form, and all between them zero; digests say the same."""
    specs = (Spec("a.weight", "F32", (elements,)),)
    dense, sparse = (TensorFile(specs, sparse=each).tensors()["a.weight"].data for each in (False, True))
    assert (len(sparse), sparse[:256], sparse[-256:]) == (len(dense), dense[:256], dense[-256:])
    assert not any(sparse[256:-256])
    file = TensorFile(specs, sparse=True)
    assert file.digests()["a.weight"] == tensor_digest("F32", (elements,), sparse)
    assert file.key() != TensorFile(specs).key()


def test_a_sparse_file_on_disk_is_the_truth(tmp_path: Path) -> None:
    """What safetensors reads from a sparse file are its closed-form digests, of every size of tensor."""
    file = TensorFile(tuple(Spec(f"t{n}", "BF16", (n, 3)) for n in (0, 1, 42, 43, 500)), sparse=True)
    file.build(tmp_path)
    assert read([tmp_path / FILE]) == file.digests()
    assert Scenario(file).stored() == Tensors(exactly(file.digests()))


def test_a_way_that_cannot_be_gone_says_so(tmp_path: Path) -> None:
    """A text that the header does not hold once, bytes of another number, an unknown spelling: each is an error."""
    scenario = CASES["container/plain"].recipe
    assert isinstance(scenario, Scenario)
    for number, wrong in enumerate(
        (
            step("replace_text", FILE, "weight", "w"),
            step("break_letter", FILE, "absent"),
            step("set_bytes", FILE, "beta.bias", "00"),
        ),
    ):
        with pytest.raises(ValueError, match=r"in the header, not once|28 bytes, got 1"):
            scenario.then(wrong).build(tmp_path / str(number))
    sharded = CASES["checkpoint/sharded"].recipe
    assert isinstance(sharded, Scenario)
    with pytest.raises(KeyError, match="sideways"):
        sharded.then(step("move_outside", "model-00001-of-00003.safetensors", "sideways")).build(tmp_path / "sharded")

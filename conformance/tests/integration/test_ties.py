"""Head and embedding: every combination of the flag, of what is stored, and of whether the two are equal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
import torch

from conformance.tools import edits
from conformance.tools.recipe import Layout, Recipe
from inferno_loader import analyze, load_model, load_state_dict, plan
from inferno_loader.errors import ChangedFileError, MissingTensorError, PlanError
from inferno_loader.ties import same_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conformance.tools.recipe import Built, Expected

_HEAD, _EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"
_SMALL = {"num_hidden_layers": 2}
_TABLE = 101 * 54
_REST = 2 * (60 * 54 * 2 + 20 * 54 * 2 + 75 * 54 * 3 + 2 * 54) + 54


def _recipe(head: Any, *, tied: bool, **changes: Any) -> Recipe:
    return Recipe(config={**_SMALL, "tie_word_embeddings": tied}, head=head, **changes)


def _storages(tensors: dict[str, torch.Tensor]) -> int:
    """Bytes of all the memory behind `tensors`, what they share once."""
    unique = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors.values()}
    return sum(unique.values())


# Flag, what is stored as head, whether the two share memory, how many tables there are, and the finding.
@pytest.mark.parametrize(
    ("tied", "head", "shared", "tables", "code"),
    [
        (True, "absent", True, 1, None),
        (True, "copy", True, 1, "tie.redundant"),
        (True, "own", False, 2, "tie.different_head"),
        (True, "instead", True, 1, None),
        (False, "own", False, 2, None),
        (False, "copy", False, 2, None),
    ],
    ids=str,
)
@pytest.mark.parametrize("options", [{}, {"mmap": True}, {"dtype": "float32"}], ids=["kept", "mapped", "cast"])
def test_every_combination(
    tied: bool,
    head: Any,
    shared: bool,
    tables: int,
    code: str | None,
    options: dict[str, Any],
    built: Callable[[Recipe], Built],
    identify: Callable[[torch.Tensor], Expected],
) -> None:
    """What is stored is loaded; a tied head is one memory with the embedding, and is counted once."""
    made = built(_recipe(head, tied=tied))
    loaded = load_state_dict(made.directory, names="huggingface", **options)
    assert (loaded[_HEAD].data_ptr() == loaded[_EMBEDDING].data_ptr()) == shared
    if not options.get("dtype"):
        # Under `instead` the recipe knows the table by the name of the embedding; under `absent` there is no other.
        assert identify(loaded[_EMBEDDING]) == made.dense[_EMBEDDING]
        assert identify(loaded[_HEAD]) == made.dense[_EMBEDDING if shared else _HEAD]
    planned = plan(made.directory, **options)
    size = 4 if options.get("dtype") else 2
    assert planned.tied == shared
    assert planned.weight_bytes == size * (tables * _TABLE + _REST)
    if not options.get("mmap"):
        assert _storages(loaded) == planned.weight_bytes
    assert [each.code for each in planned.findings if each.code.startswith("tie")] == ([code] if code else [])


@pytest.mark.parametrize(("tied", "head", "tables"), [(True, "copy", 1), (True, "own", 2), (False, "copy", 2)])
def test_parameters_are_counted_by_what_is_loaded(
    tied: bool, head: Any, tables: int, built: Callable[[Recipe], Built]
) -> None:
    """A tied head and a copy of it count once, an untied one counts even where it is equal."""
    facts = analyze(built(_recipe(head, tied=tied)).directory)
    assert (facts.parameters, facts.dense_bytes) == (tables * _TABLE + _REST, 2 * (tables * _TABLE + _REST))
    assert facts.tied == (tables == 1)


@pytest.mark.parametrize("head", ["absent", "copy", "instead", "own"])
def test_a_model_shares_what_its_weights_share(head: Any, built: Callable[[Recipe], Built]) -> None:
    """In the model, a tied head is the parameter of the embedding itself."""
    model = load_model(built(_recipe(head, tied=True)).directory)
    assert (model.lm_head.weight is model.embed_tokens.weight) == (head != "own")
    assert len(list(model.parameters())) == (20 if head != "own" else 21)


def test_an_untied_head_that_is_absent_is_refused(built: Callable[[Recipe], Built]) -> None:
    """Nothing stands in for it, unless the caller says what."""
    directory = built(_recipe("absent", tied=False)).directory
    with pytest.raises(MissingTensorError) as caught:
        load_state_dict(directory)
    assert (caught.value.names, caught.value.tensor) == ((_HEAD,), _HEAD)
    assert 'tie="embedding"' in str(caught.value.remedy)
    waived = load_state_dict(directory, tie="embedding")
    assert waived["lm_head.weight"] is waived["embed_tokens.weight"]
    assert plan(directory, tie="embedding").tied


@pytest.mark.parametrize("head", ["own", "copy"])
def test_the_waiver_is_for_a_missing_head_only(head: Any, built: Callable[[Recipe], Built]) -> None:
    """An untied head that is stored is loaded as ever."""
    made = plan(built(_recipe(head, tied=False)).directory, tie="embedding")
    assert (made.tied, made.findings) == (False, ())


@pytest.mark.parametrize("waiver", [None, "embedding"])
def test_an_untied_embedding_that_is_absent_is_refused(waiver: Any, built: Callable[[Recipe], Built]) -> None:
    """The head does not serve as embedding where nothing ties them; the waiver is for the other way."""
    with pytest.raises(MissingTensorError) as caught:
        plan(built(_recipe("instead", tied=False)).directory, tie=waiver)
    assert caught.value.names == (_EMBEDDING,)


@pytest.mark.parametrize("tied", [True, False])
def test_without_both_the_model_is_incomplete(tied: bool, fresh: Callable[[Recipe], Path]) -> None:
    """Neither embedding nor head: both are missing, whatever the flag."""
    directory = fresh(_recipe("own", tied=tied))
    edits.remove(directory, _HEAD, _EMBEDDING)
    with pytest.raises(MissingTensorError) as caught:
        plan(directory, tie="embedding")
    assert caught.value.names == (_EMBEDDING, _HEAD)


def test_a_copy_in_another_shard_is_told_from_another_head(built: Callable[[Recipe], Built]) -> None:
    """The comparison goes over the bytes, wherever they lie."""
    layout = Layout("by_count", 4)
    copy, own = (built(_recipe(head, tied=True, layout=layout)).directory for head in ("copy", "own"))
    assert plan(copy).tied
    assert not plan(own).tied


def test_the_last_byte_counts(fresh: Callable[[Recipe], Path]) -> None:
    """A head that differs from the embedding in its last byte is another head, and both are loaded."""
    directory = fresh(_recipe("copy", tied=True))
    path, head = edits.find(directory, _HEAD)
    edits.write_tensors(
        path, {**edits.read_tensors(path), _HEAD: type(head)(head.spec, head.data[:-1] + bytes([head.data[-1] ^ 1]))}
    )
    loaded = load_state_dict(directory)
    assert not torch.equal(loaded["lm_head.weight"], loaded["embed_tokens.weight"])
    assert torch.equal(loaded["lm_head.weight"][:-1], loaded["embed_tokens.weight"][:-1])


@pytest.mark.parametrize("dtype", ["F32", "F16"])
def test_a_head_in_another_dtype_is_another_head(
    dtype: str, built: Callable[[Recipe], Built], identify: Callable[[torch.Tensor], Expected]
) -> None:
    """Two tensors are the same only if dtype, shape and bytes are; those of F16 are as many as those of BF16."""
    made = built(_recipe("copy", tied=True, dtypes=((_HEAD, dtype),)))
    planned = plan(made.directory)
    assert (planned.tied, planned.by_name["lm_head.weight"].dtype.name) == (False, dtype)
    loaded = load_state_dict(made.directory, names="huggingface")
    assert identify(loaded[_HEAD]) == made.dense[_HEAD]


def test_a_tied_head_of_another_shape_is_refused(fresh: Callable[[Recipe], Path]) -> None:
    """A stored head is held against the configuration like any tensor, though the flag would do without it."""
    directory = fresh(_recipe("copy", tied=True))
    path, _ = edits.find(directory, _HEAD)
    edits.edit_header(path, lambda header: header[_HEAD]["shape"].reverse())
    with pytest.raises(PlanError) as caught:
        plan(directory)
    assert (caught.value.code, caught.value.tensor) == ("plan.shape", _HEAD)


def test_comparing_notices_a_file_that_changed(fresh: Callable[[Recipe], Path]) -> None:
    """The two tensors are those whose headers were read, or nothing is said of them."""
    directory = fresh(_recipe("own", tied=False))
    planned = plan(directory)
    head, embedding = (planned.by_name[name].parts["weight"] for name in ("lm_head.weight", "embed_tokens.weight"))
    assert not same_bytes(head, embedding)
    os.truncate(directory / "model.safetensors", 10_000)
    with pytest.raises(ChangedFileError):
        same_bytes(head, embedding)

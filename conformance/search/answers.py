"""The three readers, and what each answers: it loads, it refuses, it abstains, or it breaks.

``inferno_loader`` may be replaced by a planted loader: the search must find what that one does wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from safetensors import SafetensorError, deserialize

from conformance.adapters.inferno import Inferno
from conformance.engine.tensors import digest_of
from conformance.planted import registry
from conformance.planted.right import Right
from conformance.planted.right_types import RefusedError
from conformance.tools.truth import SUB_BYTE, TensorDigest, tensor_digest
from inferno_loader.errors import CapabilityError, InfernoError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

#: The name of the loader of the project, and of those that it is held against.
INFERNO, RIGHT, REFERENCE = "inferno", "right", "safetensors"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reader said.

    Attributes:
        kind: ``abstains`` where there is no dtype for it here, ``breaks`` where it raises what is no error of its own.
        why: The code of the reason of a refusal, where it tells one; the type of what it raised otherwise.
        text: The message.
        tensors: What it loaded, by name.
    """

    kind: Literal["loads", "refuses", "abstains", "breaks"]
    why: str = ""
    text: str = ""
    tensors: Mapping[str, TensorDigest] = field(default_factory=dict)

    @property
    def short(self) -> str:
        """In a word or two."""
        return f"{self.kind} ({self.why})" if self.why else self.kind

    def differs(self, other: Answer) -> str:
        """How the tensors differ from others; empty where they do not."""
        if self.tensors.keys() != other.tensors.keys():
            return "other names"
        for name, tensor in self.tensors.items():
            if not (tensor.admits(other.tensors[name]) or other.tensors[name].admits(tensor)):
                return "other bytes" if tensor[:2] == other.tensors[name][:2] else "another dtype or shape"
        return ""


class Reader:
    """An adapter, with the tree of its errors.

    Attributes:
        adapter: The adapter.
        own: The errors by which it refuses.
        whole: Whether it reads whole checkpoints.
    """

    whole = True

    def __init__(self, adapter: Any, own: type[Exception] | tuple[type[Exception], ...]) -> None:
        self.adapter = adapter
        self.own = own

    def read_file(self, path: Path) -> Answer:
        """What it says of one file."""
        return self._answer(self.adapter.read_file, path)

    def read_checkpoint(self, directory: Path) -> Answer:
        """What it says of a checkpoint."""
        return self._answer(self.adapter.read_checkpoint, directory)

    def load_weights(self, directory: Path) -> Answer:
        """What it says of the parameters of a checkpoint."""
        return self._answer(self.adapter.load_weights, directory)

    def _answer(self, method: Callable[[Any], Mapping[str, Any]], where: Path) -> Answer:
        try:
            tensors = {name: _digest(tensor) for name, tensor in method(where).items()}
        except CapabilityError as error:
            return Answer("abstains", error.code, str(error))
        except self.own as error:
            return Answer("refuses", str(self.reason(error) or ""), str(error)[:300])
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a panic or an exit is what is searched for
            return Answer("breaks", type(error).__name__, str(error)[:300])
        return Answer("loads", tensors=tensors)

    def reason(self, error: Exception) -> str | None:
        """The code of a refusal."""
        return self.adapter.reason(error)  # type: ignore[no-any-return] # a code, or none


class Reference(Reader):
    """safetensors' own reader of one file. Its errors are told apart by their words."""

    whole = False

    def __init__(self) -> None:
        super().__init__(None, (SafetensorError, OSError))

    def read_file(self, path: Path) -> Answer:
        """What it says of the bytes of a file, without torch, which lacks some of the dtypes.

        Of a pipe, or of a device that never ends, it is not asked: it is this search that would read them whole.
        """
        if path.exists() and not path.is_file():
            return Answer("abstains", "special")
        return self._answer(_deserialized, path)

    def reason(self, error: Exception) -> str | None:
        """The first words of the message, without what changes from file to file."""
        return str(error).partition(":")[2].partition(":")[0].strip()[:40]


def _deserialized(path: Path) -> dict[str, TensorDigest]:
    found = deserialize(path.read_bytes())  # type: ignore[no-untyped-call] # it has no types
    return {name: tensor_digest(each["dtype"], each["shape"], bytes(each["data"])) for name, each in found}


def _digest(tensor: Any) -> TensorDigest:
    """Of a tensor. Elements below a byte have the shape that torch gives them, and are compared by their bytes."""
    if isinstance(tensor, TensorDigest):
        return tensor
    told = digest_of(tensor)
    return TensorDigest(told["dtype"], tuple(told["shape"]), told["sha256"])


class Subject:
    """The readers of one search.

    Attributes:
        name: The reader that is searched.
        readers: It, the right one, and the reference, by name.
    """

    def __init__(self, name: str = INFERNO) -> None:
        """Makes the readers.

        Args:
            name: ``inferno``, or the name of the class of a planted loader.

        Raises:
            KeyError: No planted loader is called so.
        """
        planted = {each.__name__: each for each in registry.ALL}
        own = Reader(Inferno(), InfernoError) if name == INFERNO else Reader(planted[name](), RefusedError)
        self.name = name
        self.readers: dict[str, Reader] = {name: own, RIGHT: Reader(Right(), RefusedError), REFERENCE: Reference()}


__all__ = ["INFERNO", "REFERENCE", "RIGHT", "SUB_BYTE", "Answer", "Reader", "Reference", "Subject"]

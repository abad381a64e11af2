"""Which loaders a matrix judges where none is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.adapters import BuiltIn, resolve
from conformance.commands import matrix

if TYPE_CHECKING:
    import pytest


def test_the_matrix_goes_without_what_nobody_made_ready(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A loader by hand is left out, and told with its remedy; one that is not by hand fails where it is judged."""
    built_in = {
        "here": BuiltIn("json:JSONEncoder", ("json",), by_hand=True),
        "slow": BuiltIn("json:JSONEncoder", ("no_such",), extra="slow", by_hand=True),
        "broken": BuiltIn("json:JSONEncoder", ("no_such",), extra="broken"),
    }
    monkeypatch.setattr(resolve, "BUILT_IN", built_in)
    monkeypatch.setattr("conformance.adapters.BUILT_IN", built_in)
    assert matrix._built_in() == ("here", "broken")
    assert list(resolve.left_out()) == ["slow"]
    assert "slow" in (told := capsys.readouterr().err)
    assert "pip install 'inferno-loader[slow]'" in told

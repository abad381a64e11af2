"""Programs behind the protocol: which processes a host ends, and which it leaves alone."""

from __future__ import annotations

import sys

import pytest

from conformance.engine import observing
from conformance.engine.command_host import CommandHost

_COMMAND = [sys.executable, "-m", "conformance.planted.scripted", "well-behaved"]


@pytest.mark.parametrize("healthy", [True, False])
def test_a_program_that_is_gone_is_not_ended_again(healthy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pid may be that of another process by then."""
    host = CommandHost(_COMMAND, once=True)
    session = host.session(0, fresh=True)
    pid = session.pid
    session.close(healthy=healthy)
    ended: list[int] = []
    monkeypatch.setattr(observing, "end", ended.append)
    host.close()
    assert (pid > 0, ended) == (True, [])


def test_a_program_that_is_lent_is_ended_when_the_host_closes() -> None:
    """An interrupted run leaves no program behind, though the case has not given it back."""
    host = CommandHost(_COMMAND)
    session = host.session(0, fresh=False)
    host.close()
    assert session.died_of() == "died from SIGKILL"
    session.close(healthy=False)

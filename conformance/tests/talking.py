"""Speaks with a program over its standard streams, as the runner does and without any of its code."""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Seconds after which a program that says nothing is taken to hang.
PATIENCE = 60.0


class Talk:
    """A program that was started, with its standard streams as pipes.

    Args:
        command: The program and its arguments.
        cwd: Where it runs.
        env: Changes to its environment.
    """

    def __init__(self, *command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the program
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            bufsize=0,
        )
        self._heard = b""
        self._ended: tuple[int, bytes, str] | None = None

    def say(self, line: bytes) -> None:
        """Writes a line, without its line feed, and waits for nothing."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")

    def hear(self) -> bytes:
        """The next line with its line feed, or what there is of one when the program closes its standard output."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self._heard:
            ready, _, _ = select.select([self.process.stdout], [], [], deadline - time.monotonic())
            assert ready, "the program says nothing"
            more = self.process.stdout.read(1 << 16)
            if not more:
                break
            self._heard += more
        line, feed, self._heard = self._heard.partition(b"\n")
        return line + feed

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer to a request."""
        self.say(json.dumps(request).encode())
        answer: dict[str, Any] = json.loads(self.hear())
        return answer

    def hello(self) -> dict[str, Any]:
        """The answer to the first request."""
        return self.ask(id=0, method="hello", protocol=1)

    def end(self) -> tuple[int, bytes, str]:
        """Closes standard input, waits for the end, and returns exit status, unheard output and standard error."""
        if self._ended is None:
            self._ended = self._end()
        return self._ended

    def _end(self) -> tuple[int, bytes, str]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            rest = self._heard + self.process.stdout.read()
            status = self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.stdout.close()
        self._errors.seek(0)
        with self._errors as errors:
            return status, rest, errors.read().decode(errors="replace")

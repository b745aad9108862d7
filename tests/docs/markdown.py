"""Fenced blocks of a Markdown page, and which of them a test runs."""

import re
from dataclasses import dataclass

FENCE = re.compile(r"^```(\w*)\s*$")
NOT_RUN = re.compile(r"^<!-- not run: \S.*-->$")
# Said to a reader who has no clone or no server yet; the tests have both.
SETTING = re.compile(r"^(git clone|cd) ")
MAKE = re.compile(r"^make ([a-z-]+)")


@dataclass(frozen=True)
class Block:
    language: str
    code: str
    line: int
    """Line of the opening fence, from 1."""
    run: bool
    """False under a comment `<!-- not run: reason -->`, the only way to leave a block out."""

    def __str__(self) -> str:
        return f"{self.language}-line-{self.line}"


def blocks(page: str) -> list[Block]:
    """All fenced blocks in order. A fence that is not closed runs to the end of the page."""
    found: list[Block] = []
    code: list[str] | None = None
    language, start, previous, run = "", 0, "", True
    for number, line in enumerate(page.splitlines(), start=1):
        fence = FENCE.match(line)
        if code is not None and not fence:
            code.append(line)
        elif code is not None:
            found.append(Block(language, "\n".join(code) + "\n", start, run))
            code = None
        elif fence:
            language, start, code = fence.group(1), number, []
            run = not NOT_RUN.match(previous)
        if line.strip():
            previous = line.strip()
    if code is not None:
        found.append(Block(language, "\n".join(code) + "\n", start, run))
    return found


def make_targets(script: str) -> list[str]:
    """The targets that the lines of a shell block ask of make."""
    return [found.group(1) for line in script.splitlines() if (found := MAKE.match(line))]


def commands(script: str) -> str:
    """A shell block without what only a reader needs: clone, cd and make."""
    kept = [
        line for line in script.splitlines() if not SETTING.match(line) and not MAKE.match(line)
    ]
    return "\n".join(kept) + "\n"

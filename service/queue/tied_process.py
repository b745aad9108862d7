"""Start a program that does not outlive its parent: run this file, not import it.

    python -I -S tied_process.py PARENT_PID PROGRAM [ARGUMENT...]

On Linux the kernel sends SIGTERM to the program when the thread that started it ends, however it
ends. Elsewhere this only replaces itself by the program, and whoever finds it left over stops it.
A step of its own, because code between fork and exec of a process with threads can hang.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    parent, program = int(sys.argv[1]), sys.argv[2]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit("the parent is gone already")
    os.execv(program, sys.argv[2:])  # noqa: S606


if __name__ == "__main__":
    main()

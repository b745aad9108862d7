import ctypes

# Of glibc's <malloc.h>: parameters of mallopt, and the values they get here, in bytes.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_KEPT = 1 << 30
_LARGEST = 256 << 20


def keep_freed_memory() -> None:
    """Let the allocator of this process keep up to 1 GiB of what is freed, where it is glibc's.

    By default it maps every block above 32 MiB anew and gives it back at once. The activations of a
    batch on a CPU are of that size, and half of an evaluation went into the page faults of clearing
    them (`benchmarks/systems.py`). Elsewhere, and for blocks of more than 256 MiB, nothing changes.
    Call it before there are threads.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # other C libraries; TypeError: Windows
        return
    # Old ones refuse more than 32 MiB. The rest alone would end what they adjust by themselves.
    if mallopt(_MMAP_THRESHOLD, _LARGEST):
        mallopt(_TRIM_THRESHOLD, _KEPT)
        # One heap for all threads: their own, as the engine's would be, are in pieces of 64 MiB,
        # of which those that become empty are given back.
        mallopt(_ARENA_MAX, 1)

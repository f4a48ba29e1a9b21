# SPDX-License-Identifier: Apache-2.0
"""What this process knows about its own heap: RSS from /proc, mallinfo2(3) and arenas from glibc, or the figures of the
allocator that was preloaded. An allocator without a figure gives None, never 0."""

import ctypes
import os
import time

LIBC = ctypes.CDLL(None, use_errno=True)
PAGE = os.sysconf("SC_PAGESIZE")


class Mallinfo2(ctypes.Structure):
    _fields_ = [
        (n, ctypes.c_size_t)
        for n in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    ]


def allocator():
    """The allocator in use, by what is mapped."""
    with open("/proc/self/maps") as f:
        maps = f.read()
    for name in ("jemalloc", "tcmalloc", "mimalloc"):
        if "/lib" + name in maps:
            return name
    return "glibc"


ALLOCATOR = allocator()


def rss_bytes():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * PAGE


def status(key):
    with open("/proc/self/status") as f:
        for line in f:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    return None


def glibc_figures():
    try:
        fn = LIBC.mallinfo2  # glibc 2.33
    except AttributeError:
        return {}
    fn.restype = Mallinfo2
    mi = fn()
    return {n: getattr(mi, n) for n in ("arena", "uordblks", "fordblks", "hblkhd", "keepcost")}


def glibc_arenas():
    """malloc_info(3) writes one <heap nr="..."> for each arena."""
    text, size = ctypes.c_char_p(), ctypes.c_size_t()
    LIBC.open_memstream.restype = ctypes.c_void_p
    stream = LIBC.open_memstream(ctypes.byref(text), ctypes.byref(size))
    if not stream:
        return None
    LIBC.malloc_info(0, ctypes.c_void_p(stream))
    LIBC.fclose(ctypes.c_void_p(stream))
    n = (text.value or b"").count(b"<heap nr=")
    LIBC.free(text)
    return n


def jemalloc_figure(name):
    value, size = ctypes.c_size_t(), ctypes.c_size_t(ctypes.sizeof(ctypes.c_size_t))
    r = LIBC.mallctl(name, ctypes.byref(value), ctypes.byref(size), None, ctypes.c_size_t(0))
    return value.value if r == 0 else None


def jemalloc_figures():
    epoch = ctypes.c_uint64(1)  # figures are those of the last epoch that was begun
    LIBC.mallctl(b"epoch", None, None, ctypes.byref(epoch), ctypes.c_size_t(8))
    n = ctypes.c_uint()
    size = ctypes.c_size_t(4)
    LIBC.mallctl(b"arenas.narenas", ctypes.byref(n), ctypes.byref(size), None, ctypes.c_size_t(0))
    return {
        "inuse_bytes": jemalloc_figure(b"stats.allocated"),
        "heap_bytes": jemalloc_figure(b"stats.mapped"),
        "arenas": n.value,
    }


def tcmalloc_figure(name):
    value = ctypes.c_size_t()
    ok = LIBC.MallocExtension_GetNumericProperty(name, ctypes.byref(value))
    return value.value if ok else None


def tcmalloc_figures():
    return {
        "inuse_bytes": tcmalloc_figure(b"generic.current_allocated_bytes"),
        "heap_bytes": tcmalloc_figure(b"generic.heap_size"),
        "arenas": None,
    }


def stat():
    figures = {"inuse_bytes": None, "heap_bytes": None, "arenas": None}
    if ALLOCATOR == "glibc":
        mi = glibc_figures()
        figures = dict(mi, inuse_bytes=mi.get("uordblks"), heap_bytes=mi.get("arena"), arenas=glibc_arenas())
    elif ALLOCATOR == "jemalloc":
        figures = jemalloc_figures()
    elif ALLOCATOR == "tcmalloc":
        figures = tcmalloc_figures()
    return dict(figures, allocator=ALLOCATOR, pid=os.getpid(), rss_bytes=rss_bytes(), threads=status("Threads"))


def trim():
    """malloc_trim(0) and what it gave. Under another allocator glibc's heap is all but empty, and so is the gain."""
    before, start = rss_bytes(), time.perf_counter()
    returned = LIBC.malloc_trim(ctypes.c_size_t(0))  # ctypes lets go of the GIL meanwhile
    took = time.perf_counter() - start
    after = rss_bytes()
    return {
        "allocator": ALLOCATOR,
        "returned": returned,
        "rss_before_bytes": before,
        "rss_after_bytes": after,
        "released_bytes": before - after,
        "took_ms": round(took * 1000, 2),
    }

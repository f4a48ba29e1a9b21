# SPDX-License-Identifier: Apache-2.0
"""Makes websockets 9 work on Python 3.10, which is what Ubuntu 22.04 has: it hands `loop=None` to calls of asyncio that
take no loop any more. Its modules get an asyncio of their own that does not mind; nobody else's is touched."""
import asyncio
import functools
import importlib
import sys
import types

import websockets.version


def without_loop(call):
    @functools.wraps(call)
    def wrapper(*args, loop=None, **kwargs):
        assert loop is None
        return call(*args, **kwargs)
    return wrapper


def mend():
    """Before the first connection."""
    if int(websockets.version.version.split(".")[0]) >= 10 or sys.version_info < (3, 10):
        return
    calls = {name: without_loop(getattr(asyncio, name)) for name in ("Lock", "sleep", "wait", "wait_for")}
    for name in ("protocol", "server"):
        importlib.import_module(f"websockets.legacy.{name}").asyncio = types.SimpleNamespace(**{**vars(asyncio), **calls})

"""The program of the server behind :mod:`tests.helpers.forks`; isolated, that of an executable which hands over to it.

It loads little, since each executable runs it.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn


def hand_over(
    address: str, code: str, arguments: list[str], folder: str, variables: Mapping[str, str], streams: list[int]
) -> int:
    """Have the server at ``address`` run a command; its exit status, negative for the signal that killed it."""
    about = {"code": code, "arguments": arguments, "folder": folder, "variables": dict(variables)}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(address)
        socket.send_fds(connection, [json.dumps(about).encode()], streams)
        return int(connection.recv(16))


def _serve(address: str, modules: list[str]) -> None:
    """Fork a process for each command, one after the other, until stdin ends."""
    for name in modules:
        importlib.import_module(name)
    gc.freeze()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while sys.stdin not in select.select([sys.stdin, listener], [], [])[0]:
            connection, _ = listener.accept()
            about, streams, _, _ = socket.recv_fds(connection, 2**20, 3)
            child = os.fork()
            if child == 0:
                listener.close()
                connection.close()
                _become(streams, **json.loads(about))
                return
            for stream in streams:
                os.close(stream)
            _, status = os.waitpid(child, 0)
            connection.send(str(os.waitstatus_to_exitcode(status)).encode())
            connection.close()


def _become(streams: list[int], code: str, arguments: list[str], folder: str, variables: dict[str, str]) -> None:
    """Be ``python -c CODE ARGUMENTS`` from here on."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    sys.argv = ["-c", *arguments]
    exec(code, {"__name__": "__main__"})


def _call(address: str, code: str, *arguments: str) -> NoReturn:
    sys.exit(hand_over(address, code, list(arguments), str(Path.cwd()), os.environ, [0, 1, 2]) & 0xFF)


if __name__ == "__main__":
    if sys.flags.isolated:
        _call(*sys.argv[1:])
    _serve(sys.argv[1], sys.argv[2:])

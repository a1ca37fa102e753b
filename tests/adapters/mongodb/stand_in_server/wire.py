"""The wire protocol: messages of a connection, one after the other."""

import socketserver
import struct
import traceback
from itertools import count
from typing import Any, Final

import bson

from stand_in_server.sessions import Sessions
from stand_in_server.values import CODEC, Document

HEADER: Final = struct.Struct("<iiii")
OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
CHECKSUM, MORE_TO_COME = 1, 2

_request_ids: Final = count(1)


class WireServer(socketserver.ThreadingTCPServer):
    """Listens, and has a thread for each connection; it is given its sessions."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    sessions: Sessions

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, Connection)


class Connection(socketserver.StreamRequestHandler):
    """Reads messages and answers them."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Answer until the client goes."""
        try:
            while header := self.rfile.read(HEADER.size):
                size, request_id, _, kind = HEADER.unpack(header)
                self._answer(request_id, kind, self.rfile.read(size - HEADER.size))
        except (ConnectionError, struct.error):
            return

    def _answer(self, request_id: int, kind: int, body: bytes) -> None:
        if kind == OP_QUERY:
            answer = self._done({**queried(body), "$db": "admin"})
            head = struct.pack("<iqii", 8, 0, 0, 1)
            self._send(request_id, OP_REPLY, head + encoded(answer))
        elif kind == OP_MSG:
            flags, command = message(body)
            answer = self._done(command)
            if not flags & MORE_TO_COME:
                self._send(request_id, OP_MSG, struct.pack("<IB", 0, 0) + encoded(answer))

    def _done(self, command: Document) -> dict[str, Any]:
        assert isinstance(self.server, WireServer)
        try:
            return self.server.sessions.answer(command)
        except Exception as error:  # noqa: BLE001 - the client is told
            traceback.print_exc()
            return {"ok": 0.0, "code": 1, "codeName": "InternalError", "errmsg": repr(error)}

    def _send(self, request_id: int, kind: int, body: bytes) -> None:
        size = HEADER.size + len(body)
        self.wfile.write(HEADER.pack(size, next(_request_ids), request_id, kind) + body)


def encoded(document: Document) -> bytes:
    """Return a document's bytes."""
    return bson.encode(document, codec_options=CODEC)


def queried(body: bytes) -> Document:
    """Return the command of the old kind of message, by which drivers say hello first."""
    start = body.index(b"\0", 4) + 1 + 8
    size = struct.unpack_from("<i", body, start)[0]
    command = bson.decode(body[start : start + size], CODEC)
    return command.get("$query", command)


def message(body: bytes) -> tuple[int, Document]:
    """Return the flags and the command, with the lists that stand beside it."""
    [flags] = struct.unpack_from("<I", body)
    end = len(body) - (4 if flags & CHECKSUM else 0)
    at, command, lists = 4, {}, {}
    while at < end:
        kind, at = body[at], at + 1
        size = struct.unpack_from("<i", body, at)[0]
        part = body[at : at + size]
        if kind == 0:
            command = bson.decode(part, CODEC)
        else:
            start = part.index(b"\0", 4) + 1
            lists[part[4 : start - 1].decode()] = bson.decode_all(part[start:], CODEC)
        at += size
    return flags, {**command, **lists}

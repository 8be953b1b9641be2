"""Listener: the end of a listening socket without a reset connection."""

from __future__ import annotations

import ctypes
import socket
import struct
import sys

SETTINGS = "feedrank.settings"  # key of the state that the application hands to its server
SO_ATTACH_FILTER = 26  # Linux, include/uapi/asm-generic/socket.h
# Classic BPF (Linux, Documentation/networking/filter.rst) over the TCP header: load the flags,
# keep SYN and ACK; a segment with SYN alone is dropped, any other passes.
NO_FIRST_SEGMENTS = (
    (0x30, 0, 0, 13),
    (0x54, 0, 0, 0x12),
    (0x15, 0, 1, 0x02),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 2**32 - 1),
)
# From the last new connection to the listener's end, in which connections that have begun are
# accepted: longer than a round trip, at most 0.2 s on the net, and than the loop's delay.
SETTLE_SECONDS = 0.3
# Connections beyond the limit that get a 503; still further ones are closed unread, so that the
# process never runs out of files.
REFUSABLE = 100


def refuse_newcomers(listener: socket.socket) -> None:
    """Let no connection begin any more; those that have begun can still be accepted.

    A listener that is closed resets connections that wait to be accepted, though their clients may
    have sent a request. From here on the kernel drops the first segment of a new connection. Its
    client repeats it after a second and is refused, since the listener is closed by then. Other
    systems than Linux have no such filter: there a few connections may be reset.
    """
    if sys.platform != "linux":
        return
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *i) for i in NO_FIRST_SEGMENTS))
    program = struct.pack("HL", len(NO_FIRST_SEGMENTS), ctypes.addressof(code))
    listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)

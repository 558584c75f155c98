"""Takes from a shared object what no program header covers: symbols and what debuggers read.

The dynamic loader reads program headers alone; whatever lies behind the last byte that one of them
names is never mapped. Some wheels have two thirds of their size there. Works for any architecture,
other than `strip`, which needs to know it.

Layout: System V ABI, "ELF Header" and "Program Header", for 64-bit little-endian objects.
"""

from __future__ import annotations

import struct
from pathlib import Path

HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
PROGRAM = struct.Struct("<IIQQQQQQ")
MAGIC = b"\x7fELF\x02\x01"


def strip(path: Path) -> int:
    """Bytes that were taken. Leaves alone what is no such object."""
    data = path.read_bytes()
    if not data.startswith(MAGIC) or len(data) < HEADER.size:
        return 0
    fields: list[int] = list(HEADER.unpack_from(data))
    programs, size, count = fields[5], fields[9], fields[10]
    end = max(HEADER.size, programs + size * count)
    for number in range(count):
        program = PROGRAM.unpack_from(data, programs + number * size)
        end = max(end, program[2] + program[5])  # p_offset + p_filesz
    if end >= len(data):
        return 0
    fields[6] = fields[12] = fields[13] = 0  # e_shoff, e_shnum, e_shstrndx: no sections are left
    path.write_bytes(HEADER.pack(*fields) + data[HEADER.size : end])
    return len(data) - end

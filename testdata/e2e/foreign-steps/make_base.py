# SPDX-License-Identifier: Apache-2.0
"""make_base.py LAYOUT: an arm64 image that holds one program, /hello, which prints a line."""
import struct
import sys

import image_layout

TEXT = b"hello from arm64\n"


def program():
    """write(1, TEXT, len); exit(0)."""
    code = [0xd2800020,                           # mov x0, #1
            0x10000001 | 7 * 4 >> 2 << 5,         # adr x1, TEXT
            0xd2800002 | len(TEXT) << 5,          # mov x2, #len
            0xd2800808, 0xd4000001,               # mov x8, #64; svc #0
            0xd2800000, 0xd2800ba8, 0xd4000001]   # mov x0, #0; mov x8, #93; svc #0
    body = b"".join(struct.pack("<I", word) for word in code) + TEXT
    base, headers = 0x400000, 64 + 56
    elf = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 183, 1, base + headers, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    size = headers + len(body)
    return elf + struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000) + body


def main():
    layout = image_layout.Layout(sys.argv[1])
    layout.finish(layout.put_image({"os": "linux", "architecture": "arm64"}, "hello", program(), mode=0o755))


if __name__ == "__main__":
    main()

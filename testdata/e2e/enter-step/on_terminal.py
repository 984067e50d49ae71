#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""on_terminal.py EXIT SCRIPT COMMAND...: runs the command on a terminal of its own, and types.

SCRIPT is lines of "EXPECT => TYPE": when the output behind the last match has EXPECT (a regular expression), TYPE is typed, with a
newline. Prints what the terminal showed. Fails if the exit code is another one, or if the terminal's settings changed.
"""
import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time


def main():
    wanted, script, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    near, far = pty.openpty()
    fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
    before = termios.tcgetattr(far)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        fcntl.ioctl(far, termios.TIOCSCTTY, 0)
        for fd in (0, 1, 2):
            os.dup2(far, fd)
        os.environ["TERM"] = "test-terminal"
        os.execvp(command[0], command)
    steps = [line.split(" => ", 1) for line in script.splitlines() if line.strip()]
    shown, at, code, deadline = "", 0, None, time.monotonic() + 120
    while code is None or select.select([near], [], [], 0)[0]:
        if time.monotonic() > deadline:
            os.kill(pid, 9)
            sys.exit(f"nothing more happens after:\n{shown}\nwaiting for: {steps[:1]}")
        if select.select([near], [], [], 0.05)[0]:
            shown += os.read(near, 65536).decode(errors="replace")
        if steps and (match := re.compile(steps[0][0], re.M).search(shown, at)):
            at = match.end()
            os.write(near, (steps.pop(0)[1] + "\n").encode())
        if code is None:
            ended, status = os.waitpid(pid, os.WNOHANG)
            code = os.waitstatus_to_exitcode(status) if ended else None
    print(shown.replace("\r\n", "\n"))
    if steps or code != wanted:
        sys.exit(f"exit code {code}, not typed: {steps}")
    if termios.tcgetattr(far) != before:
        sys.exit("the terminal is not as it was before")


main()

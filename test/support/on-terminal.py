#!/usr/bin/python3
"""Runs a command on a terminal of its own: what comes on standard input is typed there, and what the terminal shows
goes to standard output.

The command takes this program's place, so its process id is this one's; a process apart passes on what is typed and
shown.
"""

import fcntl
import os
import pty
import sys
import termios
import threading

master, slave = pty.openpty()
# Twice, so that what passes on is no child of the command.
if os.fork() == 0:
    if os.fork() != 0:
        os._exit(0)
    os.close(slave)

    def pass_on(source, target):
        while True:
            try:
                data = os.read(source, 4096)
            except OSError:  # the terminal's last user has gone
                return
            if not data:
                return
            while data:
                data = data[os.write(target, data) :]

    threading.Thread(target=pass_on, args=(0, master), daemon=True).start()
    pass_on(master, 1)
    os._exit(0)
os.wait()
os.setsid()
fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
for descriptor in (0, 1, 2):
    os.dup2(slave, descriptor)
os.closerange(3, 256)
os.execvp(sys.argv[1], sys.argv[1:])

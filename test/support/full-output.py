#!/usr/bin/python3
"""Runs a command whose standard output is a full pipe that nobody reads: its first write never comes to an end."""

import os
import sys

reader, writer = os.pipe()
os.set_blocking(writer, False)
try:
    while True:
        os.write(writer, bytes(4096))
except BlockingIOError:
    pass
os.set_blocking(writer, True)
# The command has both ends, so that nothing breaks when this program is gone.
os.set_inheritable(reader, True)
os.dup2(writer, 1)
os.execvp(sys.argv[1], sys.argv[1:])

#!/usr/bin/python3
"""Runs a command whose memfd_secret(2) fails with ENOSYS, as on a kernel without it: `without-memfd-secret.py COMMAND ARGS…`.

A seccomp filter (seccomp(2)) does it, so the command itself needs no switch for tests.
"""

import ctypes
import errno
import os
import platform
import struct
import sys

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[platform.machine()]
MEMFD_SECRET = 447  # the same number on all architectures
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
RETURN_ERRNO, RETURN_ALLOW = 0x00050000, 0x7FFF0000
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06


def instruction(code, if_true, if_false, value):
    return struct.pack("HBBI", code, if_true, if_false, value)


FILTER = (
    instruction(LOAD_WORD, 0, 0, 4)  # seccomp_data.arch
    + instruction(JUMP_IF_EQUAL, 0, 3, AUDIT_ARCH)
    + instruction(LOAD_WORD, 0, 0, 0)  # seccomp_data.nr
    + instruction(JUMP_IF_EQUAL, 0, 1, MEMFD_SECRET)
    + instruction(RETURN, 0, 0, RETURN_ERRNO | errno.ENOSYS)
    + instruction(RETURN, 0, 0, RETURN_ALLOW)
)


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


libc = ctypes.CDLL(None, use_errno=True)
program = Program(len(FILTER) // 8, FILTER)
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or libc.prctl(
    PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0
) != 0:
    sys.exit(f"seccomp: {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[1], sys.argv[1:])

#!/usr/bin/python3
"""Runs a command under a filter of system calls: `with-system-calls.py CALL=ACTION[,CALL=ACTION…] COMMAND ARGS…`.

The calls are memfd_secret, mlock and mlock2; the action is `kill`, as systemd's SystemCallFilter= does by default, or
an error's name (EPERM, ENOSYS), as containers' profiles do. All other calls are allowed. See seccomp(2).
"""

import ctypes
import errno
import os
import platform
import struct
import sys

MACHINE = platform.machine()
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[MACHINE]
CALLS = {
    "memfd_secret": 447,
    "mlock": {"x86_64": 149, "aarch64": 228}[MACHINE],
    "mlock2": {"x86_64": 325, "aarch64": 284}[MACHINE],
}
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
RETURN_KILL_PROCESS, RETURN_ERRNO, RETURN_ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06


def instruction(code, if_true, if_false, value):
    return struct.pack("HBBI", code, if_true, if_false, value)


def rule(text):
    name, action = text.split("=")
    value = RETURN_KILL_PROCESS if action == "kill" else RETURN_ERRNO | getattr(errno, action)
    return instruction(JUMP_IF_EQUAL, 0, 1, CALLS[name]) + instruction(RETURN, 0, 0, value)


rules = b"".join(rule(text) for text in sys.argv[1].split(","))
allow = instruction(RETURN, 0, 0, RETURN_ALLOW)
program_bytes = (
    instruction(LOAD_WORD, 0, 0, 4)  # seccomp_data.arch
    + instruction(JUMP_IF_EQUAL, 1, 0, AUDIT_ARCH)
    + allow
    + instruction(LOAD_WORD, 0, 0, 0)  # seccomp_data.nr
    + rules
    + allow
)


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


libc = ctypes.CDLL(None, use_errno=True)
program = Program(len(program_bytes) // 8, program_bytes)
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or libc.prctl(
    PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0
) != 0:
    sys.exit(f"seccomp: {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[2], sys.argv[2:])

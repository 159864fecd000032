# SPDX-License-Identifier: MIT
# host.py LIBWEFT LIBRARY HELPER: Python as the program. Without an entry of its
# own it gets the clear error; with .program it works.
import ctypes
import errno
import sys


class Options(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("name", ctypes.c_char_p),
        ("program", ctypes.c_char_p),
        ("argv", ctypes.c_void_p),
        ("env", ctypes.c_void_p),
        ("cwd", ctypes.c_char_p),
        ("group", ctypes.c_void_p),
        ("grace", ctypes.c_double),
        ("drop", ctypes.c_void_p),
    ]


weft = ctypes.CDLL(sys.argv[1])
lib = ctypes.CDLL(sys.argv[2])
weft.weft_process_start_with.restype = ctypes.c_void_p
weft.weft_future_text.restype = ctypes.c_char_p
code = ctypes.c_int(-errno.EINVAL)


def start(program):
    options = Options(size=ctypes.sizeof(Options), program=program)
    f = weft.weft_process_start_with(lib.whole, ctypes.byref(code),
                                     ctypes.c_size_t(4), ctypes.byref(options))
    f = ctypes.c_void_p(f)
    rc = weft.weft_get_into(f, None, ctypes.c_size_t(0))
    text = weft.weft_future_text(f).decode()
    weft.weft_future_unref(f)
    return rc, text


rc, text = start(None)
assert rc == -4101, (rc, text)
assert "weft_main_hook" in text and ".program" in text, text
rc, text = start(sys.argv[3].encode())
assert rc == -errno.EINVAL, (rc, text)
rc, text = start(b"/bin/true")
assert rc == -4101, (rc, text)
print("python: ok")

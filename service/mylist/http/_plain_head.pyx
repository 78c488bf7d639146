# cython: language_level=3, binding=False
"""The function of `mylist.http.plain_head` in Cython. `mylist.http.head` explains its argument and result.

It reads a head from its first byte to its last, and never behind `stop`. The order of the checks is that of the pattern
`PLAIN_HEAD`.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DecodeASCII, PyUnicode_DecodeUTF8
from libc.string cimport memcmp

# What a byte may be a part of.
cdef enum:
    IN_TOKEN = 1
    IN_TARGET = 2
    IN_AUTHORITY = 4
    IN_VALUE = 8
    IS_BLANK = 16
    IS_DIGIT = 32

cdef enum:
    MAX_DIGITS = 18

cdef unsigned char KINDS[256]
cdef int _byte
for _byte in range(256):
    KINDS[_byte] = (
        (IN_TOKEN if chr(_byte) in "!#$%&'*+-.^_`|~" or _byte < 128 and chr(_byte).isalnum() else 0)
        | (IN_TARGET if 0x21 <= _byte <= 0x7E and chr(_byte) != "#" else 0)
        | (IN_AUTHORITY if 0x21 <= _byte <= 0x7E and chr(_byte) not in "/?" else 0)
        | (IN_VALUE if _byte == 0x09 or 0x20 <= _byte <= 0x7E or _byte >= 0x80 else 0)
        | (IS_BLANK if chr(_byte) in "\t " else 0)
        | (IS_DIGIT if chr(_byte) in "0123456789" else 0)
    )


cdef inline const unsigned char *skip(const unsigned char *at, const unsigned char *stop, int kind) noexcept:
    """Return the first byte from `at` on that is not of a kind; `stop` if there is none."""
    while at < stop and KINDS[at[0]] & kind:
        at += 1
    return at


cdef inline bint reads(const unsigned char *at, Py_ssize_t size, const char *text, Py_ssize_t length) noexcept:
    """Return whether some bytes are a text, in either case. The text is in lower case, and has no `@[\\]^_`."""
    cdef Py_ssize_t index
    if size != length:
        return False
    for index in range(length):
        if at[index] != <unsigned char>text[index]:
            if at[index] + 32 != <unsigned char>text[index] or not (b"A" <= at[index] <= b"Z"):
                return False
    return True


cdef inline bint is_foreign_blank(const unsigned char *at, const unsigned char *stop) noexcept:
    """Return whether a blank that HTTP does not know begins here, in UTF-8."""
    cdef Py_ssize_t size = stop - at
    if size < 2:
        return False
    if at[0] == 0xC2:
        return at[1] == 0x85 or at[1] == 0xA0
    if size < 3:
        return False
    if at[0] == 0xE1:
        return at[1] == 0x9A and at[2] == 0x80
    if at[0] == 0xE2 and at[1] == 0x80:
        return 0x80 <= at[2] <= 0x8A or at[2] == 0xA8 or at[2] == 0xA9 or at[2] == 0xAF
    if at[0] == 0xE2:
        return at[1] == 0x81 and at[2] == 0x9F
    return at[0] == 0xE3 and at[1] == 0x80 and at[2] == 0x80


cdef const unsigned char *after_target(const unsigned char *at, const unsigned char *stop) noexcept:
    """Return the byte after the target that begins here; NULL if it is not one."""
    cdef const unsigned char *authority
    if at < stop and at[0] == b"*":
        return at + 1
    if at < stop and at[0] != b"/":
        if stop - at >= 8 and reads(at, 8, b"https://", 8):
            authority = at + 8
        elif stop - at >= 7 and reads(at, 7, b"http://", 7):
            authority = at + 7
        else:
            return NULL
        at = skip(authority, stop, IN_AUTHORITY)
        if at == authority:
            return NULL
    if at == stop or at[0] != b"/":
        return NULL
    return skip(at, stop, IN_TARGET)


cdef bint is_plain(
    const unsigned char *name, Py_ssize_t name_size, const unsigned char *value, Py_ssize_t value_size
) noexcept:
    """Return whether a header asks for nothing but an answer over a connection that goes on, and has a body's length."""
    if name_size == 17:
        return not reads(name, 17, b"transfer-encoding", 17)
    if name_size == 6:
        return not reads(name, 6, b"expect", 6)
    if name_size == 7:
        return not reads(name, 7, b"upgrade", 7)
    if name_size == 10 and reads(name, 10, b"connection", 10):
        return reads(value, value_size, b"keep-alive", 10)
    if name_size == 14 and reads(name, 14, b"content-length", 14):
        return 1 <= value_size <= MAX_DIGITS and skip(value, value + value_size, IS_DIGIT) == value + value_size
    return True


def parse_plain_head(bytearray buffer not None, Py_ssize_t end):
    """See `mylist.http.head.parse_plain_head`."""
    if end < 0 or end > PyByteArray_GET_SIZE(buffer):
        raise ValueError("the end of the head is not in the buffer")
    cdef const unsigned char *at = <const unsigned char *>PyByteArray_AS_STRING(buffer)
    cdef const unsigned char *stop = at + end
    cdef const unsigned char *method = at
    cdef const unsigned char *target
    cdef const unsigned char *name
    cdef const unsigned char *value
    cdef Py_ssize_t name_size, value_size

    at = skip(at, stop, IN_TOKEN)
    cdef Py_ssize_t method_size = at - method
    if method_size == 0 or at == stop or at[0] != b" ":
        return None
    target = at + 1
    at = after_target(target, stop)
    if at == NULL:
        return None
    cdef Py_ssize_t target_size = at - target
    if stop - at < 9 or memcmp(at, b" HTTP/1.1", 9) != 0:
        return None
    at += 9

    fields = []
    while at < stop:
        if stop - at < 2 or at[0] != b"\r" or at[1] != b"\n":
            return None
        name = at + 2
        at = skip(name, stop, IN_TOKEN)
        name_size = at - name
        if name_size == 0 or at == stop or at[0] != b":":
            return None
        value = skip(at + 1, stop, IS_BLANK)
        if is_foreign_blank(value, stop):
            return None
        at = skip(value, stop, IN_VALUE)
        value_size = at - value
        if not is_plain(name, name_size, value, value_size):
            return None
        fields.append((
            PyUnicode_DecodeASCII(<const char *>name, name_size, NULL),
            PyUnicode_DecodeUTF8(<const char *>value, value_size, "surrogateescape"),
        ))
    return (
        PyUnicode_DecodeASCII(<const char *>method, method_size, NULL),
        PyBytes_FromStringAndSize(<const char *>target, target_size),
        fields,
    )

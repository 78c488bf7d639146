# cython: language_level=3, binding=False
"""The functions of `mylist.domain.hot_loops` in Cython. `plain_loops.py` explains their arguments and results.

An attribute of an entry is read from its place in the object, which the class knows as the offset of the slot. So a
loop over entries calls no Python code. Every pointer is checked before it is used: the type of an entry, the type of an
attribute, and the length of the records.
"""

import os
import string

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItemWithError
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memmove

from mylist.domain import plain_loops
from mylist.domain.catalogue_entry import CatalogueEntry
from mylist.domain.timestamps import HOURS, MILLISECONDS, SECONDS, hour_text

cdef extern from "structmember.h":
    ctypedef struct PyMemberDef:
        Py_ssize_t offset
    ctypedef struct PyMemberDescrObject:
        PyMemberDef *d_member

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    const unsigned char *PyUnicode_1BYTE_DATA(object text)

cdef extern from *:
    void prefetch "__builtin_prefetch" (const void *at) nogil

# The layout of a record (`mylist.domain.packed_list`), in bytes.
cdef enum:
    RECORD_SIZE = 21
    SECONDS_OFFSET = 4
    MILLISECONDS_OFFSET = 6
    KEY_OFFSET = 8
    KEY_SIZE = 13
    ID_SIZE = 12

# Of `2024-01-20T10:30:00.000Z`.
cdef enum:
    MOMENT_LENGTH = 24

cdef object _Entry = CatalogueEntry
cdef dict _hours = HOURS
cdef list _seconds = SECONDS
cdef list _milliseconds = MILLISECONDS


cdef Py_ssize_t _offset_of(str name) except -1:
    slot = getattr(_Entry, name)
    return (<PyMemberDescrObject *>slot).d_member.offset


cdef Py_ssize_t _before = _offset_of("before")
cdef Py_ssize_t _after = _offset_of("after")
cdef Py_ssize_t _version = _offset_of("version")
cdef Py_ssize_t _title_place = _offset_of("title_place")


cdef inline PyObject **_slot(object entry, Py_ssize_t offset) except NULL:
    if type(entry) is not _Entry:
        raise TypeError(f"not a catalogue entry: {entry!r}")
    return <PyObject **>(<char *><PyObject *>entry + offset)


cdef inline bytes _attribute(object entry, Py_ssize_t offset):
    """Return an attribute of an entry."""
    cdef PyObject **slot = _slot(entry, offset)
    if slot[0] is NULL:
        raise AttributeError("an entry lacks an attribute")
    return <bytes?>slot[0]


def find_entries(bytes records not None, dict entries not None):
    cdef Py_ssize_t index, count = PyBytes_GET_SIZE(records) // RECORD_SIZE
    cdef const char *key = PyBytes_AS_STRING(records) + KEY_OFFSET
    cdef PyObject *entry
    cdef list found = [None] * count
    for index in range(count):
        entry = PyDict_GetItemWithError(entries, PyBytes_FromStringAndSize(key, KEY_SIZE))
        if entry is NULL:
            return None
        prefetch(<char *>entry + _before)
        found[index] = <object>entry
        key += RECORD_SIZE
    return found


def join_versions(list entries not None):
    return b"".join([_attribute(entry, _version) for entry in entries])


def join_items(str user_id not None, bytes records not None, list entries not None):
    cdef Py_ssize_t index, count = len(entries)
    if PyBytes_GET_SIZE(records) != count * RECORD_SIZE:
        raise ValueError(f"{len(records)} bytes of records for {count} entries")
    cdef const unsigned char *record = <const unsigned char *>PyBytes_AS_STRING(records)
    cdef bytes start = b',{"userId":"' + user_id.encode()
    cdef list parts = [None] * (3 * count)  # of each item: what comes before the moment, its hour, what comes after it
    cdef bytes part
    cdef Py_ssize_t size = count * (PyBytes_GET_SIZE(start) + MOMENT_LENGTH)
    for index in range(count):
        entry = entries[index]
        prefetch(_slot(entry, _before)[0])
        prefetch(_slot(entry, _after)[0])
    for index in range(count):
        entry = entries[index]
        part = _attribute(entry, _before)
        size += PyBytes_GET_SIZE(part)
        parts[3 * index] = part
        parts[3 * index + 1] = _hour(<int32_t>_uint32(record))
        part = _attribute(entry, _after)
        size += PyBytes_GET_SIZE(part)
        parts[3 * index + 2] = part
        record += RECORD_SIZE
    if count == 0:
        return b""
    record -= count * RECORD_SIZE
    cdef bytes joined = PyBytes_FromStringAndSize(NULL, size - 1)  # no comma before the first
    cdef char *end = PyBytes_AS_STRING(joined)
    for index in range(count):
        end = _write(end, start, 0 if index else 1)
        end = _write(end, <bytes>parts[3 * index], 0)
        end = _write(end, <bytes>parts[3 * index + 1], 0)
        end = _write(end, <bytes>_seconds[_uint16(record + SECONDS_OFFSET)], 0)
        end = _write(end, <bytes>_milliseconds[_uint16(record + MILLISECONDS_OFFSET)], 0)
        end = _write(end, <bytes>parts[3 * index + 2], 0)
        record += RECORD_SIZE
    return joined


cdef inline bytes _hour(int32_t hours):
    cdef bytes text = _hours.get(hours)
    return hour_text(hours) if text is None else text


cdef inline char *_write(char *at, bytes part, Py_ssize_t skipped) noexcept:
    cdef Py_ssize_t size = PyBytes_GET_SIZE(part) - skipped
    memcpy(at, PyBytes_AS_STRING(part) + skipped, size)
    return at + size


# Above this many, inserting takes longer than sorting.
cdef enum:
    MAX_FIRST = 100

cdef struct Place:
    uint64_t beginning
    const unsigned char *text
    Py_ssize_t length
    Py_ssize_t index


def first_by_title(list entries not None, Py_ssize_t count):
    cdef Place first[MAX_FIRST]  # the first so far, in order
    cdef Place place
    cdef Py_ssize_t at, index, found = 0
    cdef bytes text
    if not 0 <= count <= MAX_FIRST:
        return plain_loops.first_by_title(entries, count)
    for entry in entries:
        prefetch(_slot(entry, _title_place)[0])
    for index in range(len(entries)):
        # The entry keeps the text in memory, and no Python code runs meanwhile.
        text = _attribute(entries[index], _title_place)
        if PyBytes_GET_SIZE(text) < 8:
            raise ValueError(f"not the place of a title: {text!r}")
        place.text = <const unsigned char *>PyBytes_AS_STRING(text)
        place.length = PyBytes_GET_SIZE(text)
        place.beginning = _beginning(place.text)
        place.index = index
        at = found
        while at > 0 and _is_before(&place, &first[at - 1]):
            at -= 1
        if at == count:
            continue
        if found < count:
            found += 1
        memmove(&first[at + 1], &first[at], (found - at - 1) * sizeof(Place))
        first[at] = place
    return [first[at].index for at in range(found)]


cdef inline bint _is_before(const Place *one, const Place *other) noexcept nogil:
    if one.beginning != other.beginning:
        return one.beginning < other.beginning
    cdef int order = memcmp(one.text, other.text, min(one.length, other.length))
    return order < 0 or (order == 0 and one.length < other.length)


cdef inline uint64_t _beginning(const unsigned char *text) noexcept nogil:
    """Return the first eight bytes as a number."""
    return <uint64_t>_uint32(text) << 32 | _uint32(text + 4)


cdef inline uint32_t _uint32(const unsigned char *at) noexcept nogil:
    return <uint32_t>at[0] << 24 | <uint32_t>at[1] << 16 | <uint32_t>at[2] << 8 | at[3]


cdef inline Py_ssize_t _uint16(const unsigned char *at) noexcept nogil:
    return at[0] << 8 | at[1]


# Random, so that nobody can choose ids that all fall on the same place of the table below.
cdef uint64_t _factor_of_beginning = int.from_bytes(os.urandom(8), "big") | 1
cdef uint64_t _factor_of_end = int.from_bytes(os.urandom(8), "big") | 1
cdef unsigned char _values[256]  # of hexadecimal digits
for _byte in range(256):
    _values[_byte] = int(chr(_byte), 16) if chr(_byte) in string.hexdigits else 0xFF


def are_listed(list ids not None, bytes records not None):
    cdef Py_ssize_t index, count = PyBytes_GET_SIZE(records) // RECORD_SIZE
    cdef const unsigned char *key = <const unsigned char *>PyBytes_AS_STRING(records) + KEY_OFFSET
    cdef int bits = 4
    while (<Py_ssize_t>1 << bits) < 2 * count:
        bits += 1
    cdef unsigned char content_id[ID_SIZE]
    cdef list listed = []
    # A hash table with open addressing, which is at most half full.
    cdef const unsigned char **table = <const unsigned char **>PyMem_Calloc(<size_t>1 << bits, sizeof(unsigned char *))
    if table is NULL:
        raise MemoryError
    try:
        for index in range(count):
            _place(table, bits, key)[0] = key
            key += RECORD_SIZE
        for text in ids:
            listed.append(_parse_id(text, content_id) and _place(table, bits, content_id)[0] is not NULL)
    finally:
        PyMem_Free(table)
    return listed


cdef inline bint _parse_id(str text, unsigned char *content_id) except -1:
    """Read a content id in hexadecimal digits; return whether the text is one."""
    if text is None:
        raise TypeError("not a text: None")
    if not PyUnicode_IS_ASCII(text) or PyUnicode_GET_LENGTH(text) != 2 * ID_SIZE:
        return False
    cdef const unsigned char *digits = PyUnicode_1BYTE_DATA(text)
    cdef unsigned char high, low, wrong = 0
    cdef Py_ssize_t index
    for index in range(ID_SIZE):
        high, low = _values[digits[2 * index]], _values[digits[2 * index + 1]]
        wrong |= high | low
        content_id[index] = <unsigned char>(high << 4 | low)
    return wrong <= 0x0F


cdef inline const unsigned char **_place(const unsigned char **table, int bits, const unsigned char *content_id) noexcept:
    """Return the place of an id in a table of 2**bits places. It is empty if the table lacks the id."""
    cdef uint64_t beginning = <uint64_t>_uint32(content_id) << 32 | _uint32(content_id + 4)
    cdef uint64_t mixed = beginning * _factor_of_beginning + _uint32(content_id + 8) * _factor_of_end
    cdef size_t at = <size_t>(mixed >> (64 - bits))
    while table[at] is not NULL and memcmp(table[at], content_id, ID_SIZE) != 0:
        at = (at + 1) & ((<size_t>1 << bits) - 1)
    return &table[at]

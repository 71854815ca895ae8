"""Look at a Parquet file before anybody decodes it: what it says of itself must be possible and not too much.

A decoder believes a file: 200 bytes may announce 2^60 rows, a page of 1 KiB may unpack to gigabytes. Only the
footer and the headers of pages are read here, by a reader of Thrift's compact protocol that allocates no more
than it reads.
"""

from __future__ import annotations

from typing import Any, Final

FOOTER_BYTES_MAX: Final = 256 * 1024
PAGES_MAX: Final = 10_000
DEPTH_MAX: Final = 12  # of structures in structures
VALUE_BYTES: Final = 16  # of one value in memory, whatever it was packed to
WIDTH_MAX: Final = 4_096  # bytes of a value of fixed length
_MAGIC: Final = b"PAR1"
_PREFIXED: Final = 7  # DELTA_BYTE_ARRAY: each value may repeat the whole one before it in two bits
_DICTIONARY: Final = 2  # type of a page

# Field numbers of parquet.thrift
_SCHEMA, _ROWS, _GROUPS = 2, 3, 4
_WIDTH = 2
_COLUMNS, _GROUP_ROWS = 1, 3
_PATH, _META = 1, 3
_ENCODINGS, _VALUES, _PACKED, _DATA_AT, _DICTIONARY_AT = 2, 5, 7, 9, 11
_TYPE, _UNPACKED, _PAGE_PACKED = 1, 2, 3
_HEADERS = (5, 7, 8)  # of a page of data, a dictionary, and data in its second version

Struct = dict[int, Any]


class Unbelievable(ValueError):
    """It is no Parquet file, or says what cannot be."""


def cost_of(content: bytes) -> int:
    """Return how much memory decoding a file takes at most, bytes.

    Args:
        content: The file.

    Raises:
        Unbelievable: It is none, contradicts itself, or uses what we never write.
    """
    footer, end = _footer(content)
    schema, groups = _structs(footer, _SCHEMA), _structs(footer, _GROUPS)
    width = max((_number(element, _WIDTH) for element in schema), default=0)
    if width > WIDTH_MAX:
        raise Unbelievable(f"values of {width} bytes")
    if _number(footer, _ROWS) != sum(_number(group, _GROUP_ROWS) for group in groups):
        raise Unbelievable("its groups have other rows than the whole")
    pages, cost = PAGES_MAX, 0
    for group in groups:
        for column in _structs(group, _COLUMNS):
            more, pages = _column(content, column, end=end, width=max(VALUE_BYTES, width), pages=pages)
            if _number(column[_META], _VALUES) < _number(group, _GROUP_ROWS):
                raise Unbelievable("a column with less values than rows")
            cost += more
    if groups and _number(footer, _ROWS) and not cost:
        raise Unbelievable("rows without columns")
    return cost


def _footer(content: bytes) -> tuple[Struct, int]:
    if len(content) < 12 or content[:4] != _MAGIC or content[-4:] != _MAGIC:
        raise Unbelievable("no Parquet file")
    size = int.from_bytes(content[-8:-4], "little")
    start = len(content) - 8 - size
    if size > FOOTER_BYTES_MAX or start < len(_MAGIC):
        raise Unbelievable(f"a footer of {size} bytes")
    return _Reader(content, start, len(content) - 8).struct(), start


def _column(content: bytes, column: Struct, *, end: int, width: int, pages: int) -> tuple[int, int]:
    """Walk the pages of a column; return what it costs, and how many pages are left to others."""
    meta = column.get(_META)
    if not isinstance(meta, dict) or _PATH in column:
        raise Unbelievable("a column of another file")
    if _PREFIXED in meta.get(_ENCODINGS, ()):
        raise Unbelievable("an encoding that we never write")
    starts = [_number(meta, name) for name in (_DATA_AT, _DICTIONARY_AT) if name in meta]
    at = min((start for start in starts if start > 0), default=0)
    last = at + _number(meta, _PACKED)
    if not len(_MAGIC) <= at <= last <= end:
        raise Unbelievable("a column outside the file")
    cost = values = 0
    while at < last:
        pages -= 1
        reader = _Reader(content, at, last)
        page = reader.struct()
        at = reader.at + _number(page, _PAGE_PACKED)
        if at > last or pages < 0:
            raise Unbelievable("a page outside its column, or too many")
        count = _counted(page)
        values += 0 if page.get(_TYPE) == _DICTIONARY else count
        cost += _number(page, _UNPACKED) + count * width
    if values != _number(meta, _VALUES):
        raise Unbelievable("its pages have other values than the column")
    return cost, pages


def _counted(page: Struct) -> int:
    headers = [page[name] for name in _HEADERS if isinstance(page.get(name), dict)]
    if len(headers) != 1:
        raise Unbelievable("a page without its header")
    return _number(headers[0], 1)


def _number(struct: Struct, name: int) -> int:
    value = struct.get(name, 0)
    if not isinstance(value, int) or value < 0:
        raise Unbelievable(f"field {name} is no count")
    return value


def _structs(struct: Struct, name: int) -> list[Struct]:
    value = struct.get(name, [])
    if not isinstance(value, list) or not all(isinstance(element, dict) for element in value):
        raise Unbelievable(f"field {name} is no list of structures")
    return value


class _Reader:
    """Reads one structure of Thrift's compact protocol between two places."""

    def __init__(self, content: bytes, at: int, end: int) -> None:
        self.at = at
        self._content = content
        self._end = end

    def struct(self, depth: int = DEPTH_MAX) -> Struct:
        """Return a structure as its values by field number."""
        found: Struct = {}
        number = 0
        while (head := self._byte()) != 0:
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            found[number] = head & 15 == 1 if head & 15 in (1, 2) else self._value(head & 15, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:  # noqa: ANN401  any value of the protocol
        if kind in (1, 2, 3):
            return self._byte()
        if kind in (4, 5, 6):
            return self._zigzag()
        if kind == 7:
            return self._skip(8)
        if kind == 8:
            return self._skip(self._varint())
        if depth and kind in (9, 10):
            return self._list(depth - 1)
        if depth and kind == 12:
            return self.struct(depth - 1)
        raise Unbelievable(f"a value of kind {kind}")

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        size = self._varint() if head >> 4 == 15 else head >> 4
        if size > self._end - self.at:
            raise Unbelievable(f"a list of {size} values")
        return [self._value(head & 15, depth) for _ in range(size)]

    def _byte(self) -> int:
        self._skip(1)
        return self._content[self.at - 1]

    def _skip(self, size: int) -> None:
        if size > self._end - self.at:
            raise Unbelievable("cut short")
        self.at += size

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise Unbelievable("a number of more than 64 bits")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

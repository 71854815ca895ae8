"""Every message keeps the bytes that its release wrote, and old and new readers understand each other."""

from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.internal.encoder import _VarintBytes  # type: ignore[attr-defined]  # missing in the stubs
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from tests.unit.contract.golden import (
    Golden,
    build_pool,
    message_class,
    parse_text,
    read_descriptors,
    read_goldens,
)

GOLDENS = list(read_goldens())
FILES = read_descriptors()
CURRENT = build_pool(FILES)
NUMBER_UNUSED = 1_900  # no message of the contract reaches it


def current(golden: Golden) -> Message:
    return message_class(CURRENT, golden.message_name)()


def unknown_fields() -> Iterator[bytes]:
    """Yield one field of each wire type under a number that the contract does not use."""
    for wire_type, content in ((0, b"\x96\x01"), (1, b"12345678"), (2, b"\x03new"), (5, b"1234")):
        yield _VarintBytes(NUMBER_UNUSED << 3 | wire_type) + content


def older(kept: int) -> DescriptorPool:
    """Return the contract as an older release may have known it: each message with its first fields only.

    Args:
        kept: Fields that each message keeps, counted in the order of their numbers.
    """
    files = read_descriptors()
    for file in files.file:
        for message in file.message_type:
            fields = sorted(message.field, key=lambda field: field.number)[:kept]
            del message.field[:]
            message.field.extend(fields)
            used = {field.oneof_index for field in fields if field.HasField("oneof_index")}
            names = [message.oneof_decl[index].name for index in sorted(used)]
            moved = {index: place for place, index in enumerate(sorted(used))}
            for field in message.field:
                if field.HasField("oneof_index"):
                    field.oneof_index = moved[field.oneof_index]
            del message.oneof_decl[:]
            for name in names:
                message.oneof_decl.add(name=name)
    return build_pool(files)


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: f"{golden.release}-{golden.name}")
def test_golden_bytes_decode_to_the_written_values_and_encode_to_the_same_bytes(golden: Golden) -> None:
    expected = parse_text(golden, current(golden))
    decoded = current(golden)
    decoded.ParseFromString(golden.encoded)
    assert decoded == expected
    assert len(UnknownFieldSet(decoded)) == 0
    assert decoded.SerializeToString(deterministic=True).hex() == golden.encoded.hex()


def test_every_message_and_every_field_has_a_golden() -> None:
    release = max(golden.release for golden in GOLDENS)
    seen: set[str] = set()
    for golden in GOLDENS:
        if golden.release == release:
            message = parse_text(golden, current(golden))
            seen.add(golden.message_name)
            seen.update(f"{golden.message_name}.{field.name}" for field, _ in message.ListFields())
    wanted = {
        name
        for file in FILES.file
        for message in file.message_type
        for name in (message.name, *(f"{message.name}.{field.name}" for field in message.field))
    }
    assert wanted - seen == set()


@pytest.mark.proves("ROW-E23")
@pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: f"{golden.release}-{golden.name}")
def test_an_old_reader_ignores_the_fields_of_a_new_writer(golden: Golden) -> None:
    for unknown in unknown_fields():
        for encoded in (unknown + golden.encoded, golden.encoded + unknown):
            decoded = current(golden)
            decoded.ParseFromString(encoded)
            assert list(decoded.ListFields()) == list(parse_text(golden, current(golden)).ListFields())
            assert len(UnknownFieldSet(decoded)) == 1


@pytest.mark.proves("ROW-E23")
@pytest.mark.parametrize("kept", [1, 2, 4, 8, 13])
def test_a_reader_of_fewer_fields_reads_those_it_knows_and_loses_none(kept: int) -> None:
    pool = older(kept)
    for golden in GOLDENS:
        reader = message_class(pool, golden.message_name)()
        reader.ParseFromString(golden.encoded)
        written = parse_text(golden, current(golden))
        for field, value in reader.ListFields():
            if field.type != FieldDescriptor.TYPE_MESSAGE:
                assert value == getattr(written, field.name), golden.name
        passed_on = current(golden)
        passed_on.ParseFromString(reader.SerializeToString())
        assert passed_on == written, golden.name


@pytest.mark.proves("ROW-E23")
@pytest.mark.parametrize("kept", [1, 2, 4, 8, 13])
def test_a_new_reader_reads_the_messages_of_a_writer_of_fewer_fields(kept: int) -> None:
    pool = older(kept)
    for golden in GOLDENS:
        reader = message_class(pool, golden.message_name)()
        reader.ParseFromString(golden.encoded)
        reader.DiscardUnknownFields()  # what the older writer would have written
        decoded = current(golden)
        decoded.ParseFromString(reader.SerializeToString())
        known = {field.name for field, _ in reader.ListFields()}
        assert {field.name for field, _ in decoded.ListFields()} == known, golden.name


@pytest.mark.proves("ROW-E23")
def test_an_unknown_payload_and_an_unknown_enum_value_are_no_error() -> None:
    update = message_class(CURRENT, "Update")()
    update.ParseFromString(b"\x28\x07" + b"\x48\x63" + _VarintBytes(40 << 3 | 2) + b"\x00")
    assert update.WhichOneof("payload") is None
    assert (getattr(update, "seq"), getattr(update, "integrity")) == (7, 99)  # noqa: B009  dynamic class

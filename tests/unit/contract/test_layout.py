"""The layout of the contract: numbers that never change, comments that say everything, joins that hold."""

import filecmp
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto

from datafacade.v1 import book_pb2, hot_pb2, lineage_pb2, market_pb2
from tests.unit.contract.golden import PACKAGE, ROOT, read_descriptors

NUMBERS_PATH = Path(__file__).with_name("numbers.txt")
GENERATED = ROOT / "python" / "datafacade" / "v1"
WIDE = {
    FieldDescriptorProto.TYPE_UINT64,
    FieldDescriptorProto.TYPE_INT64,
    FieldDescriptorProto.TYPE_SINT64,
    FieldDescriptorProto.TYPE_FIXED64,
    FieldDescriptorProto.TYPE_SFIXED64,
}
ABSENCE_WORDS = ("absent", "empty", "0:", "unspecified", "false:", "never")


def comment_by_path(file: FileDescriptorProto) -> dict[tuple[int, ...], str]:
    return {
        tuple(place.path): " ".join(place.leading_comments.split())
        for place in file.source_code_info.location
    }


def fields_with_comments() -> Iterator[tuple[str, FieldDescriptorProto, str]]:
    for file in read_descriptors().file:
        comments = comment_by_path(file)
        for at, message in enumerate(file.message_type):
            for place, field in enumerate(message.field):
                yield f"{message.name}.{field.name}", field, comments[4, at, 2, place]


def layout() -> Iterator[str]:
    """Yield one line for each number that a peer may rely on."""
    for file in read_descriptors().file:
        for message in file.message_type:
            for field in message.field:
                kind = (
                    field.type_name.removeprefix(f".{PACKAGE}.")
                    or FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
                )
                label = "repeated " if field.label == FieldDescriptorProto.LABEL_REPEATED else ""
                label = "optional " if field.proto3_optional else label
                yield f"{message.name}.{field.name} {field.number} {label}{kind}"
        for enum in file.enum_type:
            yield from (f"{enum.name} {value.name} {value.number}" for value in enum.value)
        for service in file.service:
            for method in service.method:
                ends = [
                    ("stream " if streams else "") + name.removeprefix(f".{PACKAGE}.")
                    for streams, name in (
                        (method.client_streaming, method.input_type),
                        (method.server_streaming, method.output_type),
                    )
                ]
                yield f"{service.name}.{method.name} {ends[0]} -> {ends[1]}"


@pytest.mark.proves("ROW-E23")
def test_no_number_ever_changes() -> None:
    recorded = NUMBERS_PATH.read_text(encoding="utf-8").splitlines()
    assert sorted(layout()) == recorded, (
        "add new lines to numbers.txt; a line that stands there never changes"
    )


def test_no_number_of_a_message_is_used_twice() -> None:
    for file in read_descriptors().file:
        for message in file.message_type:
            numbers = [field.number for field in message.field]
            assert len(numbers) == len(set(numbers)), message.name


def test_generated_code_is_what_the_contract_generates(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "proto" / "generate.py"), "--out", str(tmp_path)]
    subprocess.run(command, check=True)  # noqa: S603  our own script
    fresh = tmp_path / "datafacade" / "v1"
    names = sorted(path.name for path in fresh.iterdir())
    assert names == sorted(path.name for path in GENERATED.iterdir() if path.is_file())
    assert filecmp.cmpfiles(fresh, GENERATED, names, shallow=False) == (names, [], [])


def test_the_contract_imports_nothing_foreign_and_has_no_map() -> None:
    for file in read_descriptors().file:
        assert all(name.startswith("datafacade/v1/") for name in file.dependency), file.name
        assert not any(message.nested_type for message in file.message_type), file.name


def test_every_field_of_64_bits_warns_readers_in_javascript() -> None:
    silent = [
        name
        for name, field, comment in fields_with_comments()
        if (field.type in WIDE) != ("BigInt or string in JavaScript" in comment)
    ]
    assert silent == []


def test_every_field_says_what_its_absence_means() -> None:
    silent = [
        name
        for name, _, comment in fields_with_comments()
        if not any(word in comment for word in ABSENCE_WORDS)
    ]
    assert silent == []


def test_every_request_and_response_of_a_unary_call_has_its_reserved_fields() -> None:
    messages = {message.name: message for file in read_descriptors().file for message in file.message_type}
    methods = [
        method.name
        for file in read_descriptors().file
        for service in file.service
        for method in service.method
        if not method.server_streaming
    ]
    assert len(methods) == 15
    for method in methods:
        request = {field.number: field.name for field in messages[f"{method}Request"].field}
        response = {field.number: field.name for field in messages[f"{method}Response"].field}
        assert (request[14], request[15]) == ("ts_as_of", "snapshot_id"), method
        assert response[15] == "served", method


def test_a_header_joined_with_encoded_updates_is_a_response() -> None:
    updates = [
        hot_pb2.Update(venue="kraken", seq=seq, trade=market_pb2.Trade(price=5 - seq)) for seq in (1, 2, 3)
    ]
    header = hot_pb2.HotSubscribeResponse(stream_seq=9, ts_send=-1, ts_watermark=1 << 62)
    assert (
        len(hot_pb2.HotSubscribeResponse(stream_seq=9, ts_send=1, ts_watermark=1).SerializeToString()) == 20
    )
    entries = [hot_pb2.HotSubscribeResponse(updates=[update]).SerializeToString() for update in updates]
    joined = hot_pb2.HotSubscribeResponse.FromString(header.SerializeToString() + b"".join(entries))
    assert (joined.stream_seq, joined.ts_send, joined.ts_watermark) == (9, -1, 1 << 62)
    assert list(joined.updates) == updates


def test_the_header_of_the_millionth_response_costs_22_bytes() -> None:
    header = hot_pb2.HotSubscribeResponse(stream_seq=1_000_000, ts_send=1, ts_watermark=1)
    assert header.ByteSize() == 22


def test_served_that_is_appended_to_stored_bytes_joins_them() -> None:
    stored = book_pb2.L2BookResponse(venue="okx", symbol="BTC-USDT", venue_sequence=0).SerializeToString()
    served = lineage_pb2.Served(cache_tier=lineage_pb2.CACHE_TIER_MISS, latency_ns=70_000)
    tail = book_pb2.L2BookResponse(served=served).SerializeToString()
    answer = book_pb2.L2BookResponse.FromString(stored + tail)
    assert (answer.venue, answer.HasField("venue_sequence"), answer.served) == ("okx", True, served)

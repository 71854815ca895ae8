"""Golden messages: text form and bytes of every message, one folder per release of the contract.

A block names a message and a case (`Update/trade`), then its fields in protobuf text form, then `=` and the
bytes in hex. The Rust encoder is judged by the same blocks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from google.protobuf import descriptor_pb2, message_factory, text_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

FOLDER: Final = Path(__file__).parent / "golden"
PACKAGE: Final = "datafacade.v1"
ROOT: Final = Path(__file__).resolve().parents[3]
DESCRIPTOR_PATH: Final = ROOT / "python" / "datafacade" / "v1" / "descriptor.bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """One golden message."""

    release: str  # folder, as `0.1`
    name: str  # `Update/trade`
    text: str  # protobuf text form
    encoded: bytes  # what this release wrote

    @property
    def message_name(self) -> str:
        """Name of the message without its case."""
        return self.name.partition("/")[0]


def read_goldens() -> Iterator[Golden]:
    """Yield every block of every release, in the order of the files."""
    for path in sorted(FOLDER.glob("*/*.txt")):
        for block in path.read_text(encoding="utf-8").split("\n\n"):
            name, *lines = block.strip().splitlines()
            text = "\n".join(line for line in lines if not line.startswith("="))
            (encoded,) = (bytes.fromhex(line[1:]) for line in lines if line.startswith("="))
            yield Golden(release=path.parent.name, name=name, text=text, encoded=encoded)


def read_descriptors() -> descriptor_pb2.FileDescriptorSet:
    """Return the committed descriptor set, comments included."""
    return descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTOR_PATH.read_bytes())


def build_pool(files: descriptor_pb2.FileDescriptorSet) -> DescriptorPool:
    """Return the contract as a reader knows it who was built from ``files``."""
    pool = DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return pool


def message_class(pool: DescriptorPool, name: str) -> type[Message]:
    """Return the class of message ``name``; messages of one pool can be compared."""
    found: Descriptor = pool.FindMessageTypeByName(f"{PACKAGE}.{name}")
    return message_factory.GetMessageClass(found)


def parse_text(golden: Golden, message: Message) -> Message:
    """Fill ``message`` from the text form and return it."""
    return text_format.Parse(golden.text, message)

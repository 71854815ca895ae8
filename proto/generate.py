"""Write all generated code of the contract: Python messages, type stubs, service and descriptor set.

Run from anywhere inside the project's environment::

    python proto/generate.py            # writes python/datafacade/v1
    python proto/generate.py --out DIR  # writes DIR/datafacade/v1, as the test does that compares
"""

import argparse
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PROTO_ROOT: Final = Path(__file__).resolve().parent
PACKAGE: Final = Path("datafacade/v1")
SERVICES: Final = (PACKAGE / "service.proto", PACKAGE / "pit.proto")
PACKAGE_DOC: Final = (
    '"""Generated messages and service of `datafacade.v1`; `proto/generate.py` writes this room."""\n'
)


class GenerationFailed(RuntimeError):
    """protoc refused the contract; its own words are on stderr."""


def protoc(arguments: Sequence[str], sources: Sequence[Path]) -> None:
    """Run the protoc of grpcio-tools on ``sources``, which are relative to the proto root.

    Raises:
        GenerationFailed: protoc ended with an error.
    """
    scripts = Path(sysconfig.get_path("scripts"))
    plugins = [
        f"--plugin=protoc-gen-{name}={scripts / f'protoc-gen-{name}'}" for name in ("mypy", "mypy_grpc")
    ]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTO_ROOT}", *plugins]
    outcome = subprocess.run(  # noqa: S603  fixed program, our own arguments
        [*command, *arguments, *map(str, sources)], cwd=PROTO_ROOT, check=False
    )
    if outcome.returncode != 0:
        raise GenerationFailed(f"protoc ended with {outcome.returncode}")


def generate(out: Path) -> None:
    """Write the package below ``out``; files that no longer belong to it are removed."""
    target = out / PACKAGE
    target.mkdir(parents=True, exist_ok=True)
    for stale in (path for path in target.iterdir() if path.is_file()):
        stale.unlink()
    sources = sorted(path.relative_to(PROTO_ROOT) for path in (PROTO_ROOT / PACKAGE).glob("*.proto"))
    descriptor = target / "descriptor.bin"
    protoc(
        [
            f"--python_out={out}",
            f"--mypy_out=quiet:{out}",
            f"--descriptor_set_out={descriptor}",
            "--include_imports",
            "--include_source_info",
        ],
        sources,
    )
    protoc([f"--grpc_python_out={out}", f"--mypy_grpc_out=quiet:{out}"], SERVICES)
    (target / "__init__.py").write_text(PACKAGE_DOC, encoding="utf-8")


def main() -> None:
    """Parse the command line and generate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=PROTO_ROOT.parent / "python", help="folder of the package"
    )
    generate(parser.parse_args().out.resolve())


if __name__ == "__main__":
    main()

"""Reading and writing files so that what is on disk is always whole."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from pathlib import Path

__all__ = ["sha256_of", "write_atomically"]


def write_atomically(path: Path | str, content: str | bytes) -> Path:
    """Write `content` to `path` so that a reader sees the old file or the new one, never a part.

    Missing parent folders are made. Text is written as UTF-8.

    Args:
        path: The file to write.
        content: Its whole content.

    Returns:
        The path written.

    Raises:
        OSError: The folder cannot be written, or the disk is full; the old file is untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}"
    # Not by the tempfile module, whose files are private: what we write is as readable as the
    # user's other files. Outside the `try`, which removes what this call made and nothing else.
    handle = temporary.open("xb")
    try:
        with handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    return path


def sha256_of(content: str | bytes | Path) -> str:
    """Hexadecimal SHA-256 of a text (as UTF-8), of bytes, or of a file's content."""
    digest = hashlib.sha256()
    if isinstance(content, Path):
        with content.open("rb") as handle:
            while block := handle.read(1 << 20):
                digest.update(block)
    else:
        digest.update(content.encode() if isinstance(content, str) else content)
    return digest.hexdigest()

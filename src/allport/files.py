"""Reading and writing files so that what is on disk is always whole."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
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
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        # mkstemp makes files private; what we write is as readable as the user's other files.
        mask = os.umask(0)
        os.umask(mask)
        Path(temporary).chmod(0o666 & ~mask)
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()
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

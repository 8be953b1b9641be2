"""Storage of an engine's files: a path of this machine, or a URL that every machine reaches."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, TypeVar, Union

import pyarrow as pa
import pyarrow.fs

from feedrank.errors import ParamsError
from feedrank.io.files import private_directory, sha256_of

Location = Union[Path, str]  # noqa: UP007 (an alias is evaluated, and 3.8 serves)
P = TypeVar("P", Path, str, Location)
WHOLE = "_whole"  # written last: the directory holds all of its files


def inside(place: P, name: str) -> P:
    """Place of a file in a directory; the query of a URL stays at its end."""
    if isinstance(place, Path):
        return place / name
    url, mark, options = place.partition("?")
    return f"{url.rstrip('/')}/{name}{mark}{options}"


def url_of(path: Path) -> str:
    """`file://` and the absolute path."""
    return path.resolve().as_uri()


def located(place: Location) -> tuple[Any, str]:
    """File system and path of a place; raises `ParamsError` for a URL that cannot be read."""
    if isinstance(place, Path):
        return pyarrow.fs.LocalFileSystem(), str(place)
    try:
        return pyarrow.fs.FileSystem.from_uri(place)
    except (pa.ArrowInvalid, ValueError, ImportError) as error:
        raise ParamsError(
            f"'{place}' is no URL that can be read ({error}). Write file://, s3://, gs:// or "
            "hdfs://, or any other as fsspec+name:// with its fsspec package installed."
        ) from error


def opened(place: Location) -> Any:
    """A file to read from; raises `FileNotFoundError`."""
    filesystem, path = located(place)
    return filesystem.open_input_file(path)


def exists(place: Location) -> bool:
    """Whether a file or directory is there."""
    filesystem, path = located(place)
    return filesystem.get_file_info(path).type != pyarrow.fs.FileType.NotFound


def read_bytes(place: Location) -> bytes:
    """All of a file; raises `FileNotFoundError`."""
    with opened(place) as file:
        return file.read()


def write_bytes(url: str, content: Any) -> None:
    """Write a file, and the directories that it lies in."""
    filesystem, path = located(url)
    filesystem.create_dir(path.rpartition("/")[0], recursive=True)
    with filesystem.open_output_stream(path) as file:
        file.write(content)


def publish(directory: Path, store: str) -> str:
    """URL of a copy of a directory in a store, named by its content and made once."""
    paths = sorted(path for path in directory.iterdir() if path.is_file())
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name} {sha256_of(path)}\n".encode())
    url = inside(store, f"{directory.name}-{digest.hexdigest()[:16]}")
    if not exists(inside(url, WHOLE)):
        for path in paths:
            with pa.OSFile(str(path)) as file:
                write_bytes(inside(url, path.name), file.read_buffer())
        write_bytes(inside(url, WHOLE), b"")
    return url


def fetched(place: Location) -> Path:
    """Path of a published directory on this machine: its own, or that of a copy made once."""
    if isinstance(place, Path):
        return place
    filesystem, path = located(place)
    if isinstance(filesystem, pyarrow.fs.LocalFileSystem):
        return Path(path)
    copies = Path(tempfile.gettempdir()) / f"feedrank-{os.getuid()}"
    copy = copies / path.rpartition("/")[2]
    private_directory(copies)
    if not copy.exists():
        new = Path(tempfile.mkdtemp(dir=copies))
        pyarrow.fs.copy_files(path, str(new), source_filesystem=filesystem)
        try:
            new.rename(copy)
        except OSError:  # another worker of this machine was faster
            shutil.rmtree(new)
    return copy

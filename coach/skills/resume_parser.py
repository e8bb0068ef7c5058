"""The throw-away child process that turns a resume into text: reads bytes on stdin, writes JSON on stdout.

Run by coach/skills/resume.py as a file, in isolated mode, so that nothing but the two parsers is ever imported. The
limits are set here, before any byte of the file is looked at.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile

MEMORY_BYTES = 1024**3
CPU_SECONDS = 30
MOST_BYTES = 10 * 1024**2
MOST_PAGES = 200
MOST_TEXT = 400_000
MOST_UNPACKED = 64 * 1024**2


class Refused(Exception):
    """The file cannot be read; the message is meant for the person."""


def main() -> int:
    """Parse stdin by the ending given as the only argument."""
    _limit()
    _seal()
    content = sys.stdin.buffer.read(MOST_BYTES + 1)
    try:
        if len(content) > MOST_BYTES:
            raise Refused("is larger than 10 MB")
        text, pages, notes = _parse(content, sys.argv[1] if len(sys.argv) > 1 else "")
        answer: dict[str, object] = {"text": text[:MOST_TEXT], "pages": pages, "notes": notes}
    except Refused as error:
        answer = {"error": str(error)}
    except MemoryError:
        answer = {"error": "needs too much memory to read"}
    except RecursionError:
        answer = {"error": "is nested too deeply to read"}
    except Exception as error:  # parsers fail in every way there is; this process exists to contain it
        answer = {"error": f"is damaged or no real document ({type(error).__name__})"}
    sys.stdout.write(json.dumps(answer))
    return 0


def _limit() -> None:
    try:
        import resource
    except ImportError:  # not on Windows: the wall clock and the size limits remain
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _seal() -> None:
    """No sockets and no child processes from here on, whatever a parser is talked into."""

    def refuse(event: str, _: object) -> None:
        if event.startswith(
            ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "ctypes.dlopen")
        ):
            raise PermissionError(event)

    sys.addaudithook(refuse)


def _parse(content: bytes, ending: str) -> tuple[str, int, list[str]]:
    """By what the file is where its first bytes tell, else by its ending."""
    zipped = content.startswith(b"PK\x03\x04")
    if content.startswith(b"%PDF") or (ending == ".pdf" and not zipped):
        return _pdf(content)
    if zipped or ending == ".docx":
        return _docx(content)
    return _text(content), 1, []


def _pdf(content: bytes) -> tuple[str, int, list[str]]:
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(content))
    if reader.is_encrypted and not reader.decrypt(""):
        raise Refused("is protected by a password: save it without one")
    count = len(reader.pages)
    if count > MOST_PAGES:
        raise Refused(f"has {count} pages, more than {MOST_PAGES}")
    parts, images = [], 0
    for page in reader.pages:
        parts.append(page.extract_text() or "")
        images += "/XObject" in (page.get("/Resources") or {})
        if sum(map(len, parts)) > MOST_TEXT:
            break
    text = "\n".join(parts)
    if len(text.split()) < 5:
        raise Refused(
            "holds no text: it seems to be a scan or a picture. Export it from the program it was written in, "
            "or paste the text"
            if images
            else "is empty: no page holds any text"
        )
    return text, count, ["images"] if images else []


def _docx(content: bytes) -> tuple[str, int, list[str]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(item.file_size for item in archive.infolist()) > MOST_UNPACKED:
            raise Refused("unpacks to more than 64 MB")
        if "word/document.xml" not in archive.namelist():
            raise Refused("is no Word document")
        head = archive.read("word/document.xml")[:4096]
        if b"<!DOCTYPE" in head or b"<!ENTITY" in head:
            raise Refused("declares entities, which no Word document needs")
    from docx import Document
    from docx.table import Table
    from docx.text.paragraph import Paragraph

    document = Document(io.BytesIO(content))
    lines, notes = [], []
    for item in document.iter_inner_content():
        if isinstance(item, Paragraph):
            bullet = "- " if (item.style is not None and "List" in (item.style.name or "")) else ""
            lines.append(bullet + item.text)
        elif isinstance(item, Table):
            notes.append("table")
            lines += [" | ".join(dict.fromkeys(cell.text.strip() for cell in row.cells)) for row in item.rows]
    header = [
        paragraph.text
        for section in document.sections
        for paragraph in section.header.paragraphs
        if paragraph.text.strip()
    ]
    if header:
        notes.append("header")
        lines = [*header, *lines]
    return "\n".join(lines), 1, notes


def _text(content: bytes) -> str:
    for encoding in ("utf-8-sig", "utf-16") if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig",):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    if b"\0" in content[:4096]:
        raise Refused("is no text file")
    return content.decode("cp1252", errors="replace")


if __name__ == "__main__":
    sys.exit(main())

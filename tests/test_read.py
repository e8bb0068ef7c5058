"""Markdown, HTML, PDF, DOCX and text become documents; what has no title, source or text is refused by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from coach.errors import KnowledgeError
from coach.ingest.read import find_files, read_document, read_documents

SIDECAR = "title: The report\nsource: https://example.org/report\n"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def minimal_pdf(*pages: str, title: str = "") -> bytes:
    """A PDF with one line of Helvetica a page, offsets computed."""
    kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for i, text in enumerate(pages):
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * i} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        stream = f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET"
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    objects.append(f"<< /Title ({title}) >>")
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    trailer = f"<< /Size {len(objects) + 1} /Root 1 0 R" + (f" /Info {len(objects)} 0 R" if title else "") + " >>"
    return out + (
        f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer\n{trailer}\nstartxref\n{len(out)}\n%%EOF\n"
    ).encode("latin-1")


def test_markdown_gives_its_front_matter_and_readable_text(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a" / "guide.md",
        """\
---
title: "A guide"
topics: [python]
audience: [junior]
as_of: 2026-11-01
sources:
  - {id: s, title: S, publisher: P, url: "https://example.org/s", accessed: 2026-11-01}
---
First **bold** words with a [link](https://x.org), a mark[^s] and `**code**`.

[^s]: The note.
""",
    )
    document = read_document(path, tmp_path)
    assert (document.id, document.title, document.source) == ("a/guide", "A guide", "https://example.org/s")
    assert (document.as_of, document.topics, document.audience) == ("2026-11-01", ("python",), ("junior",))
    assert document.references[0].publisher == "P"
    assert "First bold words with a link, a mark and `**code**`." in document.text
    assert "The note" not in document.text


def test_a_first_heading_serves_as_title(tmp_path: Path) -> None:
    path = write(tmp_path / "g.md", "---\nsource: https://example.org\n---\n# The title\n\nText.\n")
    assert read_document(path, tmp_path).title == "The title"


def test_windows_line_ends_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    path = tmp_path / "g.md"
    path.write_bytes(b"\xef\xbb\xbf---\r\ntitle: T\r\nsource: S\r\n---\r\nOne.\r\n\r\nTwo.\r\n")
    document = read_document(path, tmp_path)
    assert (document.title, document.text) == ("T", "One.\n\nTwo.")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.md", "---\nsource: https://x.org\n---\nText.\n", r"a\.md, line 1: the document has no title"),
        ("a.md", "---\ntitle: T\n---\nText.\n", r"a\.md, line 1: the document has no source"),
        ("a.txt", "Only text.\n", r"a\.txt, line 1: the document has no title"),
        ("a.md", "---\ntitle: T\nsource: S\n---\n\n", r"a\.md, line 1: holds no readable text"),
        ("a.md", "---\ntitle: T\nsource: [\n---\nText.\n", r"a\.md, line \d: the front matter is not valid YAML"),
        ("a.md", "---\njust words\n---\nText.\n", r"a\.md, line 2: the front matter must be"),
        ("a.md", "---\ntitle: T\nsources: here\n---\nText.\n", r"a\.md, line 1: `sources` must be a list"),
        ("a.md", "---\ntitle: T\nsource: S\nasked_as: [x]\n---\nText.\n", r"a\.md, line 1: `asked_as` must hold"),
        ("a.html", "<title>T</title><p>Text</p>", r"a\.html, line 1: the document has no source.*a\.html\.yaml"),
    ],
)
def test_an_incomplete_document_is_refused_by_file_and_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(KnowledgeError, match=message):
        read_document(write(tmp_path / name, text), tmp_path)


def test_the_line_of_broken_front_matter_is_the_line_in_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.md", "---\ntitle: T\nsource: S\ntopics: a: b\n---\nText.\n")
    with pytest.raises(KnowledgeError, match=r"line 4"):
        read_document(path, tmp_path)


def test_html_keeps_the_article_and_drops_the_rest(tmp_path: Path) -> None:
    path = write(
        tmp_path / "page.html",
        """\
<html><head><title>A page</title><link rel="canonical" href="https://example.org/page"></head>
<body><nav>Menu</nav><main><h1>A page</h1><h2>Why?</h2><p>Because it is <b>so</b>.</p>
<script>alert(1)</script><ul><li>One thing</li></ul></main><footer>Imprint</footer></body></html>""",
    )
    document = read_document(path, tmp_path)
    assert (document.title, document.source) == ("A page", "https://example.org/page")
    assert "## Why?" in document.text
    assert "Because it is so." in document.text
    assert "One thing" in document.text
    for gone in ("Menu", "alert", "Imprint"):
        assert gone not in document.text


def test_a_pdf_gives_its_pages_and_takes_its_source_from_a_sidecar(tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(minimal_pdf("Drift is a change of inputs.", "The second page.", title="A PDF report"))
    write(tmp_path / "report.pdf.yaml", "source: https://example.org/report\n")
    document = read_document(path, tmp_path)
    assert document.title == "A PDF report"
    assert document.source == "https://example.org/report"
    assert document.text == "Drift is a change of inputs.\n\nThe second page."


def test_a_pdf_without_words_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scan.pdf").write_bytes(minimal_pdf("", title="Scan"))
    with pytest.raises(KnowledgeError, match=r"scan\.pdf, line 1: holds no readable text.*OCR"):
        read_document(tmp_path / "scan.pdf", tmp_path)


def test_a_docx_gives_headings_and_paragraphs(tmp_path: Path) -> None:
    import docx

    made = docx.Document()
    made.core_properties.title = "A Word file"
    made.add_heading("Which maths first?", level=1)
    made.add_paragraph("Statistics comes first.")
    made.save(str(tmp_path / "w.docx"))
    write(tmp_path / "w.docx.yaml", "source: https://example.org/w\n")
    document = read_document(tmp_path / "w.docx", tmp_path)
    assert document.title == "A Word file"
    assert "## Which maths first?\n\nStatistics comes first." in document.text


def test_plain_text_with_a_sidecar_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "notes.txt", "Plain words.\nWith *stars* kept.\n")
    write(tmp_path / "notes.txt.yaml", SIDECAR)
    document = read_document(path, tmp_path)
    assert (document.title, document.text) == ("The report", "Plain words.\nWith *stars* kept.")


@pytest.mark.parametrize("name", ["broken.pdf", "broken.docx"])
@pytest.mark.parametrize("content", [b"not really", b"", b"PK\x03\x04broken zip", b"%PDF-1.7\n1 0 obj\n<<"])
def test_a_broken_file_is_refused_by_name(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    write(tmp_path / f"{name}.yaml", SIDECAR)
    with pytest.raises(KnowledgeError, match=name):
        read_document(tmp_path / name, tmp_path)


def test_a_truncated_docx_is_refused_by_name(tmp_path: Path) -> None:
    import docx

    made = docx.Document()
    made.add_paragraph("Text.")
    made.save(str(tmp_path / "whole.docx"))
    content = (tmp_path / "whole.docx").read_bytes()
    write(tmp_path / "cut.docx.yaml", SIDECAR)
    for share in (0.3, 0.7, 0.99):
        (tmp_path / "cut.docx").write_bytes(content[: int(len(content) * share)])
        with pytest.raises(KnowledgeError, match=r"cut\.docx"):
            read_document(tmp_path / "cut.docx", tmp_path)


def test_text_that_is_not_utf8_is_refused_by_byte(tmp_path: Path) -> None:
    (tmp_path / "latin.md").write_bytes(b"---\ntitle: T\nsource: S\n---\nCaf\xe9\n")
    with pytest.raises(KnowledgeError, match=r"latin\.md: is not UTF-8 text \(byte \d+\)"):
        read_document(tmp_path / "latin.md", tmp_path)


def test_an_ending_that_is_not_read_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match=r"'\.odt' are not read\. Known: .*\.pdf"):
        read_document(write(tmp_path / "a.odt", "x"), tmp_path)


def test_files_come_in_a_stable_order_without_readmes(tmp_path: Path) -> None:
    for name in ("b.md", "a/z.md", "README.md", "a/picture.png"):
        write(tmp_path / name, "---\ntitle: T\nsource: S\n---\nText.\n")
    assert [path.name for _, path in find_files([tmp_path])] == ["z.md", "b.md"]
    with pytest.raises(KnowledgeError, match="does not exist"):
        find_files([tmp_path / "nowhere"])


def test_two_documents_of_one_id_are_refused(tmp_path: Path) -> None:
    for name in ("one/a.md", "two/a.md"):
        write(tmp_path / name, "---\ntitle: T\nsource: S\n---\nText.\n")
    with pytest.raises(KnowledgeError, match="same id 'a'"):
        read_documents([tmp_path / "one", tmp_path / "two"])


def test_everything_that_reaches_the_index_changes_the_hash(tmp_path: Path) -> None:
    def hash_of(head: str, body: str = "Text.") -> str:
        return read_document(write(tmp_path / "a.md", f"---\n{head}\n---\n{body}\n"), tmp_path).hash

    first = hash_of("title: T\nsource: S")
    assert first == hash_of("title: T\nsource: S")
    changed = {
        hash_of("title: U\nsource: S"),
        hash_of("title: T\nsource: V"),
        hash_of("title: T\nsource: S", "Other."),
        hash_of("title: T\nsource: S\nas_of: 2026-01-01"),
        hash_of("title: T\nsource: S\ntopics: [x]"),
        hash_of("title: T\nsource: S\nasked_as: {lead: [x]}"),
        hash_of("title: T\nsource: S\naudience: [x]"),
    }
    assert first not in changed
    assert len(changed) == 7

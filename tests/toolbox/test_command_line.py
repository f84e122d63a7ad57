"""What a command prints of an error is one line, which the terminal only shows."""

from __future__ import annotations

import warnings

from toolbox.command_line import exit_status


def test_sentences_and_notes_are_one_line_each(capsys, monkeypatch):
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)

    def work() -> None:
        warnings.warn("a file\nof\x1b[2J two lines", stacklevel=1)
        raise ValueError("no layer 'a\r\nb\x1b]0;c\x07'")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert exit_status("tool", work, (ValueError,)) == 2
    assert capsys.readouterr().err.splitlines() == [
        r"note: a file\nof\x1b[2J two lines",
        r"tool: no layer 'a\r\nb\x1b]0;c\x07'",
    ]

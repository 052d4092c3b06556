"""Progress below the cell of a notebook: one line, written anew in place."""

import textwrap

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

SOURCE = """
    import time
    import matinee.progress
    from matinee.progress import progress
    matinee.progress.PATIENCE = matinee.progress.PAUSE = 0.1
    with progress("[red]Train\\x1b[31ming", 20) as tick:
        for step in range(21):
            tick(step, f"step {step}")
            time.sleep(0.03)
    with progress("Short", 1) as tick:
        tick(1, "")
"""


@pytest.mark.slow
def test_a_notebook_shows_one_line_without_escape_sequences():
    cell = nbformat.v4.new_code_cell(textwrap.dedent(SOURCE))
    notebook = nbformat.v4.new_notebook(cells=[cell])
    seen = []

    class Client(nbclient.NotebookClient):
        def process_message(self, message, *rest):
            if message["msg_type"] in ("display_data", "update_display_data", "stream"):
                seen.append((message["msg_type"], message["content"]))
            return super().process_message(message, *rest)

    Client(notebook, timeout=60, kernel_name="python3").execute()
    kinds = [kind for kind, _ in seen]
    assert kinds[0] == "display_data"
    assert set(kinds[1:]) == {"update_display_data"}
    assert 3 <= len(seen) <= 8
    texts = [content["data"]["text/plain"] for _, content in seen]
    assert all(text.isprintable() and text.startswith("[red]Train?[31ming") for text in texts)
    assert "%  step" in texts[1]
    (output,) = notebook.cells[0].outputs
    assert output["data"]["text/plain"] == "[red]Train?[31ming: 1 s"

"""Pages made from the results and from the code.

| module  | command                   | content                                                       |
| ------- | ------------------------- | ------------------------------------------------------------- |
| `build` | `python -m bench report`  | all recorded results as one HTML page, after `page.html`      |
| `api`   | `python -m bench api`     | the API reference, from the docstrings                        |

`records` reads what the page shows, `summary` says each result in a sentence, and `tables` turns rows into
text.
"""

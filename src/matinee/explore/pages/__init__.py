"""Pages of charts and tables: one HTML file each, which opens from disk without a network.

`page.py` knows blocks and how a page is put together; the others say what stands on which page.
"""

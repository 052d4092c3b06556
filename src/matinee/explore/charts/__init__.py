"""Charts of findings, drawn with Altair: findings in, a chart out, which a notebook shows.

`house.py` is how all of them look; the others are a file for each kind of finding.
"""

"""What a recording of traffic tells: read once in bounded memory, counted into cells, judged by rules.

``sources`` gives lines from files, ``cube`` counts them (``duck`` does both through DuckDB), ``traffic`` is
what was counted, ``rules`` judge it, ``report`` and the ``as_`` modules show it. numpy is imported here alone
in this room, and only by the command that analyzes.
"""

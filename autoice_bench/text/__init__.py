"""Every table and sentence for a terminal, one module a subject.

Records know JSON (their ``to_dict``), text knows words: what a person reads about a record is
made here and nowhere else. Only ``commands`` imports it.
"""

"""Experiments: planned runs, trained, predicted and scored, one or a study of many.

``plan`` decides, ``run`` does, ``projection`` estimates the time; ``study``, ``study_plan`` and
``study_table`` re-run the published tables, ``published_protocol`` scores as their authors did.
"""

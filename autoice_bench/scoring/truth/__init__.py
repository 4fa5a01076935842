"""The charts that predictions are scored against: from a store, or straight from RTT files.

``protocol`` says what a source of truth offers and takes the truth fingerprint; ``store_truth``
and ``rtt_truth`` are the two sources. Both give the same pixels and the same fingerprint.
"""

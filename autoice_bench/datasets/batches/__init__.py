"""Batches for training: reading processes, the ring of buffers between them, torch datasets.

``torch_datasets`` is the door and the only torch import of ``datasets``; ``reader`` fills a
``ring`` with the help of ``worker`` processes, which know nothing of torch.
"""

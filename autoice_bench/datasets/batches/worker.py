"""A process that fills batches of a ring, started by `batches.reader`.

It is a program of its own rather than a fork or a `multiprocessing` child: it shares no lock, no
thread and no CUDA context with the trainer, imports neither torch nor the user's script, and ends
when the trainer's end of the pipe closes, however the trainer ended. It is started with SIGINT and
SIGTERM blocked: Ctrl-C goes to every process of the terminal, SIGTERM to every process of a
cluster's job, and the trainer alone decides when to stop.
"""

from __future__ import annotations

import sys
import traceback
from multiprocessing.connection import Connection

from autoice_bench.datasets.batches.ring import BatchRing
from autoice_bench.datasets.patches.windows import PatchReader
from autoice_bench.errors import AutoIceError


def serve(connection: Connection, memory: int) -> None:
    """Answer requests (slot, epoch, indices) with the scene ids of the patches, or an error.

    Args:
        connection: to the trainer; its first message is the reader and the ring's size.
        memory: file descriptor of the ring.
    """
    try:
        reader: PatchReader
        # The reader comes without pixels and open files: it opens the store here for itself.
        reader, batch_size, n_slots = connection.recv()
        ring = BatchRing(reader.fields, batch_size, n_slots, memory)
        while True:
            slot, epoch, indices = connection.recv()
            answer: list[str] | Exception
            try:
                answer = reader.read_batch(epoch, indices, ring.views(slot))
            except AutoIceError as error:
                answer = error
            except Exception:
                # As text: not every exception can be pickled, and a traceback never can.
                answer = RuntimeError(f"a reading process failed:\n{traceback.format_exc()}")
            connection.send(answer)
    except (EOFError, ConnectionError):
        return  # the trainer has closed its end, or is gone: nobody to complain to


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])), int(sys.argv[2]))

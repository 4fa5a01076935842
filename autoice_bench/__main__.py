"""``python -m autoice_bench``: the same command as ``autoice-bench``."""

from autoice_bench.cli import main

if __name__ == "__main__":
    main()

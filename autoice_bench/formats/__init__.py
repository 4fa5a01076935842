"""What two sides read or write, once: files, names and layouts that outlive a process.

``store_layout`` names the parts of a store, ``shards`` and ``shard_writer`` read and write its
arrays, ``split_file``, ``rtt_folder`` and ``label_rule`` are the other agreements, ``netcdf`` reads
source files fast, ``chart_values`` their charts, ``whole_files`` makes every written file appear
whole, ``locks`` keeps two runs apart. Nothing here knows what is done with the files; only the
vocabulary lies below.
"""

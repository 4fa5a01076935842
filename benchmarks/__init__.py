"""Side-by-side measurements, each a script with a table as its output."""

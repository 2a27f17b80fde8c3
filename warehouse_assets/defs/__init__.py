"""The families of data, a folder each: a folder with `tables.py` and `family.py` is one."""

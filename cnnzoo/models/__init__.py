"""The models, one family a file. A new file that registers a builder is all it takes to add one."""

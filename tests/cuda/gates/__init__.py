"""What can be read off the compiled kernels without running them: registers, occupancy, opcodes.

`build` compiles csrc/cuda once for each state of its sources; everything else reads its files.
`python -m gates` prints the report.
"""

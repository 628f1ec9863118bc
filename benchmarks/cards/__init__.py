"""Cards of the bundled weights, and the table of models in the docs: measured, never typed.

python -m benchmarks.cards bundle RUN…   weights and cards from run folders, seeds together
python -m benchmarks.cards               facts, times and the table anew (`make cards`)
python -m benchmarks.cards facts         the same without the times
python -m benchmarks.cards check         what is stale; exit status 1 if anything is

facts.py      parameters, MACs, smallest input, recipe: what anybody computes alike
bundling.py   run folders → weights and cards
speed.py      µs an image, on this machine
table.py      cards and facts → the table in docs/models.md
checking.py   what of all this is no longer true
"""

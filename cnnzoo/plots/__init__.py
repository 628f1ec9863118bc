"""Pictures of data, training and networks. Arrays in, a matplotlib `Figure` out, `save` to a file.

    _pictures.py    images of a data set: samples, the worst mistakes
    _augmentation.py  images before and after augmentation
    _run.py         numbers of a run: learning curves, confusion matrix
    _layers.py      inside of a network: filters, feature maps
    _architecture.py  a network as a row of boxes
    _figure.py      a figure, its cells, and the way into a file
    _checks.py      what comes in, checked once, as arrays

No figure is registered with pyplot: nothing needs a display, nothing stays in memory, and nobody's
backend changes. Colours are Okabe and Ito's and matplotlib's sequential maps, which colour-blind
readers can tell apart; where two lines meet, their dashes differ as well.

Letters: N images, C channels, H height, W width, K classes or filters, R x S a filter's size.
"""

from cnnzoo.plots._architecture import architecture
from cnnzoo.plots._augmentation import augmentation_sheet
from cnnzoo.plots._figure import save
from cnnzoo.plots._layers import feature_maps, filters
from cnnzoo.plots._pictures import mistakes, samples
from cnnzoo.plots._run import confusion, curves

__all__ = [
    "architecture",
    "augmentation_sheet",
    "confusion",
    "curves",
    "feature_maps",
    "filters",
    "mistakes",
    "samples",
    "save",
]

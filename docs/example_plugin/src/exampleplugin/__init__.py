"""Adds to cnnzoo: importing this package registers a model, a layer and a data set."""

from exampleplugin import data, layer, model

__all__ = ["data", "layer", "model"]

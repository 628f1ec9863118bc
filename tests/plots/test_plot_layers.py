"""Filters and feature maps show their values, all on one scale."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from drawing import draw, shown

from cnnzoo import plots


def test_filters_are_on_one_scale_around_zero():
    weight = torch.randn(5, 1, 3, 3, requires_grad=True)
    figure = plots.filters(weight)
    draw(figure)
    assert np.array_equal(shown(figure)[:5], weight.detach().numpy()[:, 0])
    limits = {ax.images[0].get_clim() for ax in figure.axes[:5]}
    assert len(limits) == 1
    low, high = limits.pop()
    assert low == -high == pytest.approx(-float(weight.detach().abs().max()))
    rows = plots.filters(np.random.default_rng(0).normal(size=(6, 20, 5, 5)), channels=4)
    assert len(rows.axes) == 6 * 4 + 1
    draw(plots.filters(np.zeros((1, 1, 1, 1))))


def test_feature_maps_are_on_one_scale():
    maps = np.random.default_rng(0).random((70, 6, 5))
    figure = plots.feature_maps(maps, count=10)
    draw(figure)
    assert np.array_equal(shown(figure)[:10], maps[:10])
    assert {ax.images[0].get_clim() for ax in figure.axes[:10]} == {(0.0, maps[:10].max())}
    draw(plots.feature_maps(np.zeros((1, 2, 2))))
